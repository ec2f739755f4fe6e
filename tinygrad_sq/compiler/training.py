"""Training: the steps of an optimiser in native code, gradient and update both."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from copy import copy
from itertools import chain, cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_sq.checks import checked
from tinygrad_sq.compiler.kernel import Array, Lane, Mode, aligned
from tinygrad_sq.compiler.native import FUNCTION
from tinygrad_sq.compiler.steps import FIELDS, steps
from tinygrad_sq.optim import Optimizer
from tinygrad_sq.train import left_the_finite_numbers
from tinygrad_sq.value import Value

if TYPE_CHECKING:
    from tinygrad_sq.compiler.program import Program


class Training:
    """Steps on E3 for a program that is the loss of one sample, on samples that stay.

    The optimiser's `rule` is traced like any other function, and runs over all parameters as over a batch. Parameters
    and what the optimiser remembers live in arrays; `write_back` copies them to the Values and to the optimiser.

    Raises ValueError if the optimiser has other parameters than the program.
    """

    def __init__(
        self, program: Program, args: tuple[Any, ...], optimizer: Optimizer, weights: Sequence[Value], lam: float
    ) -> None:
        checked(optimizer, Optimizer, "an Optimizer, as Adam(params) is")
        if [id(p) for p in optimizer.parameters] != [id(p) for p in program.parameters]:
            raise ValueError("expected an optimizer of the program's params, in the same order")
        self.program, self.optimizer = program, optimizer
        self.batch = program.batch(args)
        self.kernel = program.kernel(Mode.GRADIENT, self.batch)
        self.sums = aligned(1 + len(program.parameters), program.dtype, 1)
        penalised = set(weights)
        self.loop = steps("double" if program.dtype == np.float64 else "float")
        self.penalised = np.array([p in penalised for p in program.parameters], program.dtype)

        settings = [Value(x) for x in copy(optimizer).settings()]  # of a copy, since it counts its steps
        update = type(program)(lambda *x: optimizer.rule(settings, *x), settings, program.dtype.name)
        now = [program.data(), *np.array(optimizer.remembered, program.dtype).T]
        self.count = len(now[0])
        self.taken = 0
        kernel = update.kernel(Mode.EACH, update.batch((now[0], self.sums[1:], *now[1:])))
        # The parameters and what is remembered of each, before a step and after it, and the update of one by the other:
        # they change places at each step. Before the parameters stand the other scalars of the gradient's kernel.
        rolled = self.kernel.rolled
        others = rolled.scalars - rolled.parameters
        room = kernel.room(self.count)
        states = []
        for _ in range(2):
            flat = aligned(others + room.size, program.dtype, others)
            flat[: len(rolled.constants)] = rolled.constants
            states.append(flat[others:].reshape(room.shape))
        self.now, self.then = states
        self.now[:, : self.count] = now
        self.inputs = [
            update.batch((p, self.sums[1:], *memory))
            for p, *memory in (state[:, : self.count] for state in (self.now, self.then))
        ]
        self.lane = Lane(kernel)
        self.lane.aim(self.inputs[0], self.then, self.inputs[0].order, 0, self.count, 1.0)

        self.fields = np.zeros(len(FIELDS), np.int64)
        self.fields[FIELDS.index("lam") :].view(program.dtype)[0] = lam
        self._write(
            gradient=self.kernel.native.address,
            update=self.lane.native.address,
            gradient_call=self.kernel.lanes[0].address,
            update_call=self.lane.address,
            into=self.lane.parameters.ctypes.data,
            sums=self.sums.ctypes.data,
            penalised=self.penalised.ctypes.data,
            parameters=self.count,
            others=others,
            kept=self.kernel.block * self.kernel.blocks if self.kernel.blocks > 1 else 0,
            width=len(settings),
        )

    def _write(self, **fields: int) -> None:
        """What `steps` is to read: numbers and addresses, of what must live until it has run."""
        for name, x in fields.items():
            self.fields[FIELDS.index(name)] = x

    def run(self, orders: Sequence[Any], size: int, done: Callable[[float], object]) -> None:
        """Epochs: over the samples in each of these orders, in batches of `size`, and then done(J) for each.

        A step is taken in whole or not at all. Raises FloatingPointError for one that would leave the finite numbers.
        """
        samples = self.batch.samples
        starts = np.arange(0, samples, size)
        bounds = np.stack([starts, np.minimum(starts + size, samples)], axis=1)
        shares = (bounds[:, 1] - bounds[:, 0]) / samples
        if orders[0] is orders[-1]:
            order, bounds = np.asarray(orders[0]), np.tile(bounds, (len(orders), 1))
        else:
            order = np.concatenate(orders)
            bounds = np.concatenate([bounds + k * samples for k in range(len(orders))])
        for J in (self.steps(order, bounds).reshape(len(orders), -1) @ shares).tolist():
            done(J)

    def steps(self, order: Array, bounds: Array) -> Array:
        """A step for each row of `bounds`, on samples in `order` from one to before the other: J before each (E3)."""
        costs = np.empty(len(bounds), self.sums.dtype)
        before = copy(self.optimizer)
        settings = [self.optimizer.settings() for _ in range(len(bounds))]
        rows = np.fromiter(chain.from_iterable(settings), self.sums.dtype)
        kernel = self.kernel
        lane = kernel.lanes[0]
        stopped: list[BaseException] = []
        if kernel.threads > 1:  # then each gradient is a call back to Python
            states = cycle((self.now, self.then))

            def gradient(_: object) -> None:
                try:
                    first, last = lane.call[5:7].tolist()
                    p = next(states)[0, : self.count]
                    kernel.run(self.batch, p, self.sums, float(lane.weight[0]), order[first:last])
                except BaseException as error:  # Ctrl-C, say, of which the native caller would not know
                    stopped.append(error)
                    self.sums[0] = np.nan  # a step that is not taken

            called = FUNCTION(gradient)
            self._write(gradient=ctypes.cast(called, ctypes.c_void_p).value or 0)
        self._write(
            now=self.now.ctypes.data,
            then=self.then.ctypes.data,
            now_inputs=self.inputs[0].address,
            then_inputs=self.inputs[1].address,
            settings=rows.ctypes.data,
            bounds=bounds.ctypes.data,
            costs=costs.ctypes.data,
            steps=len(bounds),
        )
        kernel.check_constants()
        with kernel.lock:
            lane.aim(self.batch, self.sums, order, 0, 0, 0.0)
            self.loop.run(self.fields.ctypes.data)
        taken = int(self.fields[FIELDS.index("taken")])
        if taken % 2:
            self.now, self.then = self.then, self.now
            self.inputs.reverse()
        if taken < len(bounds):
            vars(self.optimizer).update(vars(before))  # which counts the steps that were taken
            for _ in range(taken):
                self.optimizer.settings()
            raise stopped[0] if stopped else left_the_finite_numbers(float(costs[taken]), self.taken + taken)
        self.taken += taken
        return costs

    def write_back(self) -> None:
        """Make the Values' data, and what the optimiser remembers, those of the steps so far."""
        p, *memory = self.now[:, : self.count].tolist()
        for parameter, x in zip(self.program.parameters, p):
            parameter.data = x
        self.optimizer.remembered = list(zip(*memory)) if memory else [()] * len(p)

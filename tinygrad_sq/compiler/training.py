"""Training: the steps of an optimiser in native code, gradient and update both."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_sq.compiler.kernel import Array, Lane, Mode
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
        if [id(p) for p in optimizer.parameters] != [id(p) for p in program.parameters]:
            raise ValueError("expected an optimizer of the program's params, in the same order")
        self.program, self.optimizer, self.lam = program, optimizer, lam
        self.batch = program.batch(args)
        self.kernel = program.kernel(Mode.GRADIENT, self.batch)
        self.sums = self.kernel.room(self.batch.samples)
        penalised = set(weights)
        self.loop = steps("double" if program.dtype == np.float64 else "float")
        self.penalised = np.array([p in penalised for p in program.parameters], program.dtype)

        settings = [Value(x) for x in copy(optimizer).settings()]  # of a copy, since it counts its steps
        update = type(program)(lambda *x: optimizer.rule(settings, *x), settings, program.dtype.name)
        now = [program.data(), *np.array(optimizer.remembered, program.dtype).T]
        self.count = len(now[0])
        kernel = update.kernel(Mode.EACH, update.batch((now[0], self.sums[1:], *now[1:])))
        # The parameters and what is remembered of each, before a step and after it, and the update of one by the other:
        # they change places at each step.
        self.now, self.then = [kernel.room(self.count) for _ in range(2)]
        self.now[:, : self.count] = now
        self.inputs = [
            update.batch((p, self.sums[1:], *memory))
            for p, *memory in (state[:, : self.count] for state in (self.now, self.then))
        ]
        self.lane = Lane(kernel)
        self.lane.aim(self.inputs[0], self.then, self.inputs[0].order, 0, self.count, 1.0)

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
        kernel, update = self.kernel, self.lane
        lane = kernel.lanes[0]

        def gradient(_: object) -> None:  # with several threads; else the kernel itself, without a return to Python
            first, last = lane.call[5:7].tolist()
            kernel.run(self.batch, lane.scalars[: self.count], self.sums, float(lane.weight[0]), order[first:last])

        before = copy(self.optimizer)
        settings = np.array([self.optimizer.settings() for _ in bounds], self.sums.dtype)
        arrays = {
            "scalars": lane.scalars,
            "into": update.scalars,
            "sums": self.sums,
            "now": self.now,
            "then": self.then,
            "settings": settings,
            "penalised": self.penalised,
            "bounds": bounds,
            "costs": costs,
        }
        called = FUNCTION(gradient)
        values = {name: array.ctypes.data for name, array in arrays.items()} | {
            "gradient": kernel.native.address if kernel.threads == 1 else ctypes.cast(called, ctypes.c_void_p).value,
            "update": update.native.address,
            "gradient_call": lane.address,
            "update_call": update.address,
            "now_inputs": self.inputs[0].address,
            "then_inputs": self.inputs[1].address,
            "parameters": self.count,
            "width": settings.shape[1],
            "steps": len(bounds),
        }
        fields = np.array([values.get(name, 0) for name in FIELDS], np.int64)
        fields[FIELDS.index("lam") :].view(self.sums.dtype)[0] = self.lam
        kernel.check_constants()
        with kernel.lock:
            lane.aim(self.batch, self.sums, order, 0, 0, 0.0)
            self.loop.run(fields.ctypes.data)
        taken = int(fields[FIELDS.index("taken")])
        if taken % 2:
            self.now, self.then = self.then, self.now
            self.inputs.reverse()
        if taken < len(bounds):
            vars(self.optimizer).update(vars(before))  # which counts the steps that were taken
            for _ in range(taken):
                self.optimizer.settings()
            raise left_the_finite_numbers(float(costs[taken]))
        return costs

    def write_back(self) -> None:
        """Make the Values' data, and what the optimiser remembers, those of the steps so far."""
        p, *memory = self.now[:, : self.count].tolist()
        for parameter, x in zip(self.program.parameters, p):
            parameter.data = x
        self.optimizer.remembered = list(zip(*memory)) if memory else [()] * len(p)

"""Training: the steps of an optimiser in native code, gradient and update both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_sq.compiler.kernel import Lane, Mode
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
        self.order = np.arange(self.batch.samples)
        penalised = set(weights)
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
        self.every = np.arange(self.count)
        self.updates = []
        for before, after in (self.now, self.then), (self.then, self.now):
            p, *memory = before[:, : self.count]
            batch, lane = update.batch((p, self.sums[1:], *memory)), Lane(kernel)
            lane.aim(batch, after, self.every, 0, self.count, 1.0)
            self.updates.append((lane, batch))

    def step(self, order: Sequence[int]) -> float:
        """J of the samples numbered in `order` (E3), before a step that is taken in whole or not at all."""
        if len(order) != len(self.order):
            self.order = np.empty(len(order), np.int64)
        self.order[:] = order
        self.sums.fill(0.0)
        p = self.now[0, : self.count]
        self.kernel.run(self.batch, p, self.sums, 1.0 / len(order), self.order)
        J = float(self.sums[0])
        if self.lam:
            with np.errstate(over="ignore"):  # found out below
                w = self.penalised * p
                J += 0.5 * self.lam * float(w @ w)
                self.sums[1:] += self.lam * w
        settings = np.array(self.optimizer.settings(), self.sums.dtype)
        lane, _ = self.updates[0]
        lane(settings)
        if not (math.isfinite(J) and np.isfinite(self.then[0]).all()):
            raise left_the_finite_numbers(J)
        self.now, self.then = self.then, self.now
        self.updates.reverse()
        return J

    def write_back(self) -> None:
        """Make the Values' data, and what the optimiser remembers, those of the steps so far."""
        p, *memory = self.now[:, : self.count].tolist()
        for parameter, x in zip(self.program.parameters, p):
            parameter.data = x
        self.optimizer.remembered = list(zip(*memory)) if memory else [()] * len(p)

"""Training: the steps of an optimiser in native code, gradient and update both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_sq.compiler.kernel import Mode
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
        penalised = set(weights)
        self.penalised = np.array([p in penalised for p in program.parameters], program.dtype)
        self.sums = np.zeros(len(self.kernel.rolled.outputs), program.dtype)
        self.update: Program | None = None
        self.state = [program.data(), *np.array(optimizer.remembered, program.dtype).T]

    def step(self, order: Sequence[int]) -> float:
        """J of the samples numbered in `order` (E3), before a step that is taken in whole or not at all."""
        p, *memory = self.state
        self.sums[:] = 0.0
        numbers = np.array(order, np.int64)
        self.kernel.run(self.batch, p, self.sums, 1.0 / len(numbers), numbers)
        J, g = float(self.sums[0]), self.sums[1:]
        if self.lam:
            w = self.penalised * p
            J += 0.5 * self.lam * float(w @ w)
            g = g + self.lam * w
        state = self._update(p, g, *memory)
        if not (np.isfinite(J) and np.isfinite(state[0]).all()):
            raise left_the_finite_numbers(J)
        self.state = list(state)
        return J

    def _update(self, *arrays: Any) -> Any:
        now = self.optimizer.settings()
        if self.update is None:
            settings = [Value(x) for x in now]
            rule = self.optimizer.rule
            self.update = type(self.program)(lambda *x: rule(settings, *x), settings, self.program.dtype.name)
        for setting, x in zip(self.update.parameters, now):
            setting.data = x
        return self.update.each(*arrays)

    def write_back(self) -> None:
        """Make the Values' data, and what the optimiser remembers, those of the steps so far."""
        p, *memory = [array.tolist() for array in self.state]
        for parameter, x in zip(self.program.parameters, p):
            parameter.data = x
        self.optimizer.remembered = list(zip(*memory)) if memory else [()] * len(p)

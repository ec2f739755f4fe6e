"""Expressions written down as data, so that the engine and mpmath can evaluate the same one, each in its own way.

The exact derivatives are difference quotients of the whole expression, in a precision so high that 50 digits of them
are right. How far rounding may put the engine off is asked of the expression too: each operation and each of its
operands is disturbed in turn by half an ulp, and what that does to the exact derivative is added up. That sum is the
unit of the tests' tolerances: a derivative that is well conditioned must be right to a few ulps, and one that hangs
on cancelled digits need not be better than any float arithmetic can make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, product
from typing import Any, NamedTuple

import mpmath as mp
import oracle

from tinygrad_sq.op import Op
from tinygrad_sq.value import Value, record

HALF_ULP = 2.0**-53
BITS = 700


class Step(NamedTuple):
    """One operation. An operand that is an int is the node of that number (leaves first), a float a constant."""

    row: Op
    operands: tuple[int | float, ...]

    @property
    def nodes(self) -> list[int]:
        return [arg for arg in self.operands if isinstance(arg, int)]


class Expression(NamedTuple):
    """Leaves by their values, and the steps. The last `outputs` nodes are the results."""

    leaves: tuple[float, ...]
    steps: tuple[Step, ...]
    outputs: int = 1

    def __call__(self, *xs: Any) -> Any:
        """On Values, the way a user's function would: one result, or a list."""
        nodes: list[Any] = list(xs)
        for row, operands in self.steps:
            nodes.append(_call(row, [nodes[arg] if isinstance(arg, int) else arg for arg in operands]))
        return nodes[-1] if self.outputs == 1 else nodes[-self.outputs :]

    def values(self) -> list[Value]:
        return [Value(x, f"x[{i}]") for i, x in enumerate(self.leaves)]

    def exact(self, *orders: int) -> Any:
        """The derivative of the (only) result by the leaves of these numbers, to 50 digits."""
        return self._derivative(orders, {})

    def rounding(self, *orders: int) -> float:
        """What half an ulp of every operation and of every operand, together, may do to that derivative.

        A second derivative is given half an ulp of 1 at least, and a third one of 2: asin and atanh find theirs near 0
        as a difference, and hypot along a line through its origin.
        """
        with mp.workprec(BITS):
            exact = self._derivative(orders, {})
            places = chain(*[[(k, None), *((k, i) for i in range(len(s.operands)))] for k, s in enumerate(self.steps)])
            disturbed = [self._derivative(orders, {place: 1 + mp.mpf(HALF_ULP)}) for place in places]
            own = HALF_ULP * (abs(exact) if len(orders) < 2 else max(abs(exact), 2 ** (len(orders) - 2)))
            return float(sum((abs(d - exact) for d in disturbed), own + mp.mpf(10) ** -60))

    def _derivative(self, orders: Sequence[int], factors: dict[tuple[int, int | None], Any]) -> Any:
        """A central difference in each direction of `orders`."""
        with mp.workprec(BITS):
            h = mp.mpf(2) ** -120
            result = mp.mpf(0)
            for signs in product((1, -1), repeat=len(orders)):
                xs = [mp.mpf(x) for x in self.leaves]
                for i, sign in zip(orders, signs):
                    xs[i] += sign * h
                result += mp.fprod(signs) * self._evaluate(xs, factors)
            return result / (2 * h) ** len(orders)

    def _evaluate(self, nodes: list[Any], factors: dict[tuple[int, int | None], Any]) -> Any:
        frozen = iter(self._frozen())
        for k, (row, operands) in enumerate(self.steps):
            if row.partials == (None,):  # of which nothing is a function: differences must not see it move
                nodes.append(next(frozen))
                continue
            args = [
                (nodes[arg] if isinstance(arg, int) else mp.mpf(arg)) * factors.get((k, i), 1)
                for i, arg in enumerate(operands)
            ]
            nodes.append(mp.mpf(oracle.FUNCTIONS[row.name](*args)) * factors.get((k, None), 1))
        return nodes[-1]

    def _frozen(self) -> list[Any]:
        nodes = [mp.mpf(x) for x in self.leaves]
        frozen = []
        for row, operands in self.steps:
            args = [nodes[arg] if isinstance(arg, int) else mp.mpf(arg) for arg in operands]
            nodes.append(mp.mpf(oracle.FUNCTIONS[row.name](*args)))
            if row.partials == (None,):
                frozen.append(nodes[-1])
        return frozen


def _call(row: Op, args: list[Any]) -> Any:
    """row(*args) past the defaults and lists of a call; a number of numbers."""
    if any(isinstance(arg, Value) for arg in args):
        return record(row, tuple(args))
    return row.forward(*args)

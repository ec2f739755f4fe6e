"""Floats that know how wrong they may be: the closed form run on them yields its own tolerance."""

from __future__ import annotations

from typing import Any

EPSILON = 2.0**-53  # half an ulp of 1: the largest relative error of one rounding
UNDERFLOW = 1e-300  # below, rounding errors are no longer relative; nothing that small is compared


class Rounded(float):
    """A float and a bound, to first order, on the rounding errors made on the way to it.

    A sum counts the size of both summands, not its own: where they cancel, the error stays.
    """

    error: float

    def __new__(cls, x: float, error: float = 0.0) -> Rounded:
        self = super().__new__(cls, x)
        self.error = error
        return self

    def __add__(self, other: float) -> Rounded:
        x, y = float(self), float(other)
        return Rounded(x + y, self.error + error(other) + EPSILON * (abs(x) + abs(y)))

    __radd__ = __add__

    def __neg__(self) -> Rounded:
        return Rounded(-float(self), self.error)

    def __sub__(self, other: float) -> Rounded:
        return self + -other

    def __mul__(self, other: float) -> Rounded:
        x, y = float(self), float(other)
        return Rounded(x * y, self.error * abs(y) + abs(x) * error(other) + EPSILON * abs(x * y))

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> Rounded:
        return self * (1.0 / other)

    def __pow__(self, n: int, modulus: None = None) -> Rounded:  # type: ignore[override]
        result = Rounded(1.0)
        for _ in range(n):
            result = result * self
        return result


def error(x: float) -> float:
    """The bound on the error of x: 0 for a plain float."""
    return x.error if isinstance(x, Rounded) else 0.0


def rounded(exact: Any) -> Any:
    """A float, or lists and dicts of them, as Rounded without error."""
    if isinstance(exact, dict):
        return {key: rounded(value) for key, value in exact.items()}
    if isinstance(exact, list | tuple):
        return [rounded(value) for value in exact]
    return Rounded(exact)


def agree(engine: Any, closed: Any) -> bool:
    """Whether the engine's numbers are those of the closed form, but for rounding: lists and dicts element by element.

    The engine may add up to nine summands in another order, each as large as their sizes together: hence 16 times.
    """
    if isinstance(closed, dict):
        return engine.keys() == closed.keys() and all(agree(engine[key], closed[key]) for key in closed)
    if isinstance(closed, list):
        return len(engine) == len(closed) and all(map(agree, engine, closed))
    return bool(abs(engine - float(closed)) <= 16.0 * error(closed) + UNDERFLOW)

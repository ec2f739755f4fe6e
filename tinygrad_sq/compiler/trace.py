"""Trace: run the function once on Values that stand for any sample, and record what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from numbers import Real
from typing import Any, NoReturn

from tinygrad_sq.anomaly import caller
from tinygrad_sq.context import context_with
from tinygrad_sq.value import Value


class TraceError(TypeError):
    """The function does with its arguments what a compiled program cannot."""


class Unknown:
    """The number of a Value whose number differs from sample to sample or call to call, while compile traces.

    Nodes made of it have it too. Whoever computes with it, compares or converts it gets a TraceError.
    """

    def refuse(self, label: str = "") -> NoReturn:
        raise TraceError(
            f"{caller()} branches on {label or 'a value'}, or takes its number out of the graph, but it differs from "
            "sample to sample or call to call; where(less(a, b), x, y) takes a branch, stop_gradient(x) stops gradients"
        )

    def operate(self, *others: Any) -> NoReturn:
        self.refuse()

    # In place of a row's, where an operand is unknown.

    def forward(self, *xs: float) -> Unknown:
        return self

    def gradient(self, y: float, *xs: float) -> tuple[Unknown, ...]:
        return (self,) * len(xs)

    def __repr__(self) -> str:
        return "unknown"

    def __format__(self, spec: str) -> str:
        return "unknown"


_OPERATIONS = (
    "abs add bool ceil divmod eq float floor floordiv ge gt index int le lt mod mul ne neg pos pow radd rdivmod "
    "rfloordiv rmod rmul round rpow rsub rtruediv sub truediv trunc"
)
for _name in _OPERATIONS.split():
    setattr(Unknown, f"__{_name}__", Unknown.operate)

Real.register(Unknown)  # so that it is refused as one, and not as what is no number
_UNKNOWN: Any = Unknown()


def unknown(label: str) -> Value:
    """A leaf for an argument."""
    leaf = Value(0.0, label)
    leaf.data = _UNKNOWN
    return leaf


def tracing() -> AbstractContextManager[None]:
    """`with tracing():` no Value can be compared, converted or detached: its number is one of many to come."""
    return context_with(unknown=_UNKNOWN, recording=True, origins=None)


def trace(f: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """f(*args), recorded. The scalars in args are `unknown`."""
    with tracing():
        return f(*args)

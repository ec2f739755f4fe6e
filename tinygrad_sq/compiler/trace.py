"""Trace: run the function once on Values that stand for any sample, and record what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from tinygrad_sq.anomaly import caller
from tinygrad_sq.context import context_with
from tinygrad_sq.value import Value


class TraceError(TypeError):
    """The function does with its arguments what a compiled program cannot."""


def _refuse(v: Value) -> NoReturn:
    raise TraceError(
        f"{caller()} branches on {v.label or 'a value'}, or takes its number out of the graph, but it differs from "
        "sample to sample or call to call; where(less(a, b), x, y) takes a branch, stop_gradient(x) stops gradients"
    )


def tracing() -> AbstractContextManager[None]:
    """`with tracing():` no Value can be compared, converted or detached: its number is one of many to come."""
    return context_with(refuse=_refuse, recording=True, origins=None)


def trace(f: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """f(*args), recorded. The scalars in args are Values with the numbers of some sample."""
    with tracing():
        return f(*args)

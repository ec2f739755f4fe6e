"""Trace: run the function once on Values that stand for any sample, and record what it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from tinygrad_sq.value import Value, context_with


class TraceError(TypeError):
    """The function does with its arguments what a compiled program cannot."""


def _refuse(v: Value) -> NoReturn:
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "tinygrad_sq":
        frame = frame.f_back
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    raise TraceError(
        f"{place} branches on {v.label or 'a value'} (or converts it to a number), which differs from sample to sample "
        "or from call to call; a compiled function takes both branches: where(less(a, b), x, y) chooses between them"
    )


def tracing() -> AbstractContextManager[None]:
    """`with tracing():` no Value can be compared or converted: its number is that of one sample among many."""
    return context_with(refuse=_refuse, recording=True, origins=None)


def trace(f: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """f(*args), recorded. The scalars in args are Values with the numbers of some sample."""
    with tracing():
        return f(*args)

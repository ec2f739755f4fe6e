"""Trace: run the function once on Values that stand for any sample, and record what it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from tinygrad_sq.value import Value, context_with


class TraceError(TypeError):
    """The function does with its arguments what a compiled program cannot."""


class Traced(Value):
    """A Value that stands for that of every sample: there is no number yet to compare or to convert."""

    __slots__ = ()
    traced = True

    def _refuse(self, *_: object) -> NoReturn:
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "tinygrad_sq":
            frame = frame.f_back
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        raise TraceError(
            f"{place} branches on {self.label or 'a value'} (or converts it to a number), which differs from sample to "
            "sample; a compiled function takes both branches: where(less(a, b), x, y) chooses between them"
        )

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __float__ = __int__ = __round__ = _refuse


def tracing() -> AbstractContextManager[None]:
    """`with tracing():` the nodes made inside are Traced."""
    return context_with(node_type=Traced, recording=True, origins=None)


def trace(f: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """f(*args), its nodes Traced. The scalars in args are Traced already, with the numbers of some sample."""
    with tracing():
        return f(*args)

"""What `no_grad`, `detect_anomaly` and `scope` switch on, for the present thread or task alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from tinygrad_sq.anomaly import Origins
    from tinygrad_sq.compiler.trace import Unknown


class Context:
    """What is switched on.

    recording  whether operands and partials are kept
    origins    under detect_anomaly, the line that made each node
    scope      the scope of what is made
    unknown    while compile traces: the number of whatever differs from sample to sample or call to call
    plain      whether a node is recorded, and that is all
    """

    __slots__ = ("recording", "origins", "scope", "unknown", "plain")  # not a NamedTuple: each node reads them

    def __init__(
        self,
        recording: bool = True,
        origins: Origins | None = None,
        scope: tuple[str, ...] = (),
        unknown: Unknown | None = None,
    ) -> None:
        self.recording = recording
        self.origins = origins
        self.scope = scope
        self.unknown = unknown
        self.plain = recording and origins is None and unknown is None


_nothing_on = Context()
_variable = ContextVar("tinygrad_sq", default=_nothing_on)
context: Callable[[], Context] = _variable.get  # the present one; bound here once, since each node asks for it


@contextmanager
def context_with(**changes: Any) -> Iterator[None]:
    now = context()
    present = {"recording": now.recording, "origins": now.origins, "scope": now.scope, "unknown": now.unknown}
    token = _variable.set(Context(**present | changes))
    try:
        yield
    finally:
        _variable.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """`with no_grad():` compute values alone; what is made inside is a leaf. Works as a decorator too."""
    with context_with(recording=False):
        yield


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """`with detect_anomaly():` the first value or gradient that is not finite raises a FloatingPointError that names
    the op, the operands, the label and the line that made it. Slow: it is for looking for a fault."""
    with context_with(origins=WeakKeyDictionary()):
        yield


def detecting_anomaly() -> bool:
    return context().origins is not None


@contextmanager
def scope(name: str) -> Iterator[None]:
    """`with scope("attention"):` what is made inside belongs together, in pictures too. Scopes nest."""
    with context_with(scope=(*context().scope, name)):
        yield

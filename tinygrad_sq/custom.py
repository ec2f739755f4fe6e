"""`custom_op`: a primitive of one's own, a row of the table like any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_sq.gradcheck import gradcheck
from tinygrad_sq.op import Interval, Op, Partial
from tinygrad_sq.table import rows
from tinygrad_sq.value import record


def custom_op(
    name: str,
    forward: Callable[..., float],
    partials: tuple[Partial, ...] | Callable[..., tuple[Any, ...]],
    doc: str = "a user's own primitive",
    *,
    check: bool = True,
    **columns: Any,
) -> Op:
    """Add a row to the table and return it: `cube = custom_op("cube", lambda x: x**3, (lambda y, x: 3.0 * x**2,))`.

    forward takes floats and gives a float. Each partial takes the output and the operands, and is written with rows and
    operators, so that it works on Values too: that gives every higher derivative. The other columns are those of `Op`
    (symbol, text, latex, arity, domain, kink, ...); arity defaults to the number of partials.

    Unless check is False, `gradcheck` holds the partials, and the partials of the partials, against differences at
    points of the domain; if they differ the row is not added, and ValueError shows the table of differences.
    """
    if isinstance(partials, tuple):
        columns.setdefault("arity", len(partials))
    op = Op(name, forward, partials, doc, **columns)
    try:
        if check:
            for point in _points(op):
                if not (report := gradcheck(lambda *xs: record(op, xs), point)):
                    raise ValueError(f"the partials of {name!r} are not its derivatives:\n{report}")
    except BaseException:
        del rows[name]
        raise
    return op


def _points(op: Op) -> Iterator[list[float]]:
    """Points of the domain at some distance from the nearest kink."""
    n = op.arity if isinstance(op.arity, int) else op.arity[:3][-1]
    domain = op.domain if len(op.domain) == n else op.domain * n
    for k in range(len(_STEPS)):
        point = [_at(interval, _STEPS[(k + i) % len(_STEPS)]) for i, interval in enumerate(domain)]
        if op.kink is None or op.kink(*point) > 0.05:
            yield point


_STEPS = [0.13, 0.71, 0.41, 0.57, 0.29, 0.83]


def _at(interval: Interval, t: float) -> float:
    """The point that lies the fraction t into the interval, or into its first three units where it has no end."""
    low, high = interval
    if math.isinf(low):
        low = -3.0 if math.isinf(high) else high - 3.0
    if math.isinf(high):
        high = low + (6.0 if math.isinf(interval[0]) else 3.0)
    return low + (high - low) * t

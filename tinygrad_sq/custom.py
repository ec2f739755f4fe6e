"""`custom_op`: a primitive of one's own, a row of the table like any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any

from tinygrad_sq.checks import checked
from tinygrad_sq.gradcheck import gradcheck
from tinygrad_sq.op import Interval, Op, Partial
from tinygrad_sq.study.formula import LATEX, TEXT
from tinygrad_sq.table import rows
from tinygrad_sq.value import Value, record


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
    points of the domain; if they differ the row is not added, and ValueError shows the table of differences. An error
    of forward or of a partial at such a point gets a note that says which point it was.

    Raises TypeError and ValueError for a name, a domain, formulas and partials that are not of the right form.
    """
    if not checked(name, str, "a name to be a str").isidentifier() or iskeyword(name):
        raise ValueError(f"expected a name that a function can have, got {name!r}")
    checked(forward, Callable, "forward to be a function")
    if isinstance(partials, tuple):
        columns.setdefault("arity", len(partials))
        partials = tuple([_real(d) if callable(d) else d for d in partials])
    else:
        checked(partials, Callable, "partials to be a tuple of functions, or a function that gives a tuple")
        partials = _real(partials)
    op = Op(name, forward, partials, doc, **columns)
    try:
        _check_columns(op)
        if check:
            for point in _points(op):
                _check_derivatives(op, point)
    except BaseException:
        del rows[name]
        raise
    return op


def _real(partial: Callable[..., Any]) -> Callable[..., Any]:
    """The partial, or all of them, with IEEE 754's NaN where Python makes a complex number of a power: (-1.0)**0.5."""

    def real(*xs: Any) -> Any:
        d = partial(*xs)
        if isinstance(d, (tuple, list)):
            return tuple([math.nan if isinstance(each, complex) else each for each in d])
        return math.nan if isinstance(d, complex) else d

    return real


def _check_columns(op: Op) -> None:
    n = _some_operands(op)
    try:
        fits = len(op.domain) in (1, n) and all(low < high for low, high in op.domain)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        expected = "one interval for all operands or one for each, as ((0.0, inf),) is"
        raise ValueError(f"expected the domain of {op.name!r} to be {expected}, got {op.domain!r}")
    for column, notation in (("text", TEXT), ("latex", LATEX)):
        try:
            notation.operation(op, [1.0] * n, {})
        except (IndexError, KeyError, ValueError) as error:
            expected = "a template, in which {0} is the first operand, or a function of the operands' formulas"
            raise ValueError(f"expected the {column} of {op.name!r} to be {expected}: {error}") from None


def _check_derivatives(op: Op, point: list[float]) -> None:
    try:
        if callable(op.partials):
            partials = op.partials(Value(op.forward(*point)), *map(Value, point))
            if not isinstance(partials, (tuple, list)) or len(partials) != len(point):
                expected = "a tuple of functions, or a function that gives a tuple, of one for each operand"
                raise TypeError(f"expected partials to be {expected}; it gave {partials!r:.60}")
        report = gradcheck(lambda *xs: record(op, xs), point)
    except Exception as error:
        error.add_note(f"in the check of {op.name!r} at {point}, a point of its domain={op.domain}")
        raise
    if not report:
        raise ValueError(f"the partials of {op.name!r} are not its derivatives:\n{report}")


def _some_operands(op: Op) -> int:
    """A number of operands that it takes."""
    return op.arity if isinstance(op.arity, int) else op.arity[:3][-1]


def _points(op: Op) -> Iterator[list[float]]:
    """Points of the domain at some distance from the nearest kink."""
    n = _some_operands(op)
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

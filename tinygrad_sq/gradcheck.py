"""`gradcheck`: the engine's derivatives held against differences of the function's own values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinygrad_sq.calculus import gradient
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import number
from tinygrad_sq.tree import flatten
from tinygrad_sq.value import Value


class Check(NamedTuple):
    """One derivative and its reference. `uncertainty` is how far the reference itself may be off."""

    derivative: str
    at: float
    engine: float
    reference: float
    uncertainty: float
    method: str

    @property
    def error(self) -> float:
        return 0.0 if _same(self.engine, self.reference) else abs(self.engine - self.reference)

    @property
    def ok(self) -> bool:
        return self.error <= self.uncertainty


class Report(NamedTuple):
    """The result of `gradcheck`: true if every check is ok; prints as a table."""

    checks: list[Check]

    def __bool__(self) -> bool:
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        head = ("derivative", "at", "engine", "reference", "error", "allowed", "by", "")
        rows = [head]
        for c in self.checks:
            numbers = f"{c.at:.6g}", f"{c.engine:.12g}", f"{c.reference:.12g}", f"{c.error:.1e}", f"{c.uncertainty:.1e}"
            rows.append((c.derivative, *numbers, c.method, "ok" if c.ok else "WRONG"))
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def gradcheck(f: Callable[..., Any], xs: Sequence[Any], order: int = 2) -> Report:
    """Check the derivatives of f at the arguments `xs` (scalars or nested lists of scalars), up to order 1 or 2.

    The reference is a complex step, Im f(x + ih) / h with h = 1e-30, where every row in f's graph has a complex form
    (exact to rounding); otherwise central differences of f with Richardson extrapolation (Ridders), which also say how
    far off they may be. For the second order the function is the gradient graph of the first.

    Differences know nothing of the subgradient at a kink: check there against the definition instead.
    Raises TypeError if f's result is not a Value.
    """
    leaves, rebuild = flatten(tuple(xs))
    point = [number(x) for x in leaves]
    names = [f"x{i}" for i in range(len(point))] if len(point) > 1 else ["x"]

    def evaluate(at: Sequence[float]) -> tuple[Value, list[Value]]:
        variables = [Value(x, name) for x, name in zip(at, names)]
        y = f(*rebuild(variables))
        if not isinstance(y, Value):
            raise TypeError(f"gradcheck takes a function with one Value as its result, got {type(y).__name__}")
        return y, variables

    y, variables = evaluate(point)
    first = gradient(y, variables)
    size = _size(y, *first)
    checks = _check("f", y, variables, first, lambda at: evaluate(at)[0].data, size)
    if order > 1:
        for i, g in enumerate(first):

            def component(at: Sequence[float], i: int = i) -> float:
                return gradient(*evaluate(at))[i].data

            second = gradient(g, variables)
            checks += _check(f"∂f/∂{names[i]}", g, variables, second, component, max(size, _size(*second)))
    return Report(checks)


def _size(*values: Value) -> float:
    """The largest magnitude in play, to which rounding errors are relative."""
    return max([0.0, *(abs(v.data) for v in values if math.isfinite(v.data))])


def _check(
    name: str,
    y: Value,
    variables: list[Value],
    derivatives: list[Value],
    f: Callable[[Sequence[float]], float],
    size: float,
) -> list[Check]:
    point = [v.data for v in variables]
    checks = []
    for i, (x, derivative) in enumerate(zip(variables, derivatives)):
        method = "complex step"
        reference = _complex_step(y, x)
        uncertainty = 1e-13 * size
        if reference is None:
            method = "differences"

            def along(t: float, i: int = i) -> float:
                return f([*point[:i], t, *point[i + 1 :]])

            reference, uncertainty = _differences(along, x.data)
            uncertainty = 10.0 * uncertainty + 1e-9 * size
        checks.append(Check(f"∂({name})/∂{x.label}", x.data, derivative.data, reference, uncertainty, method))
    return checks


def _complex_step(y: Value, x: Value, h: float = 1e-30) -> float | None:
    """Im y(x + ih) / h over the recorded graph; None where a row has no complex form or leaves its domain."""
    value: dict[Value, complex] = {}
    for node in topological_order(y):
        if node is x:
            value[node] = complex(node.data, h)
        elif node.op is None:
            value[node] = complex(node.data)
        elif node.op.analytic is None:
            return None
        else:
            try:
                value[node] = node.op.analytic(*[value[arg] if isinstance(arg, Value) else arg for arg in node.args])
            except (ValueError, ZeroDivisionError, OverflowError):
                return None
            if not math.isclose(value[node].real, node.data, rel_tol=1e-9, abs_tol=1e-300):  # off the real domain
                return None
    return value[y].imag / h


def _differences(f: Callable[[float], float], x: float) -> tuple[float, float]:
    """f'(x) from central differences with steps h, h/2, h/4, ..., extrapolated to h = 0, and an error estimate.

    The estimate is the spread of the extrapolation and what the rounding of f does to it, which grows as h shrinks.
    """
    h = max(abs(x), 1.0) / 32.0
    best, uncertainty, size = math.nan, math.inf, 0.0
    previous: list[float] = []
    for _ in range(40):
        ahead, behind = f(x + h), f(x - h)
        row = [(ahead - behind) / ((x + h) - (x - h))]
        size = max([size, *(abs(y) for y in (ahead, behind) if math.isfinite(y))])
        rounding = math.ulp(size) / h
        if rounding >= uncertainty:
            break
        for k, coarse in enumerate(previous[:8], 1):
            row.append(row[-1] + (row[-1] - coarse) / (4.0**k - 1.0))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - coarse)) + rounding
            if error <= uncertainty:
                best, uncertainty = row[-1], error
        previous = row
        h /= 2.0
    return best, uncertainty


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))

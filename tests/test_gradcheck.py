"""`gradcheck` finds what is wrong, lets pass what is right, and says both in a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from expressions import Expression
from hypothesis import given, settings
from strategies import expressions

from tinygrad_sq import Value, dot, gradcheck, log, relu, sin, sqrt, stop_gradient, table
from tinygrad_sq.gradcheck import Check, Report
from tinygrad_sq.op import Op

FLOWING = [row for row in table.rows.values() if row.partials != (None,)]


@settings(max_examples=200, deadline=None)
@given(e=expressions(FLOWING))
def test_what_is_right_passes(e: Expression) -> None:
    """Of every expression, away from kinks, first and second derivatives are found to be ok, n + n² of them."""
    report = gradcheck(lambda *xs: e(*xs), e.leaves)
    assert report, f"\n{report}"
    n = len(e.leaves)
    assert len(report.checks) == n + n * n


@pytest.fixture
def rows() -> Iterator[dict[str, Op]]:
    """The table, put back as it was."""
    before = dict(table.rows)
    yield table.rows
    table.rows.clear()
    table.rows.update(before)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("analytic", [None, lambda x: x * x * x])
@pytest.mark.parametrize("factor", [-3.0, 3.0 + 1e-6, 2.0, 0.0, math.nan, math.inf])
def test_a_wrong_partial_is_found(analytic: Any, factor: float) -> None:
    """A wrong sign, a wrong factor, one that is off in the sixth digit: by differences and by complex step."""
    cube = Op("cube", lambda x: x * x * x, (lambda y, x: factor * x * x,), "x³", analytic=analytic)
    report = gradcheck(lambda x, y: cube(x) * y, [1.5, 2.0], order=1)
    assert not report
    assert [check.ok for check in report.checks] == [False, True]
    assert "WRONG" in str(report).splitlines()[1]


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("analytic", [None, lambda x: x * x * x])
def test_a_wrong_second_derivative_is_found(analytic: Any) -> None:
    """A partial that is right as a number and wrong as a graph."""
    cube = Op("cube", lambda x: x * x * x, (lambda y, x: 3.0 * x * stop_gradient(x),), "x³", analytic=analytic)
    assert gradcheck(cube, [1.5], order=1)
    first, second = gradcheck(cube, [1.5]).checks
    assert (first.ok, second.ok) == (True, False)
    assert second.reference == pytest.approx(9.0)


def test_the_report_prints_as_a_table() -> None:
    """A line for each derivative: where, by the engine, by the reference, how far off, how far off it may be."""
    report = gradcheck(lambda x, y: x * sin(y), [1.0, 2.0])
    assert bool(report)
    head, *lines = str(report).splitlines()
    assert head.split() == ["derivative", "at", "engine", "reference", "error", "allowed", "by"]
    assert [line.split()[0] for line in lines] == [
        *("∂(f)/∂x0", "∂(f)/∂x1", "∂(∂f/∂x0)/∂x0", "∂(∂f/∂x0)/∂x1", "∂(∂f/∂x1)/∂x0", "∂(∂f/∂x1)/∂x1")
    ]
    assert lines[1].split()[:4] == ["∂(f)/∂x1", "2", "-0.416146836547", "-0.416146836547"]
    assert lines[1].endswith("complex step  ok")
    assert len({line.index("ok") for line in lines}) == 1
    one = gradcheck(lambda x: x * x, [3.0], order=1)
    assert [check.derivative for check in one.checks] == ["∂(f)/∂x"]
    assert (one.checks[0].at, one.checks[0].engine, one.checks[0].method) == (3.0, 6.0, "complex step")


def test_a_nan_agrees_with_a_nan_alone() -> None:
    """NaN beside a number is wrong, NaN beside NaN is not, and inf equals inf."""

    def check(engine: float, reference: float) -> Check:
        return Check("∂(f)/∂x", 0.0, engine, reference, 1e-9, "differences")

    assert check(math.nan, math.nan).ok
    assert check(math.inf, math.inf).ok
    assert not check(math.nan, 1.0).ok
    assert not check(1.0, math.nan).ok
    assert not check(math.inf, 1.0).ok
    assert not Report([check(1.0, 1.0), check(1.0, 2.0)])
    assert Report([])


def test_structures() -> None:
    """Arguments may be nested lists; each scalar in them is checked."""
    report = gradcheck(lambda w, p: dot(w, p["x"]) * p["b"], [[1.0, 2.0], {"x": (3.0, 4.0), "b": 5}], order=1)
    assert report
    assert [check.engine for check in report.checks] == [15.0, 20.0, 5.0, 10.0, 11.0]


def test_a_complex_step_that_leaves_the_domain_falls_back_on_differences() -> None:
    """log of a negative number is NaN here and complex to cmath: then the differences say NaN, too. A complex function
    that raises is no reference either."""
    (check,) = gradcheck(lambda x: log(x) * x, [-1.0], order=1).checks
    assert check.method == "differences"
    assert math.isnan(check.engine)
    assert check.ok
    (check,) = gradcheck(lambda x: 1.0 / (x - 2.0), [2.0], order=1).checks
    assert check.method == "differences"
    (check,) = gradcheck(lambda x: sqrt(x) + table.exp(x * 1e3), [2.0], order=1).checks
    assert check.method == "differences"


def test_near_the_end_of_a_domain() -> None:
    """Steps that leave the domain are halved until they stay in it."""
    for x in (1e-3, 1e-6):
        assert gradcheck(lambda x: log(x) + relu(x), [x], order=1)


def test_refusals() -> None:
    """A function whose result is no Value, and a point that is no number."""
    with pytest.raises(TypeError, match="one Value as its result, got float"):
        gradcheck(lambda x: 1.0, [2.0])
    with pytest.raises(TypeError, match="expected a real number"):
        gradcheck(lambda x: x, ["2.0"])


def test_values_as_points() -> None:
    """A Value is not a number to check at: it says so."""
    with pytest.raises(TypeError, match="expected a real number"):
        gradcheck(lambda x: x, [Value(2.0)])

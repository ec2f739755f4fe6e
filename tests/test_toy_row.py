"""Adding a primitive is adding one row: what a toy row gets for nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import operands_across
from test_table import check_no_exception, check_partials, check_second_partials, check_value, thorough

from tinygrad_sq import Value, ieee, table
from tinygrad_sq.calculus import grad
from tinygrad_sq.op import Op
from tinygrad_sq.study.draw import draw_dot, to_svg
from tinygrad_sq.study.formula import to_latex, to_text


@pytest.fixture(scope="module")
def cube() -> Iterator[Op]:
    """The toy row: three lines here, and nothing anywhere else."""
    yield Op("cube", lambda x: x * x * x, (lambda y, x: 3.0 * x * x,), "x³", symbol="x³", text="{0:5}**3",
        latex="{{{0:5}}}^3", precedence=4)  # fmt: skip
    del table.rows["cube"]


@pytest.fixture(scope="module")
def oracle_of_cube() -> Iterator[None]:
    """The one other line that a row costs: its answer by mpmath."""
    oracle.FUNCTIONS["cube"] = lambda x: x**3
    yield
    del oracle.FUNCTIONS["cube"]


def test_engine(cube: Op) -> None:
    """Of floats, of Values, forward, backward, in a larger graph."""
    assert cube(2.0) == 8.0
    x = Value(2.0, "x")
    y = cube(x) + cube(2.0 * x)
    assert y.data == 72.0
    y.backward()
    assert x.grad == 12.0 + 2.0 * 48.0
    assert table.row("cube") is cube


def test_every_higher_derivative(cube: Op) -> None:
    """d³(x³)/dx³ = 6, and no more after it."""
    f: Any = cube
    for expected in (27.0, 27.0, 18.0, 6.0, 0.0):
        assert f(3.0) == expected
        f = grad(f)


def test_picture(cube: Op) -> None:
    """Its symbol and its local derivative are drawn."""
    y = cube(Value(2.0, "x"))
    y.backward()
    for picture in (draw_dot(y).source, to_svg(y), y._repr_svg_() or ""):
        assert "x³" in picture
        assert "12" in picture


def test_formula(cube: Op) -> None:
    """Text and LaTeX, with parentheses where the row's precedence demands them."""
    x = Value(2.0, "x")
    assert to_text(cube(x)) == "x**3 = 8"
    assert to_text(cube(x + 1.0)) == "(x + 1)**3 = 27"
    assert to_text(2.0 * cube(x)) == "2 * x**3 = 16"
    assert to_latex(cube(x)) == "{x}^3"


@pytest.mark.usefixtures("oracle_of_cube")
@thorough(40)
@given(data=st.data())
def test_properties(cube: Op, data: st.DataObject) -> None:
    """The checks of test_table.py hold for it like for any row: mpmath, closedness, no exceptions."""
    point = data.draw(operands_across(cube, -300, 300))
    check_value(cube, point)
    check_partials(cube, point)
    check_second_partials(cube, data.draw(operands_across(cube, -3, 3)))
    check_no_exception(cube, (data.draw(st.floats()),))


def test_partials_that_divide_by_zero() -> None:
    """Written together for any number of operands, some of them constant, they too divide as IEEE 754 does."""
    row = Op("reciprocals", lambda *xs: sum(ieee.div(1.0, x) for x in xs[:-1]) + xs[-1],
        lambda y, *xs: (*[-1.0 / (x * x) for x in xs[:-1]], 1.0), "Σ 1/x_i, plus the last",
        arity=range(1, 9))  # fmt: skip
    try:
        y = row(Value(0.0), Value(2.0), 4.0, Value(3.0))
    finally:
        del table.rows["reciprocals"]
    assert (y.data, y.partials) == (math.inf, (-math.inf, -0.25, None, 1.0))
    assert all(partial is None or type(partial) is float for partial in y.partials)

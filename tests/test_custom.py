"""`custom_op`: a user's own primitive is a row like any other, if its partials are its derivatives."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Iterator
from math import inf
from sys import maxsize
from typing import Any

import pytest

from tinygrad_sq import Value, custom_op, grad, gradient, hessian, replay, table, where
from tinygrad_sq.op import POSITIVE, REALS
from tinygrad_sq.study.draw import draw_dot
from tinygrad_sq.study.formula import to_latex
from tinygrad_sq.table import rows


@pytest.fixture(autouse=True)
def _clean_table() -> Iterator[None]:
    """The table, put back as it was."""
    before = dict(rows)
    yield
    rows.clear()
    rows.update(before)


def cube_forward(x: float) -> float:
    return x * x * x


def cube_partial(y: Any, x: Any) -> Any:
    return 3.0 * x * x


def test_everything_that_reads_the_table_reads_it() -> None:
    """Values, gradients of any order, formulas, pictures, replay, copies and pickles."""
    cube = custom_op(
        "cube", cube_forward, (cube_partial,), "x³", symbol="x³", text="{0:5}**3", latex="{{{0:5}}}^3", precedence=4
    )
    x = Value(2.0, "x")
    y = cube(x + 1.0)
    assert table.row("cube") is cube
    assert cube(2.0) == 8.0
    assert (y.data, gradient(y, [x])[0].data, grad(grad(grad(cube)))(5.0)) == (27.0, 27.0, 6.0)
    assert (str(y), to_latex(y)) == ("(x + 1)**3 = 27", r"{\left(x + 1\right)}^3")
    assert "x³" in draw_dot(y).source
    assert replay(y, {x: 3.0}).data == 64.0
    assert pickle.loads(pickle.dumps(y)).op is cube
    assert copy.deepcopy(y).op is cube


def test_defaults() -> None:
    """As many operands as partials, the name as symbol and in both formulas, smooth on all reals."""
    hyp = custom_op("my_product", lambda x, y: x * y, (lambda z, x, y: y, lambda z, x, y: x))
    v = hyp(Value(2.0, "x"), 3.0)
    assert (hyp.arity, hyp.symbol, hyp.domain, hyp.kink) == (2, "my_product", (REALS,), None)
    assert str(v) == "my_product(x, 3) = 6"
    assert to_latex(v) == r"\operatorname{my\_product}\left(x, 3\right)"
    assert hyp.__doc__ == "my_product: a user's own primitive"


def test_wrong_partials_are_refused_with_the_table_of_differences() -> None:
    """A row that fails its gradcheck is not added, and the name is free again."""
    with pytest.raises(ValueError, match=r"the partials of 'cube' are not its derivatives:\n *derivative") as info:
        custom_op("cube", cube_forward, (lambda y, x: 2.0 * x * x,))
    assert "WRONG" in str(info.value)
    assert "cube" not in rows
    with pytest.raises(ZeroDivisionError):
        custom_op("cube", cube_forward, (lambda y, x: 1 // 0,))
    assert "cube" not in rows
    custom_op("cube", cube_forward, (cube_partial,))
    assert "cube" in rows


def test_a_wrong_second_derivative_is_refused() -> None:
    """A partial that is a right number and a wrong graph."""
    with pytest.raises(ValueError, match="WRONG"):
        custom_op("cube", cube_forward, (lambda y, x: 3.0 * table.stop_gradient(x) * x,))


def test_unchecked() -> None:
    """check=False adds what it is given: a straight-through estimator is no derivative of anything."""
    straight = custom_op("straight_round", table.round.forward, (1.0,), check=False)
    assert grad(straight)(2.4) == 1.0
    assert straight(2.4) == 2.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": 3}, TypeError, "expected a name to be a str, got int 3"),
        ({"name": "c5 a"}, ValueError, "expected a name that a function can have, got 'c5 a'"),
        ({"name": "lambda"}, ValueError, "expected a name that a function can have, got 'lambda'"),
        ({"forward": 3.0}, TypeError, "expected forward to be a function, got float 3.0"),
        ({"partials": [cube_partial]}, TypeError, "expected partials to be a tuple of functions, or .*, got list"),
        ({"partials": cube_partial}, TypeError, "expected partials to be a tuple of functions, or .*; it gave Value"),
        ({"partials": lambda y, x: (3.0 * x * x, 1.0)}, TypeError, r"expected partials .* one for each .*; it gave \("),
        ({"domain": (0.5, 9)}, ValueError, r"expected the domain of 'cube' to be one interval .*, got \(0.5, 9\)"),
        ({"domain": ((0.5, 9, 10),)}, ValueError, "expected the domain of 'cube' to be one interval"),
        ({"domain": ((9, 0.5),)}, ValueError, "expected the domain of 'cube' to be one interval"),
        ({"domain": (REALS, REALS)}, ValueError, "expected the domain of 'cube' to be one interval"),
        ({"latex": "{3}"}, ValueError, "expected the latex of 'cube' to be a template, in which .0. is the first"),
        ({"text": "{x}**3"}, ValueError, "expected the text of 'cube' to be a template, .*: 'x'"),
        ({"text": "{0"}, ValueError, "expected the text of 'cube' to be a template, .*: expected '}'"),
    ],
)
def test_what_is_not_of_the_right_form(change: dict[str, Any], error: type[Exception], message: str) -> None:
    """It is refused when the row is made, not when it is used, and the table stays as it was."""
    before = dict(rows)
    columns: dict[str, Any] = {"name": "cube", "forward": cube_forward, "partials": (cube_partial,)} | change
    with pytest.raises(error, match=f"^{message}"):
        custom_op(**columns)
    assert rows == before


def test_an_error_at_a_point_says_which() -> None:
    """A function that is not real everywhere needs a domain, and the note shows the one that it has."""
    log_partials = (lambda y, x: 1.0 / x,)
    with pytest.raises(ValueError, match=r"\nin the check of 'ln' at \[-2\.2.*\], .* its domain=\(\(-inf, inf\),\)$"):
        custom_op("ln", math.log, log_partials)
    custom_op("ln", math.log, log_partials, domain=(POSITIVE,))


def test_a_name_that_is_taken() -> None:
    """The table keeps the row that it has."""
    tanh = table.tanh
    with pytest.raises(ValueError, match="the table has a row 'tanh' already"):
        custom_op("tanh", math.tanh, (lambda y, x: 1.0 - y * y,))
    assert table.row("tanh") is tanh


@pytest.mark.parametrize("domain", [(0.0, inf), (-inf, 0.0), (-1.0, 1.0), (-inf, inf), (5.0, inf), (-inf, -5.0)])
def test_it_is_checked_in_its_domain(domain: tuple[float, float]) -> None:
    """Six points in the domain's middle, the first few units of it where it has no end."""
    seen: list[float] = []

    def forward(x: float) -> float:
        assert domain[0] < x < domain[1]
        seen.append(x)
        return x * x * x

    custom_op("cube", forward, (cube_partial,), domain=(domain,))
    assert len(seen) > 20
    assert max(seen) - min(seen) > 0.5


def test_several_domains_and_any_number_of_operands() -> None:
    """Each operand has its own interval; a row of any number of operands is checked with three or so."""
    log_power = custom_op(
        "log_power",
        lambda x, y: y * math.log(x),
        (lambda z, x, y: y / x, lambda z, x, y: table.log(x)),
        domain=(POSITIVE, REALS),
    )
    assert hessian(log_power, (0, 1))(2.0, 3.0) == ((-0.75, 0.5), (0.5, 0.0))
    seen = set()

    def product(*xs: float) -> float:
        seen.add(len(xs))
        return math.prod(xs)

    def product_partials(y: Any, *xs: Any) -> tuple[Any, ...]:
        return tuple([math.prod(xs[:i] + xs[i + 1 :]) for i in range(len(xs))])

    for name, arity in (("p1", range(1, 2**63)), ("p2", range(2, 3)), ("p3", range(1, 9, 2)), ("p4", range(5, 2**63))):
        custom_op(name, product, product_partials, arity=arity)
    assert seen == {3, 2, 5, 7}
    custom_op("p5", product, product_partials, arity=range(1, 2**63), operands=lambda numbers: tuple(numbers))
    assert table.row("p5")([2.0, Value(3.0)]).data == 6.0
    with pytest.raises(ValueError, match="WRONG"):
        custom_op("p6", product, lambda y, *xs: (1.0,) * len(xs), arity=range(1, 2**63))


@pytest.mark.parametrize(
    ("arity", "counts"),
    [
        (range(1, maxsize), "at least 1 operand"),
        (range(2, 2**63), "at least 2 operands"),
        (range(1, maxsize, 2), "1, 3, 5, ... operands"),
        (range(1, 5), "1, 2, 3, ... operands"),
        (range(2, 5), "2, 3, 4 operands"),
        (range(2, 6, 2), "2, 4 operands"),
        (range(1, 2), "1 operand"),
        (2, "2 operands"),
    ],
)
def test_how_many_operands_a_row_takes_is_said(arity: int | range, counts: str) -> None:
    """TypeError gives the least number where there is no largest, and else the first three."""
    op = custom_op("largest", max, (), arity=arity, check=False)
    with pytest.raises(TypeError, match=f"^largest takes {re.escape(counts)}, got 0$"):
        op()


def test_points_on_a_kink_are_left_out() -> None:
    """Differences know nothing of subgradients: points near a kink are not asked."""
    seen: list[float] = []

    def kink(x: float) -> float:
        seen.append(x)
        return abs(x - 1.26)  # one of the points

    bend = custom_op("bend", lambda x: max(x, 1.26), (lambda y, x: where(table.less(1.26, x), 1.0, 0.0),), kink=kink)
    assert any(abs(x - 1.26) < 0.05 for x in seen)
    assert (grad(bend)(1.0), grad(bend)(2.0)) == (0.0, 1.0)


def test_partials_written_with_powers_of_floats_follow_ieee() -> None:
    """Python's floats raise where a power overflows, and turn complex where it has no real value."""
    big = custom_op("big", lambda x: x * x * x, (lambda y, x: 3.0 * x**2,))
    v = Value(1e160)
    big(v).backward()
    assert v.grad == inf
    root = custom_op("root", table.sqrt.forward, (lambda y, x: 0.5 * x**-0.5,), domain=(POSITIVE,))
    v = Value(-1.0)
    root(v).backward()
    assert math.isnan(v.grad)
    assert math.isnan(gradient(root(v), [v])[0].data)
    both = custom_op("both", table.sqrt.forward, lambda y, x: (0.5 * x**-0.5,), arity=1, domain=(POSITIVE,))
    v = Value(-1.0)
    both(v).backward()
    assert math.isnan(v.grad)
    assert math.isnan(gradient(both(v), [v])[0].data)

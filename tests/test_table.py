"""The table against mpmath: every row's value and partial derivatives, everywhere, and what a row promises besides."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import fitting, floats_across, operand_counts, operands_across

import tinygrad_sq
from tinygrad_sq import Value, gradient, ieee, no_grad, table
from tinygrad_sq.op import REALS, Op
from tinygrad_sq.value import record

SEVERAL = [row for row in table.rows.values() if row.arity != 1]

FEW_ULP = 4.0

# Powers of two between which magnitudes are drawn. One operand: every float there is. Several: as far as products and
# quotients of two operands neither overflow nor underflow. logsumexp: as far as mpmath answers in milliseconds.
MAGNITUDES = {row.name: (-500, 500) for row in SEVERAL} | {"logsumexp": (-30, 9)}

# Where terms cancel or a rounded difference is exponentiated, the input's last bit matters more than a few ulp; then
# errors are counted in ulps of these magnitudes.
VALUE_SCALE: dict[str, Callable[..., float]] = {
    "total": lambda exact, *xs: sum(map(abs, xs)),
    "dot": lambda exact, *xs: sum(abs(w * x) for w, x in zip(xs, xs[len(xs) // 2 : -1])) + abs(xs[-1]),
    "logsumexp": lambda exact, *xs: max(map(abs, xs)),
}
PARTIAL_SCALE: dict[str, Callable[..., float]] = {
    "pow": lambda exact, x, y: exact * (1.0 + abs(math.log(x))),  # y - 1 is rounded
    "logsumexp": lambda exact, *xs: exact * (1.0 + max(xs) - min(xs)),  # x_i - max is rounded
    "gelu": lambda exact, x: table.normal_cdf(x),  # the derivative crosses 0 near -0.75
    "silu": lambda exact, x: table.sigmoid(x),  # ... and near -1.28
}


def no_scale(exact: float, *xs: float) -> float:
    return 0.0


def tied(row: Op, point: tuple[float, ...]) -> bool:
    """Whether the row says that it is not smooth at this point."""
    return row.kink is not None and row.kink(*point) == 0.0


def points(row: Op) -> st.SearchStrategy[tuple[float, ...]]:
    return operands_across(row, *MAGNITUDES.get(row.name, (-1074, 1023)))


def thorough(examples: int) -> settings:
    """Hypothesis settings: mpmath may take its time."""
    return settings(max_examples=examples, deadline=None)


each_row = pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in table.rows.values()])


# --- values and derivatives against mpmath ---


def test_every_row_has_an_oracle() -> None:
    """No row goes unchecked, and no oracle checks nothing."""
    assert oracle.FUNCTIONS.keys() == table.rows.keys()


def check_value(row: Op, point: tuple[float, ...]) -> None:
    if tied(row, point) and row.name in ("div", "atan2"):  # poles and cuts: IEEE 754's matter, not mpmath's
        return
    exact = oracle.value(row.name, point)
    scale = VALUE_SCALE.get(row.name, no_scale)(exact, *point)
    assert oracle.ulps(row.forward(*point), exact, scale) <= FEW_ULP


def check_partials(row: Op, point: tuple[float, ...]) -> None:
    if tied(row, point):
        return
    partials = record(row, tuple(map(Value, point))).partials
    assert len(partials) == len(point)
    for i, got in enumerate(partials):
        if got is None and row is table.stop_gradient:  # that is what it is for
            continue
        exact = oracle.partial(row.name, point, i)
        scale = abs(PARTIAL_SCALE.get(row.name, no_scale)(exact, *point))
        assert oracle.ulps(got or 0.0, exact, scale) <= FEW_ULP, f"operand {i}: {got!r}, not {float(exact)!r}"


def check_analytic(row: Op, point: tuple[float, ...]) -> None:
    assert row.analytic is not None
    assert row.analytic(*map(complex, point)) == pytest.approx(row.forward(*point), rel=1e-12, abs=1e-14)
    partials = record(row, tuple(map(Value, point))).partials
    for i, partial in enumerate(partials):
        stepped = row.analytic(*[complex(x, 1e-30 if i == j else 0.0) for j, x in enumerate(point)])
        assert stepped.imag / 1e-30 == pytest.approx(partial or 0.0, rel=1e-10, abs=1e-12), f"operand {i}"


def check_second_partials(row: Op, point: tuple[float, ...]) -> None:
    if row.kink is not None and row.kink(*point) < 1e-3:
        return
    numbers = record(row, tuple(map(Value, point))).partials
    for i, number in enumerate(numbers):
        xs = tuple(map(Value, point))
        partial = row.gradient(record(row, xs), *xs)[i]
        if isinstance(partial, Value):
            assert number is not None
            assert oracle.ulps(partial.data, mp.mpf(number)) <= FEW_ULP
            partial.backward()
        else:
            assert partial == number
        if partial is None:
            continue
        for j, x in enumerate(xs):
            exact = oracle.second_partial(row.name, point, i, j)
            scale = max(1.0, abs(exact), *(abs(d or 0.0) for d in numbers))
            assert abs(x.grad - exact) <= 1e-12 * scale, f"operands {i}, {j}: {x.grad!r}, not {float(exact)!r}"


@each_row
@thorough(40)
@given(data=st.data())
def test_value_is_that_of_mpmath(row: Op, data: st.DataObject) -> None:
    """forward(x) = f(x) within a few ulp, over the whole domain: tails, subnormals and the ends included."""
    check_value(row, data.draw(points(row)))


@each_row
@thorough(40)
@given(data=st.data())
def test_partials_are_those_of_mpmath(row: Op, data: st.DataObject) -> None:
    """∂f/∂x_i as recorded by the engine = the limit of the difference quotient within a few ulp, off the kinks."""
    check_partials(row, data.draw(points(row)))


@pytest.mark.parametrize("x", [-0.5, 0.5, 4.5, 5.5, 6.5])
def test_relu6_close_to_its_kinks(x: float) -> None:
    """The slope is 1 from 0 to 6 and 0 outside, all the way to the kinks."""
    check_partials(table.relu6, (x,))


@pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in table.rows.values() if r.analytic is not None])
@thorough(40)
@given(data=st.data())
def test_complex_forms_continue_the_rows(row: Op, data: st.DataObject) -> None:
    """On the real line analytic(x) = forward(x), and Im analytic(x + ih) / h is the partial derivative."""
    size = data.draw(st.sampled_from(operand_counts(row, 5)))
    check_analytic(row, data.draw(fitting(row, size)))


@each_row
@thorough(15)
@given(data=st.data())
def test_the_table_is_closed(row: Op, data: st.DataObject) -> None:
    """The partial of a row, run on Values, is a graph of rows; its value is the recorded partial and its gradient is
    the row's second derivative."""
    check_second_partials(row, data.draw(operands_across(row, -3, 3, most=4)))


@thorough(40)
@given(z=st.lists(floats_across(REALS, -30, 9), min_size=1, max_size=8))
def test_softmax_and_log_softmax_are_those_of_mpmath(z: list[float]) -> None:
    """softmax(z)_i = exp(z_i) / Σ exp(z_j), log_softmax its logarithm; of floats and of Values."""
    with mp.workprec(8000):
        weights = [mp.exp(mp.mpf(x)) for x in z]
        exact = [w / sum(weights) for w in weights]
        logs = [mp.log(p) for p in exact]
    spread = max(z) - min(z)
    for p, q, lp in zip(table.softmax(z), table.softmax(map(Value, z)), exact):
        assert p == q.data
        assert oracle.ulps(p, lp, lp * (1.0 + spread)) <= 8.0
    for p, q, lp in zip(table.log_softmax(z), table.log_softmax(map(Value, z)), logs):
        assert p == q.data
        assert oracle.ulps(p, lp, max(map(abs, z)) + spread) <= FEW_ULP


@given(z=st.lists(floats_across(REALS, -30, 5), min_size=1, max_size=6), data=st.data())
def test_softmax_gradient_is_p_times_delta_minus_p(z: list[float], data: st.DataObject) -> None:
    """∂softmax_i/∂z_j = p_i ([i = j] - p_j), and the gradient of log_softmax_i is [i = j] - p_j."""
    i = data.draw(st.integers(0, len(z) - 1))
    p = table.softmax(z)
    for function, scale in ((table.softmax, p[i]), (table.log_softmax, 1.0)):
        xs = list(map(Value, z))
        function(xs)[i].backward()
        for j, x in enumerate(xs):
            assert x.grad == pytest.approx(scale * ((i == j) - p[j]), rel=1e-12, abs=1e-15)


# --- IEEE 754: no row ever raises ---

AWKWARD = (
    *(0.0, -0.0, 5e-324, -5e-324, 1e-310, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, 6.0, 20.0, -20.0, 37.0, 40.5, -40.5),
    *(710.0, -710.0, 1e16, 1e308, -1e308, math.inf, -math.inf, math.nan),
)


@each_row
def test_no_row_raises_on_awkward_points(row: Op) -> None:
    """forward, record and backward return floats for every combination of awkward operands."""
    for n in operand_counts(row, 3):
        for point in itertools.product(AWKWARD, repeat=n):
            check_no_exception(row, point)


@each_row
@thorough(40)
@given(data=st.data())
def test_no_row_raises(row: Op, data: st.DataObject) -> None:
    """forward, record and backward return floats for any floats at all."""
    n = data.draw(st.sampled_from(operand_counts(row, 5)))
    check_no_exception(row, tuple(data.draw(st.lists(st.floats(), min_size=n, max_size=n))))


def check_no_exception(row: Op, point: tuple[float, ...]) -> None:
    y = row.forward(*point)
    node = record(row, tuple(map(Value, point)))
    assert type(y) is float
    assert node.data == y or math.isnan(y)
    assert all(d is None or type(d) is float for d in node.partials), node.partials
    node.backward()
    assert all(type(x.grad) is float for x in node.args if isinstance(x, Value))


INDEPENDENT = {("where", 0), ("where", 2), ("leaky_relu", 1), ("elu", 1)}  # row and operand: the branch not taken
INDEPENDENT |= {(name, i) for name in ("step", "less", "equal") for i in (0, 1)}  # comparison with NaN is false
IGNORES_NAN = {
    "pow": [(math.nan, 0.0), (1.0, math.nan)],  # as C and IEEE 754 have it
    "hypot": [(math.inf, math.nan), (math.nan, -math.inf)],
}


@each_row
def test_nan_in_nan_out(row: Op) -> None:
    """A NaN operand makes the value NaN, but for the few functions that do not depend on it there."""
    for n in operand_counts(row, 5):
        for i in range(n):
            point = (1.5,) * i + (math.nan,) + (1.5,) * (n - i - 1)
            if (row.name, i) not in INDEPENDENT:
                assert math.isnan(row.forward(*point)), point
    for point in IGNORES_NAN.get(row.name, []):
        assert not math.isnan(row.forward(*point)), point


@pytest.mark.parametrize("row", [row for row in table.rows.values() if callable(row.native)], ids=lambda row: row.name)
@thorough(30)
@given(data=st.data())
def test_native_spelling_in_rows(row: Op, data: st.DataObject) -> None:
    """Where native code spells a row with other rows, the spelling has the row's value, to a few ulp."""
    point = data.draw(operands_across(row, -3, 3))
    assert callable(row.native)
    value = row.native(*point)
    if isinstance(value, float):  # and not the name of a function of libm
        assert value == pytest.approx(row.forward(*point), rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("row", [row for row in table.rows.values() if row.products], ids=lambda row: row.name)
@given(data=st.data())
def test_products_add_up_to_the_row(row: Op, data: st.DataObject) -> None:
    """A row that says it is a sum of products is that sum."""
    point = data.draw(operands_across(row, -3, 3))
    assert row.products is not None
    pairs, rest = row.products(*point)
    assert sum([x * y for x, y in pairs], rest) == pytest.approx(row.forward(*point), rel=1e-14, abs=1e-14)


# --- domains and kinks are honest ---


@each_row
@thorough(40)
@given(data=st.data())
def test_real_inside_the_domain(row: Op, data: st.DataObject) -> None:
    """Inside the domain the value is a number, never NaN, but for 0/0."""
    point = data.draw(points(row))
    assert math.isnan(row.forward(*point)) == (row is table.div and point[0] == point[1] == 0.0)


@each_row
def test_nan_outside_the_domain(row: Op) -> None:
    """One float beyond a finite end of the domain, value and derivative are NaN."""
    for i, (start, end) in enumerate(row.domain):
        for edge, beyond in ((start, -math.inf), (end, math.inf)):
            if math.isfinite(edge):
                outside = math.nextafter(edge, beyond)
                point = tuple(outside if j == i else 0.5 for j in range(operand_counts(row, 5)[0]))
                node = record(row, tuple(map(Value, point)))
                assert math.isnan(node.data)
                assert repr(node.partials[i]) == "nan"


KINKS: dict[str, list[tuple[float, ...]]] = {
    "div": [(1.0, 0.0), (-2.0, -0.0)],
    "tan": [],  # the poles are no floats
    "atan2": [(0.0, -1.0), (0.0, 0.0), (0.0, -0.0)],
    "hypot": [(0.0, 0.0), (-0.0, 0.0)],
    "relu": [(0.0,), (-0.0,)],
    "relu6": [(0.0,), (6.0,)],
    "hardtanh": [(-1.0,), (1.0,)],
    "leaky_relu": [(0.0, 0.5)],
    "elu": [(0.0, 0.5)],
    "selu": [(0.0,)],
    "abs": [(0.0,), (-0.0,)],
    "sign": [(0.0,)],
    "step": [(0.0,)],
    "floor": [(0.0,), (1.0,), (-3.0,), (1e300,)],
    "round": [(0.5,), (-1.5,), (2.5,)],
    "less": [(1.0, 1.0)],
    "equal": [(1.0, 1.0)],
    "maximum": [(1.0, 1.0), (2.0, 1.0, 2.0)],
    "minimum": [(1.0, 1.0), (1.0, 3.0, 1.0)],
    "clamp": [(1.0, 1.0, 2.0), (2.0, 1.0, 2.0), (0.5, 1.0, 1.0)],
    "where": [(0.0, 1.0, 2.0)],
}


def test_every_kink_is_listed() -> None:
    """KINKS names each row that has any, and no other."""
    assert {row.name for row in table.rows.values() if row.kink} == KINKS.keys()


@pytest.mark.parametrize(
    ("row", "point"), [pytest.param(table.rows[n], p, id=f"{n}{p}") for n in KINKS for p in KINKS[n]]
)
def test_kinks_are_where_the_row_says(row: Op, point: tuple[float, ...]) -> None:
    """The distance from the kink is 0 at it, and there the one-sided derivatives by mpmath differ or are infinite."""
    assert row.kink is not None
    assert row.kink(*point) == 0.0
    if row is table.div:  # no value at all
        assert math.isinf(row.forward(*point))
        return
    sides = [[oracle.partial(row.name, point, i, side) for side in (-1, 1)] for i in range(len(point))]
    assert any(abs(left - right) > 1e-3 or abs(left) > 1e30 for left, right in sides)


@pytest.mark.parametrize("row", [row for row in table.rows.values() if row.kink], ids=lambda row: row.name)
@thorough(40)
@given(data=st.data())
def test_smooth_off_the_kinks(row: Op, data: st.DataObject) -> None:
    """Where the distance from the kink is not 0, the one-sided derivatives by mpmath agree."""
    assert row.kink is not None
    point = data.draw(operands_across(row, -30, 30))
    if row.kink(*point) > 0.0:
        for i in range(len(point)):
            left, right = (oracle.partial(row.name, point, i, side) for side in (-1, 1))
            assert abs(left - right) <= 1e-15 * max(abs(left), 1e-15)


DISTANCES: dict[str, list[tuple[tuple[float, ...], float]]] = {
    "div": [((1.0, -2.0), 2.0)],
    "tan": [((0.0,), 1.0), ((math.pi / 3,), 0.5), ((-2.0,), -math.cos(2.0))],
    "atan2": [((3.0, 4.0), 5.0), ((-1.2, 0.5), 1.3), ((1.2, 0.0), 1.2), ((-1.2, -0.5), 1.2), ((3.0, -4.0), 3.0)],
    "hypot": [((3.0, -4.0), 5.0)],
    "relu": [((2.0,), 2.0), ((-2.0,), 2.0)],
    "relu6": [((-1.0,), 1.0), ((2.0,), 2.0), ((5.0,), 1.0), ((8.0,), 2.0)],
    "hardtanh": [((-3.0,), 2.0), ((-0.75,), 0.25), ((0.0,), 1.0), ((0.75,), 0.25), ((3.0,), 2.0)],
    "leaky_relu": [((-2.0, 0.5), 2.0), ((2.0, 0.5), 2.0)],
    "elu": [((-2.0, 0.5), 2.0), ((2.0, 0.5), 2.0)],
    "selu": [((-2.0,), 2.0), ((2.0,), 2.0)],
    "abs": [((-2.0,), 2.0), ((2.0,), 2.0)],
    "sign": [((-2.0,), 2.0), ((2.0,), 2.0)],
    "step": [((-2.0,), 2.0), ((2.0,), 2.0)],
    "floor": [((1.25,), 0.25), ((1.75,), 0.25), ((1.5,), 0.5), ((-0.25,), 0.25)],
    "round": [((1.25,), 0.25), ((1.75,), 0.25), ((1.0,), 0.5), ((-0.25,), 0.25)],
    "less": [((1.0, 3.0), 2.0), ((3.0, 1.0), 2.0), ((-1.0, 1.0), 2.0)],
    "equal": [((1.0, 3.0), 2.0), ((3.0, 1.0), 2.0), ((-1.0, 1.0), 2.0)],
    "maximum": [((1.0, 3.0), 2.0), ((1.0, 7.0, 3.0, 2.0), 4.0), ((-1.0, -3.0), 2.0)],
    "minimum": [((1.0, 3.0), 2.0), ((1.0, 7.0, 3.0, 4.0), 2.0), ((-1.0, -3.0), 2.0)],
    "clamp": [((2.0, 1.0, 5.0), 1.0), ((3.5, 1.0, 5.0), 1.5), ((9.0, 1.0, 5.0), 4.0), ((-9.0, 1.0, 5.0), 4.0)],
    "where": [((2.0, 5.0, 7.0), 2.0), ((-2.0, 5.0, 7.0), 2.0)],
}


@pytest.mark.parametrize(
    ("row", "point", "distance"),
    [pytest.param(table.rows[n], p, d, id=f"{n}{p}") for n in KINKS for p, d in DISTANCES[n]],
)
def test_how_far_the_kink_is(row: Op, point: tuple[float, ...], distance: float) -> None:
    """The distance from the nearest kink, by one operand where two have to meet; of tan |cos x|, which is no larger."""
    assert row.kink is not None
    assert row.kink(*point) == pytest.approx(distance, rel=1e-15)


def test_gap_of_one_operand_is_infinite() -> None:
    """The maximum of one value has no kink."""
    assert table.maximum.kink is not None
    assert table.maximum.kink(3.0) == math.inf


# --- calling a row ---


def test_of_floats_a_float_and_of_values_a_value() -> None:
    """sin(1.0) is a float, sin(Value(1)) a Value with the same data, and a Value anywhere among operands is enough."""
    assert type(tinygrad_sq.sin(1.0)) is float
    v = tinygrad_sq.sin(Value(1.0))
    assert type(v) is Value
    assert v.data == tinygrad_sq.sin(1.0)
    assert v.op is table.sin
    assert tinygrad_sq.atan2(1.0, Value(2.0)).data == tinygrad_sq.atan2(Value(1.0), 2).data == math.atan2(1, 2)


@pytest.mark.parametrize(
    "x", [1, True, np.float64(1), np.float32(1), np.array(1.0), Fraction(1), Decimal(1), np.int8(1)]
)
def test_real_numbers_of_any_kind_are_operands(x: Any) -> None:
    """Whatever is a real number is an operand; the answer is a plain float."""
    assert table.sin(x) == math.sin(1.0)
    assert type(table.sin(x)) is float
    assert table.add(Value(1.0), x).args[1] == 1.0
    assert type(table.add(Value(1.0), x).args[1]) is float


@pytest.mark.parametrize("x", ["1", None, 1j, [1.0], np.array([1.0, 2.0]), np.complex128(1)])
def test_what_is_no_real_number_is_no_operand(x: Any) -> None:
    """TypeError says what was expected and what came."""
    with pytest.raises(TypeError, match=r"expected a real number .* or, as an operand, a Value, got \w+ .*1?"):
        table.add(1.0, x)
    with pytest.raises(TypeError, match="expected a real number"):
        table.add(Value(1.0), x)


def test_integer_too_large() -> None:
    """OverflowError says so."""
    with pytest.raises(OverflowError, match="int too large for a float"):
        table.sin(10**400)


@each_row
def test_wrong_number_of_operands(row: Op) -> None:
    """TypeError names the row, how many operands it takes and how many came."""
    expected = row.arity
    if row.operands is not None and row.operands.__name__ != "_list":
        with pytest.raises(TypeError):
            row()
    elif isinstance(expected, int):
        for n in {0, expected - 1, expected + 1} - {expected}:
            many = "1 operand" if expected == 1 else f"{expected} operands"
            with pytest.raises(TypeError, match=rf"^{row.name} takes {many}, got {n}$"):
                row(*[1.0] * n)


@pytest.mark.parametrize(
    ("row", "fewest"), [(table.logsumexp, 1), (table.maximum, 1), (table.minimum, 1), (table.total, 0)]
)
def test_any_number_of_operands(row: Op, fewest: int) -> None:
    """As many operands as one likes; of none there is a sum, but no largest."""
    for n in (fewest, 1, 2, 200):
        assert row([1.0] * n) == pytest.approx({"logsumexp": 1.0 + math.log(max(n, 1)), "total": n}.get(row.name, 1.0))
    if fewest:
        with pytest.raises(TypeError, match=rf"^{row.name} takes at least 1 operand, got 0$"):
            row([])


def test_lists_and_several_arguments_are_alike() -> None:
    """maximum(a, b), maximum([a, b]) and maximum(of a generator) are one call; of one number it is that number."""
    assert table.maximum(1.0, 2.0) == table.maximum([1.0, 2.0]) == table.maximum(x for x in (1.0, 2.0)) == 2.0
    assert table.maximum(3.0) == table.total(3.0) == 3.0
    assert table.total([]) == table.total() == 0.0
    assert table.total([]) == 0.0
    assert table.maximum(np.array([1.0, 2.0])) == 2.0


def test_dot_operands() -> None:
    """dot(w, x, b=0): Σ w x + b; lists of different lengths are an error that gives both."""
    assert table.dot([2.0, 3.0], [5.0, 7.0]) == 31.0
    assert table.dot([2.0, 3.0], [5.0, 7.0], 1.0) == 32.0
    assert table.dot([], [], 1.0) == 1.0
    assert table.dot([1.0] * 200, [1.0] * 200) == 200.0
    assert table.dot([], [], 4.0) == 4.0
    with pytest.raises(ValueError, match="got 2 weights and 1 values"):
        table.dot([2.0, 3.0], [5.0])


def test_default_operands() -> None:
    """leaky_relu has slope 0.01 and elu alpha 1, as elsewhere."""
    assert table.leaky_relu(-2.0) == -0.02
    assert table.leaky_relu(-2.0, 0.5) == -1.0
    assert table.elu(-1.0) == math.expm1(-1.0)
    assert table.elu(-1.0, 2.0) == 2.0 * math.expm1(-1.0)


@each_row
@thorough(30)
@given(data=st.data())
def test_constants_take_no_part_in_the_gradient(row: Op, data: st.DataObject) -> None:
    """An operand that is a float stays one, has partial None, and changes no other partial; without gradient
    recording nothing is kept."""
    point = data.draw(operands_across(row, -4, 4))
    variable = data.draw(st.lists(st.booleans(), min_size=len(point), max_size=len(point)))
    whole = record(row, tuple(map(Value, point)))
    mixed = record(row, tuple(Value(x) if v else x for x, v in zip(point, variable)))
    assert repr(mixed.data) == repr(whole.data)  # NaN may be right
    assert repr(mixed.partials) == repr(tuple(d if v else None for d, v in zip(whole.partials, variable)))
    assert [type(arg) for arg in mixed.args] == [Value if v else float for v in variable]
    with no_grad():
        quiet = record(row, tuple(map(Value, point)))
    assert repr(quiet.data) == repr(whole.data)
    assert (quiet.op, quiet.args, quiet.partials) == (None, (), ())


def test_where_does_not_touch_the_other_branch() -> None:
    """where(c, a, b): the branch taken has partial 1, the other one and the condition have none."""
    c, a, b = Value(1.0), Value(2.0), Value(3.0)
    assert table.where(c, a, b).partials == (None, 1.0, None)
    assert table.where(0.0, a, b).partials == (None, None, 1.0)


@pytest.mark.parametrize(("row", "partials"), [(table.hypot, (0.0, 0.0)), (table.xlogy, (-math.inf, 0.0))])
def test_partials_at_the_origin(row: Op, partials: tuple[float, float]) -> None:
    """The subgradient of least norm where the quotient is 0/0."""
    assert record(row, (Value(0.0), Value(0.0))).partials == partials


def test_third_derivatives_of_a_power_at_exponent_0() -> None:
    """Of ∂(xʸ)/∂x = y xʸ⁻¹, which is 0 there, the second derivative by y is 2 log(x) / x, that by x and y -1 / x²."""
    x, y = Value(2.0), Value(0.0)
    (by_x,) = gradient(x**y, [x])
    by_xx, by_xy = gradient(by_x, [x, y])
    assert [v.data for v in gradient(by_xy, [x, y])] == pytest.approx([-0.25, math.log(2.0)], rel=1e-15)
    assert [v.data for v in gradient(by_xx, [x, y])] == pytest.approx([0.0, -0.25], rel=1e-15)


# --- the row as an object ---


@each_row
def test_row_describes_itself(row: Op) -> None:
    """Every row has a docstring that begins with its name, a symbol, a repr, and is found by name."""
    assert row.__doc__ is not None
    assert re.fullmatch(rf"{row.name}: \S.*", row.__doc__)
    assert row.symbol
    assert repr(row) == f"<row {row.name}>"
    assert table.row(row.name) is row
    assert getattr(tinygrad_sq, row.name) is row
    assert pickle.loads(pickle.dumps(row)) is row
    assert copy.deepcopy(row) is row


@each_row
def test_methods_are_the_rows(row: Op) -> None:
    """v.f(...) is f(v, ...) for each row that is marked as a method, and no other row is one."""
    assert hasattr(Value, row.name) == row.method
    if row.method:
        assert getattr(Value, row.name) is row
        n = operand_counts(row, 5)[0]
        v, rest = Value(0.5), (0.25, 0.75)[: n - 1]
        node = getattr(v, row.name)(*rest)
        assert node.op is row
        assert node.args == (v, *rest)


def test_unknown_row() -> None:
    """ValueError names what was asked for and the rows that are near it."""
    with pytest.raises(ValueError, match=r"^the table has no primitive 'sigmiod'; did you mean sigmoid"):
        table.row("sigmiod")
    with pytest.raises(ValueError, match=r"^the table has no primitive 'tanhh'; did you mean tanh or atanh or tan\?$"):
        table.row("tanhh")
    with pytest.raises(ValueError, match=r"^the table has no primitive 'zzzzzz'$"):
        table.row("zzzzzz")


def test_no_name_twice() -> None:
    """A second row of one name is an error, and the first one stays."""
    with pytest.raises(ValueError, match="the table has a row 'sin' already"):
        Op("sin", math.sin, (1.0,), "again")
    assert table.rows["sin"] is table.sin


class Formula(str):
    """An operand's formula, which shows the precedence that the template asks for."""

    def __format__(self, precedence: str) -> str:
        return f"<{str.__str__(self)}:{precedence}>"


@each_row
@pytest.mark.parametrize("kind", ["text", "latex"])
def test_formula_templates(row: Op, kind: str) -> None:
    """Each template shows every operand (dot and clamped forms at least once), and its brackets are balanced."""
    template = getattr(row, kind)
    assert row.precedence in range(1, 6)
    for n in operand_counts(row, 5):
        names = [Formula(f"x{i}") for i in range(n)]
        formula = template(*names) if callable(template) else template.format(*names)
        assert formula or n == 0
        shown = re.findall(r"x(\d)", formula)
        assert sorted(set(shown)) == [str(i) for i in range(n)]
        assert set(re.findall(r"<x\d:(.*?)>", formula)) <= {"", *"12345"}
        for opening, closing in ("{}", "()", "[]"):
            assert formula.count(opening) == formula.count(closing), formula
        assert formula.count(r"\left") == formula.count(r"\right")


def test_dot_formula_leaves_a_zero_bias_out() -> None:
    """`+ 0` is not written."""
    assert table.dot.text("w", "x", "0") == "dot([w], [x])"
    assert table.dot.text("w", "x", "b") == "dot([w], [x], b)"
    assert table.dot.latex(Formula("w"), Formula("x"), Formula("0")) == r"<w:2> \cdot <x:2>"
    assert table.dot.latex(Formula("w"), Formula("x"), Formula("b")) == r"<w:2> \cdot <x:2> + <b:1>"


@given(xs=st.lists(st.floats(-1e3, 1e3), max_size=20))
def test_sums_are_taken_from_left_to_right(xs: list[float]) -> None:
    """total and dot round after each term, in order: the same bits on every Python, and 0.0, not -0.0, of nothing."""
    s = 0.0
    for x in xs:
        s = s + x
    assert ieee.total(*xs) == s
    assert ieee.dot(*xs, *[1.0] * len(xs), 0.0) == s
    assert math.copysign(1.0, ieee.total()) == 1.0

"""Values among other people's numbers and functions: the standard library, NumPy, SciPy, pandas, Polars."""

from __future__ import annotations

import math
import operator
import random
import statistics
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize
from scipy.optimize import check_grad as scipy_check_grad

from tinygrad_sq import (
    MLP,
    Value,
    cost,
    dot,
    grad,
    gradient,
    half_squared_error,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    square,
    table,
    total,
    value_and_grad,
    vjp,
)

# --- the standard library ---

SAME_NAME = [
    *("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "atanh", "erf", "erfc", "floor", "fabs"),
]


@pytest.mark.parametrize("name", SAME_NAME)
def test_math_functions_take_values_and_give_floats(name: str) -> None:
    """math.f(v) is math.f(v.data): a number, and no part of the graph."""
    result = getattr(math, name)(Value(0.5))
    assert type(result) in (float, int)
    assert result == getattr(math, name)(0.5)


def test_math_functions_of_several() -> None:
    """hypot, atan2, pow, fsum and isclose of Values are those of their data."""
    a, b = Value(3.0), Value(4.0)
    assert math.hypot(a, b) == 5.0
    assert math.atan2(a, b) == math.atan2(3.0, 4.0)
    assert math.pow(a, b) == 81.0
    assert math.fsum([a, b]) == 7.0
    assert math.isclose(a, 3.0)
    assert math.isnan(Value(math.nan))
    assert math.trunc(float(Value(2.7))) == int(Value(2.7)) == 2


@given(xs=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_sum_max_min_sorted(xs: list[float]) -> None:
    """sum of Values is a Value through which gradients flow; max, min and sorted choose among them, as they do among
    floats."""
    values = [Value(x) for x in xs]
    s = sum(values)
    assert isinstance(s, Value)
    assert s.data == pytest.approx(sum(xs), rel=1e-12, abs=1e-6)
    assert [g.data for g in gradient(s, values)] == [1.0] * len(xs)
    assert max(values) is values[xs.index(max(xs))]
    assert min(values) is values[xs.index(min(xs))]
    assert [v.data for v in sorted(values)] == sorted(xs)
    assert sorted(values, reverse=True)[0].data == max(xs)


def test_sum_has_no_ghost_node() -> None:
    """sum starts at 0 without a node for it; math.prod starts at 1 with one."""
    a, b = Value(2.0), Value(3.0)
    assert sum([a]) is a
    s = sum([a, b])
    assert isinstance(s, Value)
    assert s.args == (a, b)
    p = math.prod([a, b])
    assert isinstance(p, Value)
    assert [g.data for g in gradient(p, [a, b])] == [3.0, 2.0]


def test_statistics() -> None:
    """mean and fmean of Values count with their data and leave the graph, as float(v) does; median
    chooses among them."""
    values: list[Any] = [Value(x) for x in (1.0, 2.0, 6.0)]
    mean = statistics.mean(values)
    assert (mean.data, mean.args) == (3.0, ())
    assert statistics.fmean(values) == 3.0
    assert statistics.fmean(values, weights=[1, 1, 2]) == 3.75
    assert statistics.mean([Value(1e308), Value(1e308)]).data == 1e308  # type: ignore[type-var]
    assert statistics.median(values) is values[1]
    middle = statistics.median([*values, Value(3.0)])
    assert [g.data for g in gradient(middle, values)] == [0.0, 0.5, 0.0]


def test_random() -> None:
    """random chooses among Values, shuffles them, and takes them as parameters and weights."""
    values: list[Any] = [Value(float(k)) for k in range(5)]
    generator = random.Random(0)
    assert generator.choice(values) in values
    shuffled = values[:]
    generator.shuffle(shuffled)
    assert set(shuffled) == set(values)
    assert set(generator.sample(values, 5)) == set(values)
    assert generator.choices(values, weights=[0, 0, 0, 1, 0]) == [values[3]]
    assert float(random.Random(1).uniform(values[0], values[2])) == random.Random(1).uniform(0.0, 2.0)
    assert Value(random.Random(2).gauss(0.0, 1.0)).data == random.Random(2).gauss(0.0, 1.0)


@pytest.mark.parametrize("x", [Fraction(1, 2), Decimal("0.5"), np.float64(0.5), np.float32(0.5), np.float16(0.5)])
@pytest.mark.parametrize(
    "f",
    [
        lambda v, x: v + x,
        lambda v, x: x + v,
        lambda v, x: v - x,
        lambda v, x: x - v,
        lambda v, x: v * x,
        lambda v, x: x * v,
        lambda v, x: v / x,
        lambda v, x: x / v,
        lambda v, x: v**x,
        lambda v, x: x**v,
        lambda v, x: table.maximum(v, x),
        lambda v, x: dot([v], [x], x),
        lambda v, x: total([x, v]),
    ],
)
def test_other_numbers_are_constants(f: Callable[[Any, Any], Any], x: Any) -> None:
    """Fraction, Decimal and NumPy scalars on either side count as the float that they are."""
    v, w = Value(3.0), Value(3.0)
    got, expected = f(v, x), f(w, 0.5)
    assert isinstance(got, Value)
    assert got.data == expected.data
    assert gradient(got, [v])[0].data == gradient(expected, [w])[0].data


@given(q=st.fractions(-1000, 1000), d=st.decimals(-1000, 1000))
def test_points_of_other_numbers(q: Fraction, d: Decimal) -> None:
    """Transforms take them as arguments."""
    assert grad(lambda x: x * x)(q) == 2.0 * float(q)
    assert jvp(lambda x: 3 * x, d, q) == (3.0 * float(d), 3.0 * float(q))
    assert value_and_grad(lambda x: x[0] * x[1])([q, d])[1] == [float(d), float(q)]


# --- NumPy ---


def test_arrays_on_either_side() -> None:
    """ndarray ∘ Value and Value ∘ ndarray are the elementwise object arrays of Values."""
    v, array = Value(2.0), np.array([[1.0, 2.0], [3.0, 4.0]])
    for both in (operator.mul, operator.sub, operator.truediv, operator.pow):
        for left, right in ((v, array), (array, v)):
            result = both(left, right)
            assert result.dtype == object
            assert result.shape == (2, 2)
            for got, x in zip(result.flat, array.flat):
                expected = both(Value(2.0), float(x)) if left is v else both(float(x), Value(2.0))
                assert got.data == expected.data


def test_object_arrays_of_values() -> None:
    """np.exp and its like, @, sum, dot, mean, max and sort of an object array of Values are graphs of Values."""
    xs = [Value(x, f"x[{i}]") for i, x in enumerate((0.1, 0.2, 0.3))]
    array = np.array(xs, dtype=object)
    for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "log1p", "expm1"):
        for got, x in zip(getattr(np, name)(array), xs):
            assert got.op is table.row(name)
            assert got.args == (x,)
    assert array.sum().data == pytest.approx(0.6)
    assert [g.data for g in gradient(array @ array, xs)] == [2.0 * x.data for x in xs]
    assert array.max() is xs[2]
    assert np.sort(array[::-1])[0] is xs[0]
    assert [g.data for g in gradient(array.mean(), xs)] == [1.0 / 3.0] * 3
    W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert [[g.data for g in gradient(y, xs)] for y in W @ array] == W.tolist()


def test_transforms_of_numpy_functions() -> None:
    """An array as an argument is the nested list in it, and the results are nested lists."""
    A = np.array([[2.0, 1.0], [1.0, 3.0]])

    def f(x: Any) -> Any:
        x = np.array(x)
        return x @ A @ x / 2

    x = np.array([1.0, -2.0])
    assert np.array_equal(grad(f)(x), A @ x)
    assert np.array_equal(hessian(f)(x), A)
    assert np.array_equal(hvp(f, x, np.array([1.0, 1.0])), A.sum(axis=1))
    assert np.array_equal(jacobian(lambda x: A @ np.array(x))(x), A)
    assert vjp(lambda x: A @ np.array(x), x)[1](np.array([1.0, 0.0])) == [2.0, 1.0]


# --- SciPy ---


def rosenbrock(x: Any) -> Any:
    return sum(100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x))


@pytest.mark.parametrize("method", ["BFGS", "CG", "L-BFGS-B", "SLSQP"])
def test_minimize_with_jac_true(method: str) -> None:
    """value_and_grad(f) is what scipy.optimize.minimize(fun, x0, jac=True) takes."""
    fit = minimize(value_and_grad(rosenbrock), x0=[-1.2, 1.0, 0.5], jac=True, method=method, options={"maxiter": 1000})
    assert fit.fun < 1e-8
    assert np.allclose(fit.x, 1.0, atol=1e-3)


@pytest.mark.parametrize("method", ["Newton-CG", "trust-exact", "trust-ncg", "dogleg"])
def test_minimize_with_hessians(method: str) -> None:
    """grad, hessian and hvp serve as jac, hess and hessp: as they are, or where SciPy counts with them as arrays."""
    start = [1.5, 2.0, 3.5]
    fit = minimize(
        rosenbrock, start, jac=grad(rosenbrock), hess=lambda x: np.array(hessian(rosenbrock)(x)), method=method
    )
    assert np.allclose(fit.x, 1.0, atol=1e-4)
    if method in ("Newton-CG", "trust-ncg"):
        by_products = minimize(
            rosenbrock, start, jac=grad(rosenbrock), hessp=lambda x, v: np.array(hvp(rosenbrock, x, v)), method=method
        )
        assert np.allclose(by_products.x, 1.0, atol=1e-4)


def test_scipy_agrees_about_gradients() -> None:
    """scipy.optimize.check_grad finds our gradient to be its own differences, to their precision."""
    x = np.array([-1.2, 1.0, 0.5])
    norm = float(np.linalg.norm(grad(rosenbrock)(x)))
    assert scipy_check_grad(rosenbrock, lambda x: np.array(grad(rosenbrock)(x)), x) < 1e-6 * norm
    assert np.allclose(approx_fprime(x, rosenbrock), grad(rosenbrock)(x), rtol=1e-5)


# --- columns ---

DATA: dict[str, Any] = {"x0": [0.5, 1.5, -1.0], "x1": [2, 0, 1], "y": [1.0, -1.0, 0.5]}
FRAMES = [pd.DataFrame(DATA), pl.DataFrame(DATA)]


@pytest.mark.parametrize("frame", FRAMES, ids=["pandas", "polars"])
def test_columns_are_data(frame: Any) -> None:
    """Columns serve as lists of numbers, of floats and of ints: in dot, total, losses and a model's cost."""
    w = [Value(0.5), Value(-1.0), Value(2.0)]
    z = dot(w, frame["x0"], 1.0)
    assert z.data == 0.25 - 1.5 - 2.0 + 1.0
    assert [g.data for g in gradient(z, w)] == DATA["x0"]
    assert dot(w, frame["x1"]).data == 3.0
    assert total(frame["x0"]) == 1.0
    assert half_squared_error(w, frame["y"]).data == 0.5 * (0.25 + 0.0 + 2.25)
    model = MLP(2, [2, 1], activation="tanh", seed=0)
    rows = list(zip(frame["x0"], frame["x1"]))
    J = cost(model, rows, frame["y"])
    expected = cost(model, [list(map(float, row)) for row in zip(DATA["x0"], DATA["x1"])], DATA["y"])
    assert J.data == expected.data
    with no_grad():
        assert model(rows[0]).data == model([0.5, 2.0]).data


@pytest.mark.parametrize("frame", FRAMES, ids=["pandas", "polars"])
def test_a_fit_to_columns(frame: Any) -> None:
    """The gradient of a misfit over a column is that of the same numbers in a list."""

    def misfit(theta: Any, x: Any, y: Any) -> Any:
        a, b = theta
        return total([square(v - (a * u + b)) for u, v in zip(x, y)])

    assert grad(misfit)([1.0, 2.0], frame["x0"], frame["y"]) == grad(misfit)([1.0, 2.0], DATA["x0"], DATA["y"])


def test_pandas_rows_and_arithmetic() -> None:
    """A row of a pandas frame is a model's input, and a column times a Value is a column of Values."""
    frame = FRAMES[0]
    model = MLP(2, [1], seed=0)
    assert model(frame.loc[0, ["x0", "x1"]]).data == model([0.5, 2.0]).data
    v = Value(3.0)
    for column in (frame["x0"] * v, v * frame["x0"]):
        assert [u.data for u in column] == [1.5, 4.5, -3.0]
        assert [g.data for u in column for g in gradient(u, [v])] == DATA["x0"]

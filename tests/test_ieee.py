"""Where the table's forward functions differ from `math`: the answers of IEEE 754 at poles, overflows and NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_sq import ieee, xlogy


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        *((ieee.sqrt, -1.0, nan), (ieee.sqrt, inf, inf), (ieee.sqrt, -0.0, -0.0), (ieee.sqrt, -inf, nan)),
        *((ieee.exp, 710.0, inf), (ieee.exp, -800.0, 0.0), (ieee.exp, -inf, 0.0), (ieee.exp, inf, inf)),
        *((ieee.expm1, 710.0, inf), (ieee.expm1, -inf, -1.0)),
        *((ieee.log, 0.0, -inf), (ieee.log, -0.0, -inf), (ieee.log, -1.0, nan), (ieee.log, inf, inf)),
        *((ieee.log1p, -1.0, -inf), (ieee.log1p, -2.0, nan), (ieee.log1p, -0.0, -0.0)),
        *((ieee.sin, inf, nan), (ieee.cos, -inf, nan), (ieee.tan, inf, nan)),
        *((ieee.asin, 1.5, nan), (ieee.acos, -1.5, nan), (ieee.asin, 1.0, math.pi / 2)),
        *((ieee.sinh, 711.0, inf), (ieee.sinh, -711.0, -inf), (ieee.cosh, -711.0, inf), (ieee.cosh, 711.0, inf)),
        *((ieee.acosh, 0.5, nan), (ieee.acosh, 1.0, 0.0)),
        *((ieee.atanh, 1.0, inf), (ieee.atanh, -1.0, -inf), (ieee.atanh, 1.5, nan), (ieee.atanh, -inf, nan)),
        *((ieee.floor, -0.0, -0.0), (ieee.floor, 0.5, 0.0), (ieee.floor, -0.5, -1.0), (ieee.floor, -inf, -inf)),
        *((ieee.floor, nan, nan), (ieee.floor, 1e300, 1e300), (ieee.floor, -2.0, -2.0)),
        *((ieee.round, -0.4, -0.0), (ieee.round, 2.5, 2.0), (ieee.round, -3.5, -4.0), (ieee.round, inf, inf)),
        *((ieee.sign, -0.0, -0.0), (ieee.sign, -5e-324, -1.0), (ieee.sign, inf, 1.0), (ieee.sign, nan, nan)),
        *((ieee.step, 0.0, 0.0), (ieee.step, 5e-324, 1.0), (ieee.step, -1.0, 0.0), (ieee.step, nan, 0.0)),
        *((ieee.relu, -0.0, 0.0), (ieee.relu, -3.0, 0.0), (ieee.relu, nan, nan), (ieee.relu, inf, inf)),
        *((ieee.sigmoid, -inf, 0.0), (ieee.sigmoid, inf, 1.0), (ieee.sigmoid, 0.0, 0.5)),
        *((ieee.softplus, -inf, 0.0), (ieee.softplus, inf, inf), (ieee.sech, inf, 0.0), (ieee.sech, 0.0, 1.0)),
        *((ieee.normal_cdf, 41.0, 1.0), (ieee.normal_cdf, -41.0, 0.0), (ieee.normal_cdf, 0.0, 0.5)),
        *((ieee.normal_cdf, inf, 1.0), (ieee.normal_cdf, -inf, 0.0)),
    ],
)
def test_one_operand(f: Callable[[float], float], x: float, expected: float) -> None:
    """The answer at a point where `math` raises, or where the sign of zero matters."""
    assert repr(f(x)) == repr(expected)


@pytest.mark.parametrize(
    ("f", "xs", "expected"),
    [
        *((ieee.div, (1.0, 0.0), inf), (ieee.div, (1.0, -0.0), -inf), (ieee.div, (-1.0, -0.0), inf)),
        *((ieee.div, (0.0, 0.0), nan), (ieee.div, (nan, 0.0), nan), (ieee.div, (inf, 0.0), inf)),
        *((ieee.pow, (-10.0, 309.0), -inf), (ieee.pow, (-10.0, 310.0), inf), (ieee.pow, (10.0, 309.0), inf)),
        *((ieee.pow, (-0.5, -1075.0), -inf), (ieee.pow, (-0.5, -1076.0), inf)),
        *((ieee.pow, (0.0, -1.0), inf), (ieee.pow, (-0.0, -1.0), -inf), (ieee.pow, (-0.0, -2.0), inf)),
        *((ieee.pow, (-0.0, -0.5), inf), (ieee.pow, (-8.0, 1 / 3), nan), (ieee.pow, (nan, 0.0), 1.0)),
        *((ieee.exp_minus, (1.0, 41.0), 0.0), (ieee.exp_minus, (0.5, inf), 0.0), (ieee.exp_minus, (1.0, 0.0), 1.0)),
        *((ieee.clamp, (nan, 0.0, 1.0), nan), (ieee.clamp, (0.5, nan, 1.0), nan), (ieee.clamp, (0.5, 0.0, nan), nan)),
        *((ieee.clamp, (5.0, 0.0, 1.0), 1.0), (ieee.clamp, (-5.0, 0.0, 1.0), 0.0), (ieee.clamp, (5.0, 3.0, 1.0), 1.0)),
        *((xlogy.forward, (0.0, 0.0), 0.0), (xlogy.forward, (0.0, nan), nan), (xlogy.forward, (1.0, 0.0), -inf)),
        *((xlogy.forward, (2.0, -1.0), nan), (xlogy.forward, (nan, 1.0), nan)),
        *((ieee.maximum, (1.0, nan, 2.0), nan), (ieee.minimum, (1.0, nan), nan), (ieee.maximum, (-inf, 1.0), 1.0)),
        *((ieee.logsumexp, (inf, 1.0), inf), (ieee.logsumexp, (-inf, -inf), -inf), (ieee.logsumexp, (nan, 1.0), nan)),
        *((ieee.logsumexp, (-inf, 1.0), 1.0), (ieee.logsumexp, (3.0,), 3.0)),
    ],
)
def test_several_operands(f: Callable[..., float], xs: tuple[float, ...], expected: float) -> None:
    """The answer at a point where Python raises or forgets a NaN."""
    assert repr(f(*xs)) == repr(expected)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floor_and_round_are_those_of_python(x: float) -> None:
    """For finite floats, the integers of math.floor and of Python's round."""
    assert ieee.floor(x) == math.floor(x)
    assert ieee.round(x) == round(x)


@given(st.floats(-300.0, 300.0))
def test_symmetries(x: float) -> None:
    """σ(x) + σ(-x) = 1, sech is even, softplus(x) - softplus(-x) = x."""
    assert ieee.sigmoid(x) + ieee.sigmoid(-x) == pytest.approx(1.0, rel=1e-15)
    assert ieee.sech(x) == ieee.sech(-x)
    assert ieee.softplus(x) - ieee.softplus(-x) == pytest.approx(x, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0), (-0.0, -0.0), (0.0, 0.0), (-0.0, 0.0, -0.0), (-0.0,)])
def test_zeros_have_an_order(zeros: tuple[float, ...]) -> None:
    """IEEE 754's maximum and minimum: -0.0 is below 0.0, whatever their order; and so in relu and clamp."""
    negative = [math.copysign(1.0, zero) < 0.0 for zero in zeros]
    assert math.copysign(1.0, ieee.maximum(*zeros)) == (-1.0 if all(negative) else 1.0)
    assert math.copysign(1.0, ieee.minimum(*zeros)) == (-1.0 if any(negative) else 1.0)
    assert math.copysign(1.0, ieee.maximum(*zeros, -1.0)) == (-1.0 if all(negative) else 1.0)
    assert math.copysign(1.0, ieee.clamp(zeros[0], 0.0, 1.0)) == 1.0
    assert math.copysign(1.0, ieee.relu(zeros[0])) == 1.0

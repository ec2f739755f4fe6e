"""The vector functions that the compiler writes out, against libm's, over all numbers and where their parts meet."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from tinygrad_sq import compile, exp, tanh
from tinygrad_sq.compiler.vector_math import exp_polynomial
from tinygrad_sq.op import Op

ENDS = [0.0, -0.0, math.inf, -math.inf, math.nan, 709.78, 709.79, -708.4, -745.1, -745.2, 88.72, 88.73, -103.9, -104.0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("row", "ulps"), [(exp, 1.5), (tanh, 4.0)], ids=["exp", "tanh"])
def test_within_a_few_ulp_everywhere(row: Op, ulps: float, dtype: str) -> None:
    """Small, moderate and huge numbers, subnormal results, infinities, NaN; and results too large or small for any."""
    rng = np.random.default_rng(0)
    spans = [rng.uniform(-size, size, 20_000) for size in (1.0, 30.0, 760.0)]
    near = [rng.normal(size=2_000) * 10.0**-k for k in (3, 9, 300)]
    seams = [np.linspace(0.32, 0.34, 2_000), np.arange(-40, 40) * math.log(2.0) / 2.0]
    X = np.concatenate([*spans, *near, *seams, ENDS]).astype(dtype)
    got = compile(lambda x: row(x), dtype=dtype).each(X).astype(float)
    expected = np.array([row(float(x)) for x in X])
    with np.errstate(over="ignore"):
        rounded = expected.astype(dtype)
    finite = np.isfinite(rounded)
    unit = np.maximum(np.spacing(np.abs(rounded[finite])), np.finfo(dtype).smallest_subnormal).astype(float)
    assert np.max(np.abs(got[finite] - expected[finite]) / unit) <= ulps
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    assert np.signbit(got[X == 0.0]).tolist() == np.signbit(rounded[X == 0.0]).tolist()


@pytest.mark.parametrize(("degree", "error"), [(9, 0.5 * 2.0**-53), (4, 0.5 * 2.0**-24)])
def test_the_polynomial_of_exp(degree: int, error: float) -> None:
    """Of (exp(r) - 1 - r) / r²: it has the degree, and with it exp(r) - 1 is right to a quarter of an ulp."""
    c = exp_polynomial(degree)
    assert len(c) == degree + 1
    with mpmath.workdps(40):
        for k in range(-100, 101):
            r = mpmath.log(2) / 2 * k / 100
            polynomial = r + r**2 * sum(c_n * r**n for n, c_n in enumerate(c))
            assert abs(polynomial - mpmath.expm1(r)) <= error * abs(r)

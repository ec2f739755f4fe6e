"""Compiled equals eager: every row, every corner case, random graphs and nets, any batch, either type; and errors."""

from __future__ import annotations

import itertools
import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from compiled import ULPS, call, close, value_and_gradient
from expressions import Expression
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf
from strategies import Net, expressions, floats_across, nets, operand_counts
from test_semantics import names_of_formulas
from test_table import AWKWARD, PARTIAL_SCALE, VALUE_SCALE, no_scale

import tinygrad_sq
from tinygrad_sq import (
    MLP,
    Value,
    cost,
    dot,
    equal,
    exp,
    grad,
    half_squared_error,
    hessian,
    jacobian,
    jvp,
    less,
    log,
    relu,
    sin,
    softmax,
    sqrt,
    table,
    tanh,
    total,
    value_and_grad,
    where,
)
from tinygrad_sq.compile.program import Program, compile
from tinygrad_sq.compile.trace import TraceError
from tinygrad_sq.table import Op
from tinygrad_sq.value import record

each_row = pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in table.rows.values()])
each_type = pytest.mark.parametrize("dtype", ["float64", "float32"])


def thorough(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(max_examples=examples, deadline=None)


# --- every row ---


def operand_count(row: Op) -> int:
    """That of the compiled test function: three if there may be any number."""
    return operand_counts(row, 3)[-1]


@lru_cache(maxsize=None)
def of_inputs(row: Op, dtype: str) -> Program:
    """x -> the row's value and partials."""
    program: Program = compile(value_and_grad(lambda x: call(row, x)), dtype=dtype)
    return program


@lru_cache(maxsize=None)
def of_parameters(row: Op) -> tuple[list[Value], Program]:
    """The row of parameters alone, whatever the sample: it is computed once, and not in vectors."""
    params = [Value(1.0) for _ in range(operand_count(row))]
    return params, compile(lambda x: call(row, params), params=params)


def check(row: Op, point: Sequence[float], y: Any, partials: Sequence[Any], dtype: str = "float64") -> None:
    eager, gradient = value_and_gradient(lambda xs: call(row, xs), point)
    scale = float(VALUE_SCALE.get(row.name, no_scale)(eager, *point)) if math.isfinite(eager) else 0.0
    assert close(y, eager, dtype, scale), f"value at {point}: {y!r}, not {eager!r}"
    for i, (got, d) in enumerate(zip(partials, gradient)):
        scale = float(PARTIAL_SCALE.get(row.name, no_scale)(d, *point)) if row.kink is None and math.isfinite(d) else 0.0
        assert close(got, d, dtype, scale), f"partial {i} at {point}: {got!r}, not {d!r}"


def points(row: Op, dtype: str) -> st.SearchStrategy[tuple[float, ...]]:
    """Operands as large and small as the type has them; of several operands, as `test_table` draws them."""
    if row.name == "logsumexp":
        magnitudes = -30, 6
    elif dtype == "float32":
        magnitudes = (-60, 60) if row.arity != 1 else (-126, 126)
    else:
        magnitudes = (-500, 500) if row.arity != 1 else (-1074, 1022)
    intervals = row.domain * operand_count(row) if len(row.domain) == 1 else row.domain
    return st.tuples(*[floats_across(interval, *magnitudes) for interval in intervals])


@each_row
@each_type
def test_rows(row: Op, dtype: str) -> None:
    """Value and partials of each row are the eager engine's to 8 ulp over its domain, in vectors of samples."""

    @thorough(5)
    @given(st.lists(points(row, dtype), min_size=2, max_size=20))
    def run(batch: list[tuple[float, ...]]) -> None:
        X = np.array(batch, dtype)
        y, partials = of_inputs(row, dtype).each(X)
        for i, point in enumerate(X.tolist()):
            check(row, point, y[i], [d[i] for d in partials], dtype)

    run()


@each_row
def test_rows_of_one_sample(row: Op) -> None:
    """A single sample is computed without vectors, to the same 8 ulp."""

    @thorough(8)
    @given(points(row, "float64"))
    def run(point: tuple[float, ...]) -> None:
        y, partials = of_inputs(row, "float64").each([point])
        check(row, point, y[0], [d[0] for d in partials])

    run()


@each_row
def test_rows_of_parameters(row: Op) -> None:
    """What does not depend on the sample is computed outside of the loop over samples, to the same 8 ulp."""

    @thorough(8)
    @given(points(row, "float64"))
    def run(point: tuple[float, ...]) -> None:
        params, program = of_parameters(row)
        for p, x in zip(params, point):
            p.data = x
        check(row, point, *program.value_and_grad([0.0, 0.0]))

    run()


# Where a fused multiplication and addition has no overflow in between.
FUSED = [(-2.0, 1e308, math.inf), (1e308, -2.0, math.inf), (1e308, 1e308, -math.inf)]


@each_row
def test_rows_at_awkward_points(row: Op) -> None:
    """Zeros, infinities, NaN, subnormals, the ends of the domain: the answers of the eager engine, in vectors, one by
    one, and outside of the loop. Only `dot` may keep a product that overflows from becoming NaN."""
    n = operand_count(row)
    some = AWKWARD if n < 3 else (0.0, -0.0, 0.5, 1.0, -2.0, 1e308, math.inf, -math.inf, math.nan)
    X = [point for point in itertools.product(some, repeat=n) if not (row is table.dot and point in FUSED)]
    program = of_inputs(row, "float64")
    y, partials = program.each(X)
    params, uniform = of_parameters(row)
    for i, point in enumerate(X):
        check(row, point, y[i], [d[i] for d in partials])
        if i % 7 == 0:
            one, ones = program.each([point])
            check(row, point, one[0], [d[0] for d in ones])
            for p, x in zip(params, point):
                p.data = x
            check(row, point, *uniform.value_and_grad([0.0, 0.0]))


# --- every corner case of the semantics ---


def formula(case: Case, names: Sequence[str]) -> Callable[..., Any]:
    """The case's expression, as a function. A traced value is not compared by `>`: the row `less` says the same."""
    expression = re.sub(r"(\w+) > 0", r"less(0.0, \1)", case.expression)
    return lambda *xs: eval(expression, names_of_formulas(), dict(zip(names, xs)))


def same(got: Any, expected: float) -> bool:
    """NaN is NaN, infinities and zeros are exact, and the rest is right to 8 ulp."""
    return close(got, expected) and (expected != 0.0 or got == 0.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.expression} at {case.at}")
def test_case_of_inputs(case: Case) -> None:
    """Value and gradient by the inputs are those of the table of cases, beside samples of another kind."""
    names, at = list(case.at), list(case.at.values())
    f = formula(case, names)
    program = compile(lambda x: value_and_grad(lambda x: f(*x))(x))
    y, gradient = program.each([[0.3] * len(at), at, [math.nan] * len(at), [-1.0] * len(at)])
    assert case.value is None or same(y[1], case.value), y[1]
    for name, got in zip(names, gradient):
        expected = case.gradient[name]
        assert expected is None or same(got[1], expected), (name, got[1])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.expression} at {case.at}")
def test_case_of_parameters(case: Case) -> None:
    """... and those by the parameters, whatever the parameters were when the function was recorded."""
    names, at = list(case.at), list(case.at.values())
    f = formula(case, names)
    params = [Value(0.3, name) for name in names]
    program = compile(lambda x: f(*params), params=params)
    program.value_and_grad([1.0])
    for p, x in zip(params, at):
        p.data = x
    y, gradient = program.value_and_grad([1.0])
    assert case.value is None or same(y, case.value), y
    for name, got in zip(names, gradient):
        expected = case.gradient[name]
        assert expected is None or same(got, expected), (name, got)

"""Compiled equals eager: every row, every corner case, random graphs and nets, any batch, either type; and errors."""

from __future__ import annotations

import gc
import itertools
import math
import operator
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from compiled import call, close, value_and_gradient
from expressions import Expression
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from strategies import Net, expressions, floats_across, nets, operand_counts
from test_semantics import names_of_formulas
from test_table import AWKWARD, PARTIAL_SCALE, VALUE_SCALE, no_scale

from tinygrad_sq import (
    MLP,
    Value,
    compile,
    cost,
    detect_anomaly,
    dot,
    exp,
    fit,
    grad,
    half_squared_error,
    hessian,
    hvp,
    jacobian,
    jvp,
    less,
    log,
    no_grad,
    relu,
    sigmoid,
    sin,
    softmax,
    sqrt,
    square,
    table,
    tanh,
    total,
    value_and_grad,
    vjp,
    where,
)
from tinygrad_sq.compiler import kernel
from tinygrad_sq.compiler.native import machine
from tinygrad_sq.compiler.program import Program
from tinygrad_sq.compiler.trace import TraceError
from tinygrad_sq.op import Op
from tinygrad_sq.tree import flatten

each_row = pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in table.rows.values()])
each_type = pytest.mark.parametrize("dtype", ["float64", "float32"])


def thorough(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(max_examples=examples, deadline=None)


# --- every row ---


def operand_count(row: Op) -> int:
    """That of the compiled test function: three if there may be any number."""
    return operand_counts(row, 3)[-1]


@cache
def of_inputs(row: Op, dtype: str) -> Program:
    """x -> the row's value and partials."""
    program: Program = compile(value_and_grad(lambda x: call(row, x)), dtype=dtype)
    return program


@cache
def of_parameters(row: Op) -> tuple[list[Value], Program]:
    """The row of parameters alone, whatever the sample: it is computed once, and not in vectors."""
    params = [Value(1.0) for _ in range(operand_count(row))]
    return params, compile(lambda x: call(row, params), params=params)


def check(row: Op, point: Sequence[float], y: Any, partials: Sequence[Any], dtype: str = "float64") -> None:
    eager, gradient = value_and_gradient(lambda xs: call(row, xs), point)
    scale = float(VALUE_SCALE.get(row.name, no_scale)(eager, *point)) if math.isfinite(eager) else 0.0
    assert close(y, eager, dtype, scale), f"value at {point}: {y!r}, not {eager!r}"
    for i, (got, d) in enumerate(zip(partials, gradient)):
        scale = partial_scale(row, d, point)
        assert close(got, d, dtype, scale), f"partial {i} at {point}: {got!r}, not {d!r}"


def partial_scale(row: Op, d: float, point: Sequence[float]) -> float:
    """As for `test_table`: where terms cancel, the unit is an ulp of these."""
    inside = all(low < x < high for x, (low, high) in zip(point, itertools.cycle(row.domain)))
    scale = float(PARTIAL_SCALE.get(row.name, no_scale)(d, *point)) if inside and math.isfinite(d) else 0.0
    return scale if math.isfinite(scale) else 0.0


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


@each_row
def test_rows_at_awkward_points(row: Op) -> None:
    """Zeros (and their signs), infinities, NaN, subnormals, the ends of the domain: the answers of the eager engine, in
    vectors, one by one, and outside of the loop.

    (In `dot` a product may be larger than any float, if the sum is not: it is fused.)"""
    n = operand_count(row)
    some = AWKWARD if n < 3 else (0.0, -0.0, 0.5, 1.0, -2.0, 1e308, math.inf, -math.inf, math.nan)
    X = [point for point in itertools.product(some, repeat=n) if not (row is table.dot and 1e308 in map(abs, point))]
    program = of_inputs(row, "float64")
    y, partials = program.each(X)
    params, uniform = of_parameters(row)
    for i, point in enumerate(X):
        check(row, point, y[i], [d[i] for d in partials])
        assert row.forward(*point) or y[i] or math.copysign(1.0, y[i]) == math.copysign(1.0, row.forward(*point)), point
        if i % 7 == 0:
            one, ones = program.each([point])
            check(row, point, one[0], [d[0] for d in ones])
            for p, x in zip(params, point):
                p.data = x
            check(row, point, *uniform.value_and_grad([0.0, 0.0]))


@pytest.mark.parametrize("row", [table.gaussian, table.normal_pdf, table.normal_cdf], ids=lambda row: row.name)
def test_tails_of_the_normal_distribution(row: Op) -> None:
    """Where rounding x² or x/√2 alone would cost hundreds of ulps, it is the eager engine's number to 8, in vectors and
    one by one."""
    X = [-38.0 + k / 7.0 for k in range(266)]
    program = compile(lambda x: row(x))
    for x, y in zip(X, program.each(X)):
        assert close(y, row(x)), x
        assert close(program.each([x])[0], row(x)), x


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


# --- branches ---


def behind_two_branches(x: Any, y: Any) -> Any:
    """log and sqrt of y, each reached through two branches, and one of them without any."""
    inner = where(less(y, 1.0), log(y), sqrt(y))
    return where(less(0.0, x), where(less(x, 5.0), inner * inner, 3.0 * inner), x * x) + 0.5 * sqrt(x * x)


@pytest.mark.parametrize(
    ("f", "X"),
    [
        (behind_two_branches, [(1.0, 0.5), (1.0, 0.0), (7.0, 0.0), (7.0, 4.0), (-1.0, 0.0), (-1.0, -1.0), (-2.0, 3.0)]),
        (lambda x, y: where(less(x, 0.0), y, 1.0 / (x * y)), [(-1.0, 0.0), (-1.0, 2.0), (0.0, 2.0), (4.0, 2.0)]),
        (lambda x, y: where(x, 1.0 / x, y) * where(x, y, exp(1.0 / x)), [(0.0, 2.0), (3.0, 2.0), (-0.0, 1.0)]),
        (lambda x, y: where(x, math.inf * log(y), y), [(0.0, 1.0), (1.0, 1.0), (0.0, -1.0), (math.nan, 2.0)]),
        (lambda x, y: where(less(x, y), total([log(x), log(y)]), dot([x, y], [y, 1.0 / x])), [(0.0, 0.0), (-1.0, 2.0)]),
        (lambda x, y: sin(where(less(x, y), 1.0 / x, 2.0)) * x, [(0.0, -1.0), (2.0, 3.0), (2.0, 1.0)]),
    ],
)
def test_the_branch_not_taken_gets_exactly_0(f: Callable[[Any, Any], Any], X: list[tuple[float, float]]) -> None:
    """Whatever is infinite or NaN behind it: reached through several branches, shared by them, or behind a constant
    that is infinite; first and second derivatives, and along a direction."""

    def derivatives(x: Any) -> Any:
        def g(x: Any) -> Any:
            return f(*x)

        return value_and_grad(g)(x), hessian(g)(x), jvp(g, x, [1.0, -2.0])[1]

    (y, gradient), H, along = compile(derivatives).each(X)
    for k, x in enumerate(X):
        (eager, d), dd, rate = derivatives(list(x))
        assert close(y[k], eager)
        assert all(close(gradient[i][k], d[i]) for i in range(2)), (x, d)
        assert all(close(H[i][j][k], dd[i][j], scale=100.0) for i in range(2) for j in range(2)), (x, dd)
        assert close(along[k], rate, scale=10.0), (x, rate)


def test_a_branch_on_a_parameter() -> None:
    """where(p, a, b) takes the branch of p's present data, in value and gradient."""
    p, q = Value(1.0), Value(2.0)
    program = compile(lambda x: where(p, q * x, 1.0 / q), params=[p, q])
    assert program.value_and_grad([3.0]) == (6.0, [0.0, 3.0])
    p.data = 0.0
    assert program.value_and_grad([3.0]) == (0.5, [0.0, -0.25])


def test_relu_does_not_become_a_choice_of_branches() -> None:
    """Only functions that say `where` pay for branches: a relu net has as many instructions as its equations."""
    model = MLP(3, [4, 1], seed=1)
    program = compile(lambda x: model(x), params=model.parameters())
    program.value_and_grad([[1.0, 2.0, 3.0]] * 2)
    (stats,) = program.stats
    assert stats.instructions < 4 * stats.nodes


# --- random graphs and nets ---

# Units of `Expression.rounding`, half an ulp of each operation: 8 ulp of each.
UNITS = 16.0
# Where equal terms cancel, a fused multiplication and addition leaves the last bits of one of them.
CANCELLED = 1e-14


def agree(got: Any, e: Expression, *orders: int) -> bool:
    return bool(abs(mpf(float(got)) - e.exact(*orders)) <= UNITS * e.rounding(*orders) + CANCELLED)


@thorough(40)
@given(e=expressions(most_leaves=3, most_steps=7), data=st.data())
def test_random_graphs(e: Expression, data: st.DataObject) -> None:
    """Value and gradient of a random graph are exact but for 8 ulp of each operation, wherever in a batch the sample
    stands, and whatever the samples beside it."""
    n = data.draw(st.integers(1, 40))
    at = data.draw(st.integers(0, n - 1))
    X = np.array(data.draw(st.lists(st.floats(-3.0, 3.0), min_size=n, max_size=n)))
    batch = np.stack([X + i for i in range(len(e.leaves))], axis=1)
    batch[at] = e.leaves
    y, gradient = compile(value_and_grad(lambda x: e(*x))).each(batch)
    assert agree(y[at], e)
    for i, d in enumerate(gradient):
        assert agree(d[at], e, i)


@thorough(15)
@given(e=expressions(most_leaves=2, most_steps=4))
def test_random_graphs_of_parameters(e: Expression) -> None:
    """... of parameters and inputs, too: the gradient by a parameter, of one sample and of a mean of equal ones."""
    p = Value(e.leaves[0])
    x = list(e.leaves[1:]) or [0.0]
    program = compile(lambda x: e(p, *x[: len(e.leaves) - 1]), params=[p])
    for m in (1, 4):
        y, (d,) = program.value_and_grad([x] * m)
        assert agree(y, e)
        assert agree(d, e, 0)


def nearly(got: Sequence[float], eager: Sequence[float], bound: float) -> bool:
    """Whether vectors are equal to `bound` times the largest component (or 1)."""
    scale = max(1.0, *map(abs, eager))
    return len(got) == len(eager) and all(abs(a - b) <= bound * scale for a, b in zip(got, eager))


def model_of(net: Net) -> MLP:
    model = MLP(net.sizes[0], net.sizes[1:], net.hidden, net.output)
    for l, layer in enumerate(model.layers, 1):
        for i, neuron in enumerate(layer.neurons):
            neuron.b.data = net.b[l][i]
            for w, x in zip(neuron.w, net.W[l][i]):
                w.data = x
    return model


def loss_of(model: MLP) -> Callable[[Any, Any], Any]:
    return lambda x, y: half_squared_error(model(x), y)


@thorough(25)
@given(net=nets(max_samples=40))
def test_random_nets(net: Net) -> None:
    """E3 and E4 of a random net, compiled, are the eager engine's to 1e-11 of the largest component."""
    assume("tan" not in (net.hidden, net.output))  # the last bit counts as much as one likes beside a pole
    model = model_of(net)
    params = model.parameters()
    J = cost(model, net.X, net.Y)
    J.backward()
    y, gradient = compile(loss_of(model), params=params).value_and_grad(net.X, net.Y)
    assert nearly([y], [J.data], 1e-11)
    assert nearly(gradient, [p.grad for p in params], 1e-11)


@each_type
@pytest.mark.parametrize("threads", [1, 2])
def test_every_batch_size(dtype: str, threads: int) -> None:
    """The mean of 1 to 100 samples and more, and its gradient; those of each; whole blocks and ragged ones."""
    model = MLP(2, [3, 1], "tanh", seed=2)
    params = model.parameters()
    program = compile(loss_of(model), params=params, dtype=dtype, threads=threads)
    predict = compile(model, dtype=dtype, threads=threads)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(300, 2)).astype(dtype), rng.normal(size=(300, 1)).astype(dtype)
    bound = 1e-14 if dtype == "float64" else 2e-6
    ones = []
    for x, y in zip(X.tolist(), Y.tolist()):
        J = half_squared_error(model(x), y)
        model.zero_grad()
        J.backward()
        ones.append([J.data, *(p.grad for p in params)])
    exact = np.array(ones)
    outputs = np.array([model(x).data for x in X.tolist()])
    for m in (*range(1, 101), 127, 128, 129, 200, 255, 256, 257, 300):
        y, gradient = program.value_and_grad(X[:m], Y[:m])
        assert nearly([y, *gradient], exact[:m].mean(axis=0).tolist(), bound), m
        assert nearly(predict.each(X[:m]).tolist(), outputs[:m].tolist(), bound), m
    assert program(X[:77], Y[:77]) == pytest.approx(exact[:77, 0].mean(), rel=1e-5)


def test_threads_are_deterministic() -> None:
    """The same bits for the same number of threads."""
    model = MLP(2, [3, 1], "tanh", seed=2)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 1))
    programs = [compile(loss_of(model), params=model.parameters(), threads=3) for _ in range(2)]
    results = [program.flat_value_and_grad(X, Y)[1].tobytes() for program in programs for _ in range(5)]
    assert len(set(results)) == 1


@pytest.mark.parametrize("m", [2, 31, 33, 64, 65])
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 1e200])
def test_infinities_in_any_place_of_a_batch(m: int, bad: float) -> None:
    """A sample that is not finite, or whose loss is not, makes the mean what the eager engine makes of it, be it the
    last one, whose place in the block is repeated, or another; and the other samples' results are untouched."""
    p = Value(2.0)

    def f(x: Any) -> Any:
        return (p * x) * (p * x)

    program = compile(f, params=[p])
    for at in {0, m // 2, m - 1}:
        X = [1.0] * m
        X[at] = bad
        y, (d,) = program.value_and_grad(X)
        assert close(y, sum(4.0 * x * x for x in X) / m, ulps=100.0)
        assert close(d, sum(4.0 * x * x for x in X) / m, ulps=100.0)
        each = program.each(X)
        assert all(close(each[k], 4.0 * x * x) for k, x in enumerate(X))


# --- ways of writing ---


def test_structures() -> None:
    """Arguments of any shape, results of any structure: numbers, arrays, tuples and dicts of them, constants, inputs,
    parameters, one result twice."""
    p = Value(5.0)

    def f(x: Any, A: Any) -> Any:
        s = x * A[0][1]
        return {"sum": s + A[1][0], "pair": (s, [s, p]), "constant": 7.0, "input": A[1][1], "twice": [p * p, p * p]}

    program = compile(f, params=[p])
    A = np.arange(8.0).reshape(2, 2, 2)
    result = program.each([10.0, 20.0], A)
    assert {k: np.array(v).tolist() for k, v in result.items() if k != "pair"} == {
        "sum": [12.0, 106.0],
        "constant": [7.0, 7.0],
        "input": [3.0, 7.0],
        "twice": [[25.0, 25.0]] * 2,
    }
    s, (again, parameter) = result["pair"]
    assert (s.tolist(), again.tolist(), parameter.tolist()) == ([10.0, 100.0], [10.0, 100.0], [5.0, 5.0])
    mean = program([10.0, 20.0], A)
    assert mean["pair"] == (55.0, [55.0, 5.0])
    assert mean["constant"] == 7.0
    one = program(10.0, A[0])
    assert one["sum"] == 12.0


def test_params_of_any_structure() -> None:
    """The gradient has the structure of params; what the result does not depend on has gradient 0."""
    p = {"w": [Value(1.0), Value(2.0)], "b": Value(3.0), "unused": (Value(4.0),)}
    program = compile(lambda x: dot(p["w"], x, p["b"]), params=p)
    y, gradient = program.value_and_grad([[1.0, 2.0], [3.0, 4.0]])
    assert y == (1 + 4 + 3 + 3 + 8 + 3) / 2
    assert gradient == {"w": [2.0, 3.0], "b": 1.0, "unused": (0.0,)}
    assert program.flat_value_and_grad([[1.0, 2.0], [3.0, 4.0]])[1].tolist() == [2.0, 3.0, 1.0, 0.0]


def test_results_that_are_leaves() -> None:
    """A result may be an input, a parameter or a constant, and still has a gradient."""
    p = Value(2.0)
    assert compile(lambda x: x, params=[p]).value_and_grad([1.0, 5.0]) == (3.0, [0.0])
    assert compile(lambda x: p, params=[p]).value_and_grad([1.0, 5.0]) == (2.0, [1.0])
    assert compile(lambda x: 4.0, params=[p]).value_and_grad([1.0, 5.0]) == (4.0, [0.0])
    assert compile(lambda x: [x, p, 4, x])([1.0, 5.0]) == [3.0, 2.0, 4.0, 3.0]
    assert compile(lambda x: []).each([1.0, 5.0]) == []


def test_a_value_that_is_both_parameter_and_constant_elsewhere() -> None:
    """A parameter's present data counts, and that of a constant is taken when the function is recorded."""
    w, c = Value(2.0), Value(10.0)
    program = compile(lambda x: w * x + c, params=[w])
    assert program([1.0, 3.0]) == 14.0
    w.data = 3.0
    assert program([1.0, 3.0]) == 16.0


def attention(q: Any, K: Any, V: Any) -> Any:
    """softmax(q Kᵀ / √d) V, of lists."""
    weights = softmax([dot(q, k) / math.sqrt(len(q)) for k in K])
    return [dot(weights, [v[j] for v in V]) for j in range(len(V[0]))]


def convolution(w: Any, x: Any) -> Any:
    """Of one row of numbers, as loops over scalars."""
    n = len(w)
    result = []
    for i in range(len(x) - n + 1):
        s = 0
        for j in range(n):
            s = s + w[j] * x[i + j]
        result.append(relu(s))
    return result


def recurrence(W: Any, u: Any, x: Any) -> Any:
    """h ← tanh(W h + u x_t), over the x_t; the last h."""
    h = [0.0] * len(W)
    for x_t in x:
        h = [tanh(dot(row, h) + u_i * x_t) for row, u_i in zip(W, u)]
    return h


def gated(W: Any, u: Any, x: Any) -> Any:
    """A cell like that of an LSTM: c ← f c + i g, h ← o tanh(c), where the four gates share their weights."""
    c, h = [0.5] * len(W), [0.1] * len(W)
    for x_t in x:
        z = [dot(row, h) + u_i * x_t for row, u_i in zip(W, u)]
        c = [sigmoid(z_i) * c_i + sigmoid(-z_i) * tanh(z_i) for z_i, c_i in zip(z, c)]
        h = [sigmoid(2.0 * z_i) * tanh(c_i) for z_i, c_i in zip(z, c)]
    return h


def residual(W: Any, x: Any, layers: int = 3) -> Any:
    """Layers with the same weights, each beside a connection past it."""
    for _ in range(layers):
        x = [x_i + tanh(sum(w * x_j for w, x_j in zip(row, x))) for row, x_i in zip(W, x)]
    return x


def grid(rows: int, columns: int, rng: random.Random) -> list[list[Value]]:
    return [[Value(rng.uniform(-1.0, 1.0)) for _ in range(columns)] for _ in range(rows)]


rng = random.Random(1)
W33, V43, U13 = grid(3, 3, rng), grid(4, 3, rng), grid(1, 3, rng)[0]

BLOCKS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "attention": (lambda x: total(attention(x, W33, V43[:3])), [W33, V43[:3]]),
    "convolution": (lambda x: sum(convolution(U13, x + x)), U13),
    "recurrence": (lambda x: total(recurrence(W33, U13, x)), [W33, U13]),
    "long recurrence": (lambda x: total(recurrence(W33, U13, x * 3)), [W33, U13]),
    "recurrence with gates": (lambda x: total(gated(W33, U13, x * 3)), [W33, U13]),
    "residual": (lambda x: total(residual(W33, x)), W33),
    "many residual layers": (lambda x: total(residual(W33, x, 7)), W33),
    "recurrence of parameters": (lambda x: dot(recurrence(W33, U13, U13 * 3), x), [W33, U13]),
    "logistic map": (lambda x: reduce(lambda y, _: U13[0] * y * (1.0 - y), range(9), x[0]), U13),
    "shared weights": (lambda x: dot(U13, x) * tanh(dot(U13, x[::-1])) / U13[0], U13),
    "penalty": (lambda x: dot(x, U13) + 0.5 * 0.1 * total([w * w for row in W33 for w in row]), [U13, W33]),
    "penalty alone": (lambda x: log(total([exp(w) for row in W33 for w in row])) * x[0], W33),
    "second order": (lambda x: total(grad(lambda x: tanh(dot(U13, x)) * x[0])(x)), U13),
    "product of all": (lambda x: reduce(lambda a, b: a * b, [*x, *U13]), U13),
    "differences": (lambda x: (x[0] - U13[0]) * (x[0] - U13[0]) - (U13[1] - x[1]) - -x[2], U13),
}


@pytest.mark.parametrize("block", BLOCKS)
@each_type
def test_blocks(block: str, dtype: str) -> None:
    """Attention, convolution, recurrence, residual connections, shared weights, parts without samples, and derivatives
    inside: value and gradient are the eager engine's."""
    f, params = BLOCKS[block]
    program = compile(f, params=params, dtype=dtype)
    X = np.random.default_rng(3).normal(size=(37, 3)).astype(dtype)
    leaves = program.parameters
    for p in leaves:
        p.grad = 0.0
    J = total([f(list(map(Value, x))) for x in X.tolist()]) / len(X)
    J.backward()
    y, gradient = program.flat_value_and_grad(X)
    bound = 1e-13 if dtype == "float64" else 1e-5
    assert nearly([y], [J.data], bound)
    assert nearly(gradient.tolist(), [p.grad for p in leaves], bound)


# --- transforms of plain functions ---


def rosenbrock(x: Any) -> Any:
    return sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in itertools.pairwise(x))


def polar(x: Any) -> Any:
    return [x[0] * exp(x[1]), sin(x[0] * x[1])]


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": grad(rosenbrock),
    "value_and_grad": value_and_grad(rosenbrock),
    "jacobian": jacobian(polar),
    "hessian": hessian(rosenbrock),
    "third derivatives": jacobian(hessian(rosenbrock)),
    "jvp": lambda x: jvp(polar, x, [1.0, 2.0, 3.0])[1],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str) -> None:
    """grad, jacobian, hessian and jvp compile like any function, at one point and over batches."""
    f = TRANSFORMS[name]
    program = compile(f)
    X = np.random.default_rng(5).normal(size=(33, 3))
    batch, eager = program.each(X), [f(x) for x in X.tolist()]
    flat = np.array(flatten(batch)[0]).reshape(-1, 33)
    expected = np.array([flatten(y)[0] for y in eager]).T
    assert np.allclose(flat, expected, rtol=1e-13, atol=1e-11)
    one = flatten(program.each(X[:1]))[0]
    assert np.allclose(one, expected[:, 0], rtol=1e-13, atol=1e-11)


def test_bound_to_one_point() -> None:
    """`bind` computes at what `inputs` holds now, as often as it is called."""
    bound = compile(value_and_grad(rosenbrock)).bind([1.0, 2.0, 3.0])
    for x in ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]):
        bound.inputs[0][:] = x
        value, gradient = value_and_grad(rosenbrock)(x)
        assert bound().tolist() == pytest.approx([value, *gradient])
        assert bound.outputs is bound()
        assert bound.outputs is bound.run()


def test_inputs_of_a_bound_program() -> None:
    """An array for each argument, of its shape, and of one element for a number. `run` takes no arguments."""
    bound = compile(lambda x, a, W: a * dot(x, W[0]) + W[1][2]).bind([0.0] * 3, 0.0, [[0.0] * 3] * 2)
    assert [a.shape for a in bound.inputs] == [(3,), (1,), (2, 3)]
    for a, data in zip(bound.inputs, ([1.0, 2.0, 3.0], 2.0, [[4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])):
        a[:] = data
    assert bound().tolist() == [73.0]
    with pytest.raises(TypeError):
        bound.run(1.0)  # type: ignore[call-arg]


def test_a_bound_function_outlives_the_program() -> None:
    """`run` alone keeps all that it reads and writes, and leaves no reference behind when it is called."""
    bound = compile(value_and_grad(rosenbrock)).bind([1.0, 2.0, 3.0])
    run, x, outputs = bound.run, bound.inputs[0], bound.outputs
    del bound
    gc.collect()
    x[:] = 0.0
    before = sys.getrefcount(outputs)
    for _ in range(100):
        run()
    assert sys.getrefcount(outputs) == before
    assert outputs.tolist() == [2.0, -2.0, -2.0, 0.0]


def test_decorator() -> None:
    """@compile and @compile(params=...)."""
    p = Value(3.0)

    @compile(params=[p])
    def f(x: Any) -> Any:
        return p * x

    @compile
    def g(x: Any) -> Any:
        return 2.0 * x

    assert f.value_and_grad([1.0, 2.0]) == (4.5, [1.5])
    assert g([1.0, 2.0]) == 3.0


# --- errors ---


def refusal(f: Callable[..., Any], *args: Any, params: Any = ()) -> str:
    """What TraceError says."""
    with pytest.raises(TraceError) as error:
        compile(f, params=params)(*args)
    return str(error.value)


w = Value(1.0, "w")


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda x: x if x > 0 else -x, "x"),
        (lambda x: 1.0 if x <= w else x, "x"),
        (lambda x: x if w < 0 else -x, "w"),
        (lambda x: w * x or x, "a value"),
        (lambda x: math.sqrt(x), "x"),
        (lambda x: int(x) * x, "x"),
        (lambda x: x.detach() * x, "x"),
        (lambda x: no_grad()(lambda: x * x)() * x, "a value"),
        (lambda x: sorted([x, 2.0 * x])[0], "a value"),
        (lambda x: 2.0 * x.data * x, "a value"),
        (lambda x: x if x.data > 0.0 else -x, "a value"),
        (lambda x: (x * w).data - x, "a value"),
        (lambda x: x + w * x.data, "a value"),
        (lambda x: exp(x.data) * x, "a value"),
        (lambda x: x * math.exp(x.data), "a value"),
        (lambda x: x if math.isfinite(x.data) else -x, "a value"),
        (lambda x: x * [1.0, 2.0][x.data], "a value"),
        (lambda x: Value(x.data) * x, "a value"),
        (lambda x: exp(x * x).backward() or x, "a value"),
    ],
)
def test_a_branch_on_a_traced_value(f: Callable[[Any], Any], name: str) -> None:
    """A branch, a conversion or a detached value, of an input or a parameter, is an error that names the line, the
    value, and `where`."""
    message = refusal(f, [1.0, -2.0], params=[w])
    assert message.startswith(f"{__file__}:")
    assert int(message.removeprefix(f"{__file__}:").split()[0]) == f.__code__.co_firstlineno
    assert f"branches on {name}," in message
    assert "where(less(a, b), x, y)" in message


def test_a_traced_number_can_be_printed() -> None:
    """Whoever does so sees that there is none."""
    shown = []

    def f(x: Value) -> Value:
        shown.append(f"{x.data} {x.data:.3f} {x!r} {2.0 * x}")
        return x * 1.0

    assert compile(f).each([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert shown[-1] == "unknown unknown Value(data=unknown, grad=0.0, label='x') 2 * x = unknown"


def test_anomalies_within_a_compiled_function() -> None:
    """What has no number yet is none; a constant is one."""

    def f(x: Value) -> Any:
        with detect_anomaly():
            return x * 2.0 + grad(square)(x)

    assert compile(f).each([1.0, 2.0]).tolist() == [4.0, 8.0]

    def g(x: Value) -> Any:
        with detect_anomaly():
            return x * exp(Value(1000.0))

    with pytest.raises(FloatingPointError, match=r"exp of .* is inf"):
        compile(g).each([1.0, 2.0])


def test_a_constant_has_its_number() -> None:
    """What no argument has a part in is computed as anywhere else, while the function is recorded."""
    c = Value(2.0)
    assert compile(lambda x: x * (c * 3.0).data + exp(c - 2.0)).each([1.0, 2.0]).tolist() == [7.0, 13.0]


def test_a_value_can_be_compared_again_afterwards() -> None:
    """The refusal ends with the recording, also when that failed."""
    refusal(lambda x: x if w > 0 else -x, [1.0])
    assert w > 0
    assert bool(w)


def test_a_constant_that_changed() -> None:
    """A leaf that is neither input nor parameter is remembered; the next call says which one has other data."""
    c, p = Value(2.0, "c"), Value(3.0)
    program = compile(lambda x: c * x + p, params=[p])
    assert program([1.0, 3.0]) == 7.0
    p.data = 4.0
    assert program([1.0, 3.0]) == 8.0
    assert program.value_and_grad([1.0, 3.0]) == (8.0, [1.0])
    c.data = 5.0
    for call_again in (program, program.value_and_grad):
        with pytest.raises(ValueError, match=r"c was 2\.0 when .* is 5\.0 now; a Value that changes belongs in params"):
            call_again([1.0, 3.0])
    c.data = 2.0
    assert program([1.0, 3.0]) == 8.0


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1.0


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((), TypeError, "expected at least one argument"),
        (([],), ValueError, r"one number of samples \(at least 1\), got \[0\]"),
        ((np.zeros((0, 2)),), ValueError, r"got \[0\]"),
        (([1.0, 2.0], [1.0]), ValueError, r"got \[2, 1\]"),
        (("text",), TypeError, "argument 1 of 1 is not an array of numbers: .* got str 'text'$"),
        (([1.0], [None]), TypeError, r"argument 2 of 2 is not an array of numbers: .* got NoneType None at \[0\]$"),
        (([[1.0, "a"]], [1.0]), TypeError, r"argument 1 of 2 is not an array of numbers: .* got str 'a' at \[0, 1\]$"),
        (([[1.0], [2.0, 3.0]],), TypeError, r"argument 1 of 1 is .*: \[1\]: expected a list of 1, got a list of 2$"),
        (([[[1.0], 2.0]] * 2,), TypeError, r"argument 1 of 1 is .*: \[1\]: expected a list of 1, got a float$"),
        ((nested(100),), TypeError, "argument 1 of 1 is not an array of numbers: .*dimension"),
        ((np.array([1j]),), TypeError, "argument 1 of 1 is not an array of numbers: .*1j"),
        ((np.array(["2020"], "datetime64[Y]"),), TypeError, "argument 1 of 1 is not an array of numbers: .*2020"),
        (({},), TypeError, "argument 1 of 1 is not an array of numbers"),
        (([10**400],), OverflowError, "too large for a float"),
    ],
)
def test_arguments_that_are_no_batch(args: tuple[Any, ...], error: type[Exception], message: str) -> None:
    """What is not numbers, or not one number of samples, is refused by name before anything runs."""
    program = compile(lambda *args: 1.0)
    for run in (program, program.each, program.value_and_grad):
        with pytest.raises(error, match=message):
            run(*args)


def test_what_cannot_be_compiled() -> None:
    """No function, no such type, no threads, params that are no Values, results that are no numbers, a gradient of
    several results, a row without native spelling."""
    with pytest.raises(TypeError, match="expected a function, got int 3"):
        compile(3)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="expected dtype 'float64' or 'float32', got 'float16'"):
        compile(abs, dtype="float16")
    with pytest.raises(ValueError, match="expected threads to be 1 or more, got 0"):
        compile(abs, threads=0)
    with pytest.raises(TypeError, match=r"expected params to be Values, got float 2\.0 at \[1\]"):
        compile(abs, params=[Value(1.0), 2.0])
    with pytest.raises(TypeError, match=r"expected a real number.*got str 'text'"):
        compile(lambda x: "text")([1.0])
    with pytest.raises(TypeError, match="a gradient is that of one scalar result, and the function has 2"):
        compile(lambda x: [x, x]).value_and_grad([1.0])
    with pytest.raises(TypeError, match="positional argument"):
        compile(lambda x: x)([1.0], [2.0])
    cube = Op("cube_without_native", lambda x: x**3, (lambda y, x: 3.0 * x * x,), "x³", method=False)
    try:
        with pytest.raises(TypeError, match="cube_without_native cannot be compiled: its row has no native spelling"):
            compile(lambda x: cube(x) * x).each([1.0])
        assert compile(lambda x: cube(2.0) * x).each([1.0]).tolist() == [8.0]
    finally:
        del table.rows["cube_without_native"]


BLOCKED = """
import sys
sys.modules[sys.argv[1]] = None
import tinygrad_sq
try:
    tinygrad_sq.compile(abs)
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["llvmlite", "numpy"])
def test_a_missing_extra(missing: str) -> None:
    """Without llvmlite or numpy, `import tinygrad_sq` works, and compile says what to install."""
    result = subprocess.run([sys.executable, "-c", BLOCKED, missing], capture_output=True, text=True, check=True)
    assert "pip install llvmlite numpy" in result.stdout


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever compile is first asked for: as a function, a decorator, or by fit."""
    monkeypatch.setitem(sys.modules, "tinygrad_sq.compiler.program", None)
    for ask in (lambda: compile(abs), lambda: compile(params=[]), lambda: fit(MLP(1, [1]), [1], [1], compiled=True)):
        with pytest.raises(ImportError, match=re.escape("pip install llvmlite numpy")):
            ask()


# --- any array at all ---

LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "as it is": lambda a: a,
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "Fortran order": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "objects": lambda a: a.astype(object),
    "misaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8, offset=1).view(a.dtype).reshape(a.shape),
    "of an outer array": lambda a: np.broadcast_to(a, (3, *a.shape))[1],
}
TYPES = ["float64", "float32", "float16", "int64", "int8", "uint16", "bool", "longdouble"]


@thorough(60)
@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    m=st.integers(1, 40),
    kind=st.sampled_from(TYPES),
    dtype=st.sampled_from(["float64", "float32"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    seed=st.integers(0, 99),
    special=st.sampled_from([0.0, math.inf, -math.inf, math.nan, 1e38, -1e-320]),
)
def test_any_array(shape: list[int], m: int, kind: str, dtype: str, layout: str, seed: int, special: float) -> None:
    """Whatever its shape, type, byte order and place in memory, read-only or not, an array means its numbers, and is
    not changed."""
    a = np.random.default_rng(seed).normal(size=(m, *shape)) * 10.0
    if a.size:
        a.flat[0] = special
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = a.astype(kind)
        if kind == "longdouble" and layout == "misaligned":
            layout = "list"
        given = LAYOUTS[layout](a)
        expected = a.astype(np.float64).astype(dtype).reshape(m, -1)
    if isinstance(given, np.ndarray):
        given.flags.writeable = False
    copies = SUMS[len(shape), dtype].each(given)
    got = np.array(flatten(copies)[0], dtype).reshape(-1, m).T
    assert got.shape == expected.shape
    assert np.array_equal(got, expected, equal_nan=True)


class _Sums(dict[tuple[int, str], Program]):
    """Programs that return their argument, by its number of axes and type: kernels of one shape are compiled once."""

    def __missing__(self, key: tuple[int, str]) -> Program:
        self[key] = compile(lambda x: x, dtype=key[1])
        return self[key]


SUMS = _Sums()


def test_float32_beyond_its_range_is_infinite() -> None:
    """1e300 is inf in float32, and -1e-300 is -0."""
    program = compile(lambda x: [x, 1.0 / x], dtype="float32")
    x, inverse = program.each([1e300, -1e300, -1e-300, 2.0])
    assert x.tolist() == [math.inf, -math.inf, 0.0, 2.0]
    assert inverse.tolist() == [0.0, 0.0, -math.inf, 0.5]
    assert x.dtype == inverse.dtype == np.float32
    assert program([1.0, 3.0])[0] == 2.0


def test_results_are_the_callers_own() -> None:
    """An array that was returned is not written to by the next call."""
    program = compile(lambda x: 2.0 * x)
    first = program.each([1.0, 2.0])
    program.each([5.0, 6.0])
    assert first.tolist() == [2.0, 4.0]
    p = Value(1.0)
    program = compile(lambda x: p * x, params=[p])
    _, gradient = program.flat_value_and_grad([1.0, 2.0])
    program.flat_value_and_grad([5.0, 6.0])
    assert gradient.tolist() == [1.5]


def test_names_of_a_function_that_has_none() -> None:
    """A callable whose arguments cannot be known, or have other names, compiles too."""

    class Unknown:
        __signature__ = "none"

        def __call__(self, *args: Any) -> Any:
            return args[0] * 2.0

    assert compile(Unknown()).each([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert compile(lambda *args: args[1] * 2.0).each([1.0, 2.0], [3.0, 4.0]).tolist() == [6.0, 8.0]


def test_one_program_for_many_shapes() -> None:
    """A program compiles anew for arguments of another shape."""
    program = compile(lambda x: total(x))
    for n in (1, 2, 5, 3, 5):
        assert program(np.ones((4, n))) == n
    assert len(program.stats) == 4


def test_the_gradient_of_a_parameter_does_not_rename_it() -> None:
    """A result that is the user's own Value keeps its label."""
    p = Value(1.0)
    compile(lambda x: p, params=[p]).value_and_grad([1.0])
    assert p.label == ""


# --- what can be seen of a program ---


def test_long_code_calls_its_functions() -> None:
    """A chain that does not roll has tanh and its derivative written out once, and computes what the engine does."""
    W = [Value(0.5 + 0.01 * i) for i in range(40)]
    first = random.Random(0).choices([True, False], k=len(W))

    def f(x: Any) -> Any:
        y = x
        for w, way in zip(W, first):
            y = tanh(w * y + x) if way else tanh(y * y - w)
        return y

    program = compile(f, params=W)
    x = np.linspace(-1.0, 1.0, 9)
    value, gradient = program.value_and_grad(x)
    J = total([f(Value(v)) for v in x.tolist()]) / 9.0
    J.backward()
    assert value == pytest.approx(J.data, rel=1e-12)
    assert gradient == pytest.approx([w.grad for w in W], rel=1e-9, abs=1e-12)
    definitions = [line for line in program.llvm.splitlines() if line.startswith("define")]
    assert sum("@vector.tanh" in line for line in definitions) == 1


def test_rows_of_a_block_stay_within_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they would not, a block has fewer samples, down to a register's; the numbers stay."""
    f, params = BLOCKS["long recurrence"]
    X = np.random.default_rng(0).normal(size=(37, 3))
    seen = []
    for room in (1 << 30, 1 << 10):
        monkeypatch.setattr(kernel, "_ROOM", room)
        program = compile(f, params=params)
        y, gradient = program.flat_value_and_grad(X)
        (made,) = program._kernels.values()
        seen.append((made.block, y, gradient))
    (large, *_), (small, *_) = seen
    assert small == min(machine().register // 8, large) < large
    assert np.allclose([seen[0][1], *seen[0][2]], [seen[1][1], *seen[1][2]], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_is_left_as_it_was(running: bool) -> None:
    """Compiling goes without Python's collector of cycles, and starts it again only if it was running before."""
    before = gc.isenabled()
    seen = []

    def f(x: Any) -> Any:
        seen.append(gc.isenabled())
        return x * 2.0

    try:
        (gc.enable if running else gc.disable)()
        compile(f)([1.0])
        assert gc.isenabled() is running
        assert not seen[-1]
    finally:
        (gc.enable if before else gc.disable)()


def test_text_stats_and_code() -> None:
    """Before the first call there is nothing to see; then there is the text, the sizes, the IR and the assembly."""
    model = MLP(2, [3, 1], "tanh", seed=0)
    program = compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters())
    assert str(program) == "not compiled yet: call it once"
    assert repr(program) == f"Program(<lambda>, {len(program.parameters)} parameters, float64)"
    assert repr(compile(tanh, dtype="float32")) == "Program(Op, 0 parameters, float32)"
    assert program.stats == []
    program.value_and_grad([[1.0, 2.0]] * 2, [[1.0]] * 2)
    assert "for i < 3: z2[i] = b1[i] + Σ_{j < 2} W1[i,j] · x[j]" in str(program)
    (stats,) = program.stats
    assert stats.nodes > 40
    assert 0 < stats.nests < 30
    assert stats.bytes > 0
    assert stats.flops == 12 + 30 + 6 + 6 + 20  # z2, a2 and f'(z2), z3, J and δ3, δ2 and the gradient
    assert set(stats.seconds) >= {"trace", "tape", "roll", "native"}
    assert "define void @run" in program.llvm
    assert "ret" in program.asm
    w = Value(2.0)
    program = compile(lambda x: x * w, params=[w])
    program.value_and_grad([1.0, 2.0])
    program.each([1.0, 2.0])
    assert [stats.flops for stats in program.stats] == [3, 1]  # x w, its product with the weight, and x's
    assert {"J = sum(J · weight)", "∂J/∂p[0] = sum(weight · x)", "result[0] = x · p[0]"} <= {*str(program).splitlines()}
    program.each([1.0])
    assert [line for line in str(program).splitlines() if "#" in line] == ["# gradient", "# each", "# each, one sample"]


def test_plain_lists_are_one_sample_of_a_function_of_lists() -> None:
    """A list of numbers is a batch for a function of a number, and one sample for a function of a list."""
    assert compile(sin).each([0.1, 0.2]).tolist() == compile(sin).each(np.array([0.1, 0.2])).tolist()
    of_list = compile(lambda x: x[0] * x[1])
    assert of_list([2.0, 3.0]) == 6.0
    assert of_list.each([2.0, 3.0]).tolist() == [6.0]
    assert of_list([[2.0, 3.0], [4.0, 5.0]]) == 13.0
    both = compile(lambda x, y: x[0] * y[1])
    assert both([2.0, 3.0], [4.0, 5.0]) == 10.0
    with pytest.raises(TraceError, match="branches on"):
        compile(lambda x: x if x > 0.0 else -x).each([1.0, -1.0])


def test_a_constant_may_be_an_int() -> None:
    """Its data, set so, or what a row makes of constants: it is a number, and not that of an instruction."""
    c = Value(1.0)
    for number in (0, 1, 3, True, np.float64(2.0)):
        c.data = number
        assert compile(lambda x: x * c + 1.0).each([1.0, 2.0]).tolist() == [number + 1.0, 2.0 * number + 1.0]
    whole = Op("whole", lambda x: int(x), (0.0,), "an int")
    try:
        assert compile(lambda x: x + whole(c)).each([1.0]).tolist() == [3.0]
    finally:
        del table.rows["whole"]


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: grad(f)(2.0),
        lambda f: value_and_grad(f)(2.0)[1],
        lambda f: jacobian(f)(2.0),
        lambda f: jvp(f, 2.0, 1.0)[1],
        lambda f: vjp(f, 2.0)[1](1.0),
        lambda f: hessian(lambda t: f(t) * t / 3.0)(2.0),
        lambda f: hvp(lambda t: f(t) * t / 3.0, 2.0, 1.0),
    ],
)
def test_a_derivative_at_a_number_is_a_function_of_what_is_traced(derivative: Callable[..., Any]) -> None:
    """Inside a compiled function the result at a plain number stays graph: of parameters, and of the sample."""
    w = Value(1.0, "w")
    program = compile(lambda x: x * derivative(lambda t: t * t * w), params=[w])
    for w.data in (1.0, 10.0):
        value, (dw,) = program.value_and_grad([1.0, 2.0, 3.0])
        assert (value, dw) == pytest.approx((8.0 * w.data, 8.0), rel=1e-15)
    assert compile(lambda x: derivative(lambda t: t * t * x)).each([1.0, 2.0]) == pytest.approx([4.0, 8.0], rel=1e-15)


def test_a_function_that_takes_neither_numbers_nor_lists() -> None:
    """The error is that of lists, and says what it was of numbers; without a retry there is nothing to add."""
    with pytest.raises(TypeError, match="'list' and 'int'") as error:
        compile(lambda x: x % 2)([1.0, 2.0])
    (note,) = error.value.__notes__
    assert note.startswith("of numbers in place of lists the function says: unsupported operand type(s) for %: 'Value'")
    with pytest.raises(TypeError, match="'Value' and 'int'") as error:
        compile(lambda x: x % 2)(1.0)  # a number is none of lists
    assert not hasattr(error.value, "__notes__")


INTERLEAVED: list[Callable[..., Any]] = [
    lambda a, b, c, d: a + b - 2.0 * c + d,
    lambda a, b, c, d: ((a + b) - (c + c)) + d,
    lambda a, b, c, d: (((a * d + b) + c * 3.0) - a) + d,
    lambda a, b, c, d: total([total([a - b, c]), d]),
    lambda a, b, c, d: dot([d], [d], total([a - b, c])),
    lambda a, b, c, d: reduce(operator.add, [x for k in range(6) for x in (a, 0.5 * c, b, (k + 1.0) * d, -a, c)]),
]


@pytest.mark.parametrize("f", INTERLEAVED)
def test_sums_keep_their_order_in_native_code(f: Callable[..., Any]) -> None:
    """What is written with + and - is added up in that order, whatever arrays the terms are of."""
    points = [(1e16, 1e16, 1.0, 1.0), (-1e16, 0.0, 1.0, 1.0), (1e16, -1e16, 0.5, 3.0), (1.0, 1e16, -1e16, 1.0)]
    assert compile(f).each(*map(list, zip(*points))).tolist() == [f(*point) for point in points]
    of_lists = compile(lambda x, y: f(x[0], x[1], y[0], y[1]))
    assert of_lists.each([p[:2] for p in points], [p[2:] for p in points]).tolist() == [f(*p) for p in points]
    w = [Value(x, f"w[{k}]") for k, x in enumerate(points[2])]
    assert compile(lambda x: f(x[0], w[1], x[1], w[3]), params=w)([[1e16, 0.5]]) == f(*points[2])


@pytest.mark.parametrize(("n", "calls"), [(1.0, 0), (2.0, 0), (3.0, 0), (-1.0, 0), (0.5, 1), (4.0, 1)])
def test_common_powers_are_multiplications(n: float, calls: int) -> None:
    """x to the power 1, 2, 3 or -1 is computed without libm's pow, and is what the eager engine says."""
    program = compile(lambda x: x**n)
    points = [0.5, 1.5, 2.0, 7.25]
    assert program.each(points) == pytest.approx([x**n for x in points], rel=1e-15)
    assert ("pow" in program.llvm) == bool(calls)

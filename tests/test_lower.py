"""Lowered code: run on vectors of many shapes, it adds up, or keeps, what the rolled program is for each sample."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import pytest
import test_roll
from test_roll import irregular, rolled

from tinygrad_sq import MLP, Value, dot, exp, half_squared_error, less, sigmoid, sin, sqrt, tanh, total, where
from tinygrad_sq.calculus import gradient
from tinygrad_sq.compiler.lower import Target, lower
from tinygrad_sq.compiler.native import Native
from tinygrad_sq.compiler.nest import Rolled
from tinygrad_sq.compiler.trace import tracing

WEIGHT = 0.25


class Case(NamedTuple):
    """A function of lists of so many numbers, a number itself where it is 1 or a list where it is more."""

    f: Callable[..., Any]
    sizes: tuple[int, ...]
    params: Sequence[Value] = ()


def net(activation: str, sizes: Sequence[int]) -> Case:
    model = MLP(3, sizes, activation, seed=1)
    return Case(lambda x, y: half_squared_error(model(x), y), (3, sizes[-1]), model.parameters())


def some(n: int) -> list[Value]:
    rng = random.Random(0)
    return [Value(rng.uniform(-1.0, 1.0)) for _ in range(n)]


W = some(6)


def steps(x: Any, h: Any) -> Any:
    """A recurrence, whose last state has a number of its own added in each step."""
    for t in range(6):
        h = [tanh(dot([w, v], h[-2:]) + a * x[t]) for w, v, a in zip(W, W[3:], h)]
        h[0] = h[0] + sin(h[0] * x[t])
    return total(h)


def power(p: Any) -> Any:
    """A recurrence of parameters."""
    for _ in range(5):
        p = [sin(a * b) for a, b in zip(p, [*p[1:], p[0]])]
    return p


CASES = {
    "relu": net("relu", [5, 2]),
    "tanh": net("tanh", [4, 3, 1]),
    "tables": Case(lambda x: irregular(x, 24), (4,)),
    "uniform": Case(lambda x: dot(W[:3], x) * exp(W[3]) + total([sin(p) * p for p in W]), (3,), W),
    "functions": Case(
        lambda x: sqrt(x[0] * x[0] + 2.5) * sigmoid(x[1]) + where(less(x[1], 0.5), tanh(x[2]), W[0]), (3,)
    ),
    "three loops": Case(
        lambda x, y: total([W[i] * x[i + j] * y[j + k] for i in range(3) for j in range(3) for k in range(5)]),
        (5, 7),
        W,
    ),
    "three indices": Case(
        lambda x, y: total([sin(x[12 * i + 4 * j + k] * y[j]) for i in range(2) for j in range(3) for k in range(4)]),
        (24, 3),
    ),
    "recurrence": Case(steps, (6, 3), W),
    "chain": Case(lambda x: reduce(lambda y, _: sin(y * x[0]), range(7), x[1]), (2,)),
    "products so far": Case(lambda x: total(accumulate(x, lambda a, b: a * b)), (9,)),
    "recurrence of parameters": Case(lambda x: dot(power(W[:3]), x), (3,), W),
}  # fmt: skip


def of_case(case: Case, per_sample: bool) -> Rolled:
    """Its value and gradient: weighted sums, or as they are."""
    args = [[Value(0.1 + 0.2 * k, f"{name}[{k}]") for k in range(n)] for n, name in zip(case.sizes, "xyz")]
    flat = [x for arg in args for x in arg]
    seed = Value(1.0)
    with tracing():
        y = case.f(*args)
        roots = [y, *gradient(y, [*case.params, *flat])]
        if not per_sample:
            roots = [root * seed for root in roots]
    return rolled(roots, [*flat, seed], case.params)


def run(program: Rolled, target: Target, xs: Sequence[Any], params: Sequence[Value], order: Any, first: int) -> Any:
    """What the kernel writes for the samples numbered order[first:] of the arrays xs, over what was there."""
    dtype = np.float64 if target.real == "double" else np.float32
    blocks = -(-(len(order) - first) // target.width)
    xs = [np.array(x, dtype, order="C") for x in xs]
    inputs = np.array([x.ctypes.data for x in xs])
    scalars = np.zeros(program.scalars, dtype)
    scalars[: len(program.constants)] = program.constants
    scalars[len(scalars) - len(params) :] = [p.data for p in params]
    room = program.rows * target.width * target.blocks
    rows = np.full(room + 64, np.nan, dtype)
    outputs = np.ones((len(program.outputs) + 1, blocks * target.width if target.per_sample else 1), dtype)
    given = np.array([a.ctypes.data for a in (inputs, order, scalars, rows, outputs)] + [first, len(order), 0])
    given[7:].view(dtype)[0] = WEIGHT
    code = Native(lower(program, [x.shape[1] for x in xs], target), level=0)
    code.run(given.ctypes.data)
    if target.blocks > 1 and blocks <= target.blocks:  # once more, with the samples that it has loaded
        once = outputs.copy()
        given[1] = 0
        for x in xs:
            x[:] = np.nan
        code.run(given.ctypes.data)
        np.testing.assert_array_equal(outputs, once)
    assert np.isnan(rows[room:]).all()  # nothing is written behind them
    assert (outputs[-1] == 1.0).all()
    return outputs[:-1, : len(order) - first] if target.per_sample else outputs[:-1, 0]


TARGETS = [  # width, lanes, sums, blocks, real
    (8, 4, 4, 2, "double"),
    (4, 2, 8, 3, "float"),
    (2, 2, 3, 1, "double"),
    (1, 1, 4, 2, "double"),
]


def check(case: Case, target: Target, samples: int, first: int = 0) -> None:
    """Natively and interpreted, it is the same to rounding."""
    program = of_case(case, target.per_sample)
    rng = np.random.default_rng(samples)
    xs = [rng.uniform(-1.0, 1.0, (samples, n)) for n in case.sizes]
    order = np.arange(samples) if target.per_sample else rng.permutation(samples)
    got = run(program, target, xs, case.params, order, first)
    params = [p.data for p in case.params]
    each = [test_roll.run(program, [*(v for x in xs for v in x[k]), WEIGHT], params) for k in order[first:]]
    expected = np.array(each).T if target.per_sample else np.sum(each, axis=0)
    scale = 1.0 + np.abs(each).sum()
    assert np.abs(got - expected).max() <= (1e-13 if target.real == "double" else 1e-6) * scale


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("width", "lanes", "sums", "blocks", "real"), TARGETS)
def test_sums_over_samples(case: str, width: int, lanes: int, sums: int, blocks: int, real: str) -> None:
    """Of whole blocks and ragged ones, groups of blocks and single ones; in any order, from any sample on."""
    target = Target(width, lanes, sums, blocks, real, False, lambda name, n: None)
    check(CASES[case], target, 5 * width - 1, first=1 if real == "float" else 0)
    check(CASES[case], target, blocks * width + 1)
    check(CASES[case], target, (blocks - 1) * width + 1)


@pytest.mark.parametrize("case", CASES)
def test_results_per_sample(case: str) -> None:
    """An array for each result, whose length is that of whole blocks."""
    for width, lanes, real in ((8, 4, "double"), (4, 4, "float"), (1, 1, "double")):
        target = Target(width, lanes, 4, 1, real, True, lambda name, n: None)
        check(CASES[case], target, 13 if width > 1 else 1)


def test_vector_functions_are_called_where_there_are_any() -> None:
    """In vectors of one register, and not number by number."""
    program = of_case(Case(lambda x: sin(x[0]), (1,)), per_sample=True)
    for found, calls in (("sin_of_4", "call <4 x double> @sin_of_4(<4 x double>"), (None, "call double @sin(double")):
        ir = lower(program, [1], Target(8, 4, 4, 1, "double", True, lambda name, n, found=found: found))  # type: ignore[misc]
        assert [line for line in ir.splitlines() if "call" in line and "@sin" in line and calls not in line] == []
        assert calls in ir

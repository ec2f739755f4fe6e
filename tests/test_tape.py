"""The tape: native instructions that compute what the graph does, without what is equal, constant or unused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import pytest
from compiled import close
from expressions import Expression
from hypothesis import given, settings
from strategies import expressions

from tinygrad_sq import Value, dot, equal, identity, maximum, relu, sin, square, stop_gradient, table, total
from tinygrad_sq.calculus import gradient
from tinygrad_sq.compiler.tape import INPUT, PARAMETER, PRODUCTS, Tape
from tinygrad_sq.compiler.trace import trace, tracing

# What a native instruction computes, by the rows that are spelled with it.
NATIVE: dict[str, Callable[..., float]] = {
    row.native: row.forward for row in table.rows.values() if isinstance(row.native, str)
} | {"pow": table.pow.forward, "copy": lambda x: x}


def products(operands: Sequence[float]) -> float:
    *pairs, bias = operands
    return sum((w * x for w, x in zip(pairs[::2], pairs[1::2])), bias)


def recorded(f: Callable[..., Any], inputs: int, params: Sequence[Value] = ()) -> Tape:
    """The tape of f, whose result is a Value or a list of them."""
    xs = [Value(0.5 + k, f"x[{k}]") for k in range(inputs)]
    result = trace(f, tuple(xs))
    return Tape(result if isinstance(result, list) else [result], xs, params)


def run(tape: Tape, inputs: Sequence[float], params: Sequence[float] = ()) -> list[float]:
    values: dict[int, float] = {}
    for i in tape.live:
        native, operands = tape.instructions[i]
        if native in (INPUT, PARAMETER):
            values[i] = (inputs if native == INPUT else params)[int(operands[0])]
        else:
            xs = [values[x] if isinstance(x, int) else x for x in operands]
            values[i] = products(xs) if native == PRODUCTS else NATIVE[native](*xs)
    return [values[root] if isinstance(root, int) else root for root in tape.roots]


def natives(tape: Tape) -> list[str]:
    """What is computed, in order."""
    names = [tape.instructions[i][0] for i in tape.live]
    return [name for name in names if name not in (INPUT, PARAMETER)]


def terms(tape: Tape, root: int = 0) -> tuple[set[tuple[Any, ...]], Any]:
    """The pairs of a sum of products, each with its inputs' names, and its bias."""
    index = tape.roots[root]
    assert isinstance(index, int)
    native, operands = tape.instructions[index]
    assert native == PRODUCTS
    names = [tape.labels.get(x, "") if isinstance(x, int) else x for x in operands]
    return {tuple(sorted(pair, key=str)) for pair in zip(names[:-1:2], names[1:-1:2])}, names[-1]


@settings(max_examples=60, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=7))
def test_the_tape_computes_what_the_graph_does(e: Expression) -> None:
    """Run one instruction after the other, it gives the graph's value and gradient."""
    xs = e.values()
    with tracing():
        y = e(*xs)
        roots = [y, *gradient(y, xs)]
    for got, root in zip(run(Tape(roots, xs, ()), e.leaves), roots):
        assert close(got, root.data, scale=1.0, ulps=1e4)


def test_constants_are_computed_at_once() -> None:
    """Only what depends on an input or a parameter is an instruction."""
    c = Value(2.0)
    tape = recorded(lambda x: x * (c * 3.0 + sin(c)) + sin(1.0), 1)
    assert natives(tape) == [PRODUCTS]
    assert terms(tape) == ({(6.0 + math.sin(2.0), "x[0]")}, math.sin(1.0))


def test_constant_results() -> None:
    """A root may be a number, an input, a parameter."""
    p = Value(1.0)
    tape = recorded(lambda x: [Value(3.0), x, p], 1, [p])
    assert natives(tape) == []
    assert run(tape, [7.0], [8.0]) == [3.0, 7.0, 8.0]


def test_what_is_equal_is_computed_once() -> None:
    """sin(x) + sin(x)² has one sine; -0.0 is not 0.0, and the constant 1.0 not instruction 1."""
    assert natives(recorded(lambda x: sin(x) * square(sin(x)), 1)) == ["sin", "fmul", "fmul"]
    tape = recorded(lambda x, y: [1.0 / x, 1.0 / y, maximum(x, 0.0), maximum(x, -0.0), sin(y) * 1.0], 2)
    assert natives(tape).count("llvm.maximum") == 2
    assert run(tape, [4.0, 5.0]) == [0.25, 0.2, 4.0, 4.0, math.sin(5.0)]


def test_what_is_unused_is_not_computed() -> None:
    """A value that no root depends on is not live."""

    def f(x: Value) -> Value:
        sin(x)
        return x * x

    assert natives(recorded(f, 1)) == ["fmul"]


def test_rows_without_arithmetic_vanish() -> None:
    """identity and stop_gradient are no instructions."""
    tape = recorded(lambda x: stop_gradient(identity(x)), 1)
    assert natives(tape) == []
    assert run(tape, [3.0]) == [3.0]


def test_a_row_of_many_operands() -> None:
    """The maximum of four is three maxima of two; of one, it is that one."""
    tape = recorded(lambda *x: [maximum(x), maximum(x[:1])], 4)
    assert natives(tape) == ["llvm.maximum"] * 3
    assert run(tape, [1.0, 4.0, 3.0, 2.0]) == [4.0, 1.0]


def test_chains_become_one_sum_of_products() -> None:
    """w0 x0 + w1 x1 + w2 x2 + b, however it is written, is one instruction; b comes first where the order allows."""
    for f in (
        lambda a, b, c, x, y, z, d: d + a * x + b * y + c * z,
        lambda a, b, c, x, y, z, d: c * z + (b * y + (a * x + d)),
        lambda a, b, c, x, y, z, d: sum([a * x, b * y, c * z], d),
        lambda a, b, c, x, y, z, d: total([a * x, d, total([b * y, c * z])]),
        lambda a, b, c, x, y, z, d: dot([a, b], [x, y], dot([c], [z], d)),
    ):
        tape = recorded(f, 7)
        assert natives(tape) == [PRODUCTS], f
        assert terms(tape) == ({("x[0]", "x[3]"), ("x[1]", "x[4]"), ("x[2]", "x[5]")}, "x[6]")


def test_sums_keep_their_order() -> None:
    """a + (b - c) is not (a + b) - c, nor is a sum of products in front of a term one behind it."""
    for f, xs, result in (
        (lambda a, b, c: a + (b - c), [0.1, 1e8, 1e8], 0.1),
        (lambda a, b, c: a + (b + c), [1e308, 1e308, -1e308], 1e308),
        (lambda a, b, c: (b - c) + a, [0.1, 1e8, 1e8], 0.1),
        (lambda a, b, c: b * b - c * c + a, [1.0, 1e10, 1e10], 1.0),
        (lambda a, b, c: dot([a], [a], (b + (a - c))), [0.5, 1e17, 1e17], 0.25),
    ):
        tape = recorded(f, 3)
        assert run(tape, xs) == [result]
        assert natives(tape).count(PRODUCTS) == 1
    a, b = 0.1, 1e10
    two_sum = recorded(lambda a, b: [s := a + b, (a - (s - (t := s - a))) + (b - t)], 2)  # what a + b is rounded by
    assert run(two_sum, [a, b]) == [a + b, float(Fraction(a) + Fraction(b) - Fraction(a + b))]


def test_the_order_within_a_row_of_many_operands_is_its_own() -> None:
    """Its own sums join wherever they stand; one that is written with + joins where a sum begins."""
    cases: list[tuple[Callable[..., Any], int]] = [
        (lambda a, b, x, y, c: a * x + b + dot([b, a], [x, y], c), 1),
        (lambda a, b, x, y, c: total([a * x, total([b * y, x * x]), dot([b], [x], c)]), 1),
        (lambda a, b, x, y, c: a * x + b + (c * y + dot([b, a], [x, y])), 2),
    ]
    for f, count in cases:
        tape = recorded(f, 5)
        assert natives(tape) == [PRODUCTS] * count
        xs = [2.0, 3.0, 5.0, 7.0, 11.0]
        assert run(tape, xs) == [f(*xs)]


def test_what_a_sum_begins_with_joins() -> None:
    """The bias of a dot: a constant, or the first of all instructions."""
    for f, result in (
        (lambda a, b: dot([a], [b], 0.5) + b, 9.5),
        (lambda a, b: dot([b], [b], a) + b, 14.0),
        (lambda a, b: dot([a], [b], 0.0) + b, 9.0),
    ):
        tape = recorded(f, 2)
        assert natives(tape) == [PRODUCTS]
        assert run(tape, [2.0, 3.0]) == [result]


def test_differences_join_too() -> None:
    """a x - b - c: products with -1."""
    tape = recorded(lambda a, b, c, x: a * x - b - c, 4)
    assert natives(tape) == [PRODUCTS]
    assert terms(tape) == ({("x[0]", "x[3]"), (-1.0, "x[1]"), (-1.0, "x[2]")}, 0.0)
    assert run(tape, [2.0, 3.0, 5.0, 7.0]) == [6.0]


def test_a_sum_that_is_used_twice_stays() -> None:
    """Or the work would be done twice; a root is a use."""
    assert natives(recorded(lambda a, b: [a * b + a, a * b], 2)) == ["fmul", PRODUCTS] or natives(
        recorded(lambda a, b: [a * b + a, a * b], 2)
    ) == ["fmul", "fadd"]
    tape = recorded(lambda a, b: [(a * b + a) * (a * b + b), a * b + a + b], 2)
    assert natives(tape).count("fmul") == 2
    assert run(tape, [2.0, 3.0]) == [8.0 * 9.0, 11.0]


def test_nothing_becomes_a_number_that_is_none() -> None:
    """inf · 0 is NaN wherever it stands in a sum: a product with 0 is kept."""
    tape = recorded(lambda w, x: dot([w], [0.0], x) + x, 2)
    assert math.isnan(run(tape, [math.inf, 1.0])[0])
    tape = recorded(lambda w, x: total([0.0 * w, x, x * x]), 2)
    assert math.isnan(run(tape, [math.inf, 1.0])[0])
    tape = recorded(lambda w, x: dot([w, 1.0], [0.0, x * x]), 2)
    assert math.isnan(run(tape, [math.inf, 1.0])[0])
    tape = recorded(lambda w, x: 0.0 + (w * x + 0.0), 2)
    assert run(tape, [2.0, 3.0]) == [6.0]


def test_labels() -> None:
    """An instruction has the first name that one of its values has."""
    named = Value(0.0)

    def f(x: Value) -> list[Value]:
        y, z = sin(x), sin(x)
        y.label, z.label = "y", "z"
        return [y, z, relu(y)]

    tape = recorded(f, 1, [named])
    labels = [tape.labels.get(i, "") for i in tape.live]
    assert labels[:2] == ["x[0]", "y"]
    assert "z" not in labels


def test_a_long_sum() -> None:
    """A thousand terms added one by one, and as many nested to the right, are one instruction."""
    tape = recorded(lambda x, y: sum(float(i) * x * y for i in range(1000)), 2)
    assert natives(tape).count(PRODUCTS) == 1
    assert run(tape, [2.0, 0.5]) == [499500.0]

    def right(x: Value, y: Value) -> Any:
        s: Any = y
        for i in range(1000):
            s = float(i) * x + s
        return s

    tape = recorded(right, 2)
    assert natives(tape) == [PRODUCTS]
    assert run(tape, [2.0, 1.0]) == [999001.0]


@pytest.mark.parametrize("n", [0, 1])
def test_sums_of_nothing(n: int) -> None:
    """total([]) is 0, total([x]) is x, dot([], [], b) is b."""
    tape = recorded(lambda *x: [total(x) if x else Value(0.0), equal(dot([], [], 3.0), 3.0) * Value(1.0)], n)
    assert run(tape, [5.0][:n]) == [5.0 * n, 1.0]

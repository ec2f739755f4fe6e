"""Fused nests: which share a loop, and which results they must write down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_sq import Value, compile, dot, no_grad, relu, sin, tanh, total
from tinygrad_sq.compiler.fuse import Body, fuse, fuse_series, single
from tinygrad_sq.compiler.nest import ROW, SCALAR, Loop, Nest, Segment, Series

ROWS = 100


def elementwise(result: int, *operands: tuple[int, int], rounds: int = 8, **more: Any) -> Nest:
    """result[i] = f(operand + stride i, ...) for i < rounds."""
    strides = (1, *(stride for _, stride in operands))
    nest = Nest(
        "fadd",
        (ROW,) * len(operands),
        (),
        False,
        False,
        (result, *(p for p, _ in operands)),
        (Loop(rounds, strides),),
        False,
    )
    return nest._replace(**more)


def product(result: int, row: int, stride: int, terms: int, rounds: int = 8) -> Nest:
    """result[i] = 0 + Σ_{j < terms} scalars[0] · rows[row + stride j] for i < rounds."""
    segment = Segment(terms, (SCALAR, ROW), (0, stride))
    return Nest(
        "products", (SCALAR,), (segment,), False, False, (result, 0, 0, row), (Loop(rounds, (1, 0, 0, 0)),), False
    )


def shapes(nests: Sequence[Nest]) -> list[list[bool]]:
    """Per body, which of its nests are written."""
    return [body.written for body in fuse(nests, nests, ROWS)]


def test_what_is_read_round_by_round_stays_in_registers() -> None:
    """A chain of elementwise nests is one body, which writes only what is left for others."""
    a, b = elementwise(10, (0, 1)), elementwise(20, (10, 1))
    c = elementwise(30, (20, 1), (10, 1))
    out = c._replace(sink=True, places=(0, 30, 30))
    assert shapes([a, b, c]) == [[False, False, False]]
    (body,) = fuse([a, b, c], [a, b, c, out], ROWS)
    assert body.written == [False, False, True]


@pytest.mark.parametrize(
    "reader",
    [
        elementwise(20, (11, 1)),  # one round ahead
        elementwise(20, (17, -1)),  # backwards
        elementwise(20, (10, -1)),  # the first only, in the first round
        elementwise(20, (10, 0)),  # always the first
        elementwise(20, (10, 1), rounds=7),  # fewer rounds
        product(20, 10, 1, 8),  # all of them
        product(20, 17, -1, 8),
        product(20, 3, 1, 8),  # the first only, as the last term
        product(20, 17, 1, 8),  # the last only, as the first term
        product(20, 10, -1, 8),
    ],
)
def test_what_needs_other_rounds_waits(reader: Nest) -> None:
    """A nest that reads other rounds, or has other rounds, is a body of its own, for which results are written."""
    first = elementwise(10, (0, 1))
    assert shapes([first, reader]) == [[True], [False]]


def test_a_table_may_read_anything() -> None:
    """Operands, and sums whose terms come from the table, may be of any rows."""
    first = elementwise(10, (0, 1))
    assert shapes([first, elementwise(20, (0, 1), table=True)]) == [[True], [True]]
    anywhere = product(20, 2, 1, 8)
    assert shapes([first, anywhere]) == [[False, False]]
    anywhere = anywhere._replace(segments=(anywhere.segments[0]._replace(table=True),))
    assert shapes([first, product(20, 50, 1, 3)]) == [[False, False]]
    assert shapes([first, anywhere]) == [[True], [False]]


def test_a_table_may_write_anything() -> None:
    """Where its places are the table's, what reads any row stays behind it."""
    first, table = elementwise(10, (0, 1)), elementwise(0, (0, 1), table=True)
    reader = elementwise(40, (70, 1))
    assert [[nest is table for nest in body.nests] for body in fuse([first, table, reader], [reader], ROWS)] == [
        [False],
        [True],
        [False],
    ]


def test_what_begins_behind_the_results_or_ends_before_them_shares_a_loop() -> None:
    """Sums of terms up to the next place; and the places of scalars are not those of rows."""
    first = elementwise(10, (0, 1))  # to 17
    for reader in (product(50, 18, 1, 3), product(50, 9, -1, 3)):
        assert shapes([first, reader]) == [[False, False]]
    weights = Segment(3, (SCALAR, ROW), (1, 1))
    assert shapes([first, product(20, 50, 1, 3)._replace(segments=(weights,), places=(20, 0, 10, 50))]) == [
        [False, False]
    ]


def test_a_single_term_of_the_same_round_shares_a_loop() -> None:
    """As an operand outside sums does."""
    single = product(20, 10, 0, 1)._replace(loops=(Loop(8, (1, 0, 0, 1)),))
    assert shapes([elementwise(10, (0, 1)), single]) == [[False, False]]
    assert shapes([elementwise(10, (0, 1)), single._replace(places=(20, 0, 0, 11))]) == [[True], [False]]


def test_results_per_sample_are_no_rows() -> None:
    """A sink's number is that of an output, whatever row has the same."""
    out = elementwise(10, (0, 1), sink=True)
    assert shapes([out, elementwise(20, (11, 1))]) == [[False, False]]
    assert shapes([out, elementwise(20, (0, 1))]) == [[False, False]]


NUMBERS = st.integers(0, 5)


def check(f: Callable[[Any], Any], W: list[Value], X: Any) -> None:
    """Mean and gradient of f over the rows of X are what the eager engine computes."""
    value, gradient = compile(f, params=W).value_and_grad(X)
    for w in W:
        w.grad = 0.0
    J = total([f([Value(x) for x in row]) for row in X.tolist()]) / len(X)
    J.backward()
    scale = max(1.0, *(abs(w.grad) for w in W))
    assert value == pytest.approx(J.data, rel=1e-11, abs=1e-11)
    assert gradient == pytest.approx([w.grad for w in W], rel=1e-9, abs=1e-11 * scale)


def check_each(f: Callable[[Any], Any], X: Any) -> None:
    """All results of f, a list of lists, for each row of X are what the eager engine computes."""
    with no_grad():
        expected = [[[v.data for v in a] for a in f([Value(x) for x in row])] for row in X.tolist()]
    for k, each in enumerate(compile(f).each(X)):
        assert np.allclose(np.moveaxis(np.array(each), -1, 0), [row[k] for row in expected], rtol=1e-11, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=6), st.sampled_from([3, 40]))
def test_fused_code_computes_the_same(layers: list[tuple[int, int, int]], samples: int) -> None:
    """Layers of elementwise and shifted operations, however they fuse, are what the eager engine computes."""
    W = [Value(0.3 + 0.1 * i) for i in range(6)]

    def states(x: Any) -> Any:
        seen = []
        a = list(x)
        for shift, kind, k in layers:
            b = a[shift:] + a[:shift]
            if kind == 0:
                a = [tanh(u) for u in b]
            elif kind == 1:
                a = [W[k] * u + v for u, v in zip(b, a)]
            elif kind == 2:
                a = [relu(u) - sin(v) for u, v in zip(a, b)]
            else:
                a = [total([u * W[i] for i, u in enumerate(b)]) + v for v in a]
            seen.append(a)
        return seen

    X = np.linspace(-1.0, 1.0, samples * 6).reshape(samples, 6)
    check(lambda x: total(states(x)[-1]), W, X)
    check_each(states, X)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([0, 1, 1, 5, 7]), st.sampled_from([3, 20, 20])),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([1, 40]),
)
def test_irregular_code_computes_the_same(layers: list[tuple[int, int, int, int, int]], samples: int) -> None:
    """Layers of any earlier ones' values in their order, or in none that a loop could follow, through tables, are what
    the eager engine computes."""
    W = [Value(0.5 - 0.1 * i, f"W[{i}]") for i in range(9)]

    def states(x: Any) -> Any:
        seen = [list(x)]
        for kind, one, other, step, size in layers:
            a, b = seen[-1 - one % min(2, len(seen))], seen[other % len(seen)]
            left = [a[(k * step + k * k // 7 if step > 1 else k) % len(a)] for k in range(size)]
            right = [b[(k * other + step) % len(b)] for k in range(size)]
            if kind < 2:
                seen.append([tanh(u) * (1.0 if kind else W[k % 9]) for k, u in enumerate(left)])
            elif kind == 2:
                seen.append([u * v for u, v in zip(left, right)])
            elif kind == 3:
                seen.append([relu(u - 0.5 * v) for u, v in zip(left, right)])
            elif kind == 4:
                seen.append([0.2 * total(left[k::5]) for k in range(min(size, 5))])
            else:
                seen.append([dot([W[(k * step + n) % 9] for n in range(len(b))], b) / len(b) for k in range(size)])
        return seen[1:]

    X = np.linspace(-1.0, 1.0, samples * 70).reshape(samples, 70)
    check(lambda x: total([0.1 * v for a in states(x)[-2:] for v in a]), W, X)
    check_each(states, X)


def test_what_is_read_the_time_before_is_written() -> None:
    """In a series, results that a nest reads in a later round: its own, or those of one behind it in the body."""
    loops = (Loop(5, (10, 10)), Loop(8, (1, 1)))
    a, b = elementwise(110, (200, 1))._replace(loops=loops), elementwise(210, (110, 1))._replace(loops=loops)
    own = elementwise(410, (400, 1))._replace(loops=loops)

    def written(*nests: Nest) -> list[list[bool]]:
        return [body.written for body in fuse(nests, nests, 500, again=True)]

    assert written(a, b) == [[False, True]]  # a reads b's results of the round before
    assert written(own) == [[True]]
    assert written(b, a._replace(places=(300, 210))) == [[False, False]]
    shifted = elementwise(110, (211, 1))._replace(loops=loops)
    assert written(shifted, b) == [[False, True]]


def test_series_are_fused_among_themselves() -> None:
    """Nests that are computed once share loops with those before and behind, but not through a series."""
    loops = (Loop(5, (10, 10)), Loop(8, (1, 1)))
    a, b = elementwise(20, (0, 1)), elementwise(30, (20, 1))
    c, d = (elementwise(k, (k - 50, 1))._replace(loops=loops) for k in (100, 150))
    e = elementwise(300, (30, 1))
    series = [Series(1, [a]), Series(1, [b]), Series(5, [c, d]), Series(5, [d]), Series(1, [e])]
    fused = fuse_series(series, [a, b, c, d, e], 500)
    assert [(rounds, [len(body.nests) for body in bodies]) for rounds, bodies in fused] == [
        (1, [2]),
        (5, [2]),
        (5, [1]),
        (1, [1]),
    ]
    own = elementwise(410, (400, 1))._replace(loops=loops)
    assert [bodies[0].written for _, bodies in fuse_series([Series(5, [own])], [own], 500)] == [[True]]
    assert single(series)[2] == (5, [Body([c], [True]), Body([d], [True])])


def test_terms_of_all_segments_are_read() -> None:
    """Also those of the second, whose first factor is a row."""
    rows = Segment(3, (ROW, ROW), (1, 1)), Segment(4, (ROW, SCALAR), (1, 1))
    nest = product(60, 0, 0, 1)._replace(
        segments=rows, places=(60, 0, 30, 40, 15, 0), loops=(Loop(8, (1, 0, 0, 0, 0, 0)),)
    )
    assert shapes([elementwise(10, (0, 1)), nest]) == [[True], [False]]
    assert shapes([elementwise(10, (0, 1)), nest._replace(places=(60, 0, 30, 40, 18, 0))]) == [[False, False]]


NAMES = ["h", "g", "first", "input"]
UPDATES: list[Callable[[Any, Any], Any]] = [
    lambda a, b: tanh(a) + b,
    lambda a, b: a * b,
    lambda a, b: relu(a - 0.5 * b),
    lambda a, b: 0.5 * a + sin(b),
]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 9),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), NUMBERS, NUMBERS), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([2, 37]),
)
def test_recurrences_compute_the_same(
    times: int, updates: list[tuple[str, str, int, int]], mixed: bool, samples: int
) -> None:
    """Steps that read the state of the step before or of two before, the first state or the input, shifted, with or
    without a sum over the state, roll and fuse to what the eager engine computes: mean, gradient and every state."""
    W = [Value(0.3 - 0.2 * i, f"W[{i}]") for i in range(3)]

    def states(x: Any) -> Any:
        h = first = list(x[:3])
        g = list(x[3:6])
        seen = []
        for t in range(times):
            for one, other, shift, k in updates:
                now = {"h": h, "g": g, "first": first, "input": x[6 + 3 * t : 9 + 3 * t]}
                a, b = now[one], now[other]
                b = b[shift % 3 :] + b[: shift % 3]
                new = [UPDATES[k % 4](u, v) * w for u, v, w in zip(a, b, W)]
                g, h = h, [total([w * u for w, u in zip(W, new)]) + v for v in new] if mixed else new
            seen.append(h)
        return seen

    def f(x: Any) -> Any:
        seen = states(x)
        return total([v for h in seen[::3] for v in h]) + total(seen[-1])

    X = np.random.default_rng(0).uniform(-1.0, 1.0, size=(samples, 6 + 3 * times))
    check(f, W, X)
    check_each(states, X)


def test_loops_three_deep() -> None:
    """Weights with three indices: the gradient's nest has an outer loop around those whose rounds go together."""
    W = [
        [[Value(0.1 * i - 0.2 * j + 0.3 * k, f"W[{i},{j},{k}]") for k in range(5)] for j in range(3)] for i in range(4)
    ]
    flat = [w for plane in W for line in plane for w in line]

    def f(x: Any, y: Any) -> Any:
        return total(
            [w * x[i + j] * y[j + k] for i in range(4) for j in range(3) for k in range(5) for w in [W[i][j][k]]]
        )

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 6)), rng.normal(size=(50, 7))
    program = compile(f, params=flat)
    value, gradient = program.value_and_grad(X, Y)
    expected = [(X[:, i + j] * Y[:, j + k]).mean() for i in range(4) for j in range(3) for k in range(5)]
    assert gradient == pytest.approx(expected, rel=1e-12)
    assert value == pytest.approx(sum(w.data * d for w, d in zip(flat, expected)), rel=1e-12)
    assert max(len(nest.loops) for kernel in program._kernels.values() for nest in kernel.rolled.nests) == 3


def natives(nests: Sequence[Nest]) -> list[list[str]]:
    return [[nest.native for nest in body.nests] for body in fuse(nests, nests, ROWS)]


def test_what_only_functions_read_is_computed_with_them() -> None:
    """So that functions of one argument have it in common; unless another body reads it as well, or other rounds do."""
    z = product(10, 50, 1, 3)
    size = elementwise(20, (10, 1), native="llvm.fabs")
    e = elementwise(30, (20, 1), native="exp")
    assert natives([z, size]) == [["products", "llvm.fabs"]]
    assert natives([z, size, e]) == [["products"], ["llvm.fabs", "exp"]]
    minus = elementwise(40, (20, 1), native="fneg")
    assert natives([z, size, minus, elementwise(30, (40, 1), native="exp")])[1] == ["llvm.fabs", "fneg", "exp"]
    assert natives([z, size, elementwise(40, (10, 1), native="fneg"), e])[0] == ["products", "fneg"]
    assert natives([z, size, e, product(40, 20, 1, 8)])[:2] == [["products", "llvm.fabs"], ["exp"]]
    backwards = elementwise(30, (27, -1), native="exp")
    assert natives([z, size, backwards]) == [["products", "llvm.fabs"], ["exp"]]
    assert [body.written for body in fuse([z, size, e], [z, size, e], ROWS)] == [[True], [False, False]]


def test_sums_go_together_and_functions_one_by_one() -> None:
    """A sum over several rows shares no loop with a call of a function; one of single terms does."""
    z, e = product(10, 50, 1, 3), elementwise(20, (10, 1), native="exp")
    assert natives([z, e]) == [["products"], ["exp"]]
    assert natives([e._replace(places=(60, 0)), z]) == [["exp"], ["products"]]
    assert natives([elementwise(10, (0, 1)), e]) == [["fadd", "exp"]]
    assert natives([product(10, 50, 0, 1), e]) == [["products", "exp"]]


def test_a_nest_goes_to_the_first_body_with_its_loops_after_what_it_reads() -> None:
    """Over bodies with other loops, and not before the results that it reads."""
    a, other, b = elementwise(10, (0, 1)), elementwise(30, (0, 1), rounds=5), elementwise(20, (10, 1))
    assert shapes([a, other, b]) == [[False, False], [False]]
    later = elementwise(40, (30, 1), (10, 1), rounds=5)
    assert shapes([a, other, b, later]) == [[True, False], [False, False]]
    assert [len(body.nests) for body in fuse([a, product(30, 10, 1, 8), elementwise(50, (30, 1))], [], ROWS)] == [1, 2]

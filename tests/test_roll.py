"""Rolled programs: they compute what the tape does, and an MLP's is E2, E5, E6 and E7 as loops, whatever its widths."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from compiled import close
from expressions import Expression
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import expressions
from test_compile import BLOCKS
from test_tape import NATIVE

from tinygrad_sq import MLP, Value, compile, cos, dot, exp, half_squared_error, sin, tanh, total, where
from tinygrad_sq.calculus import gradient
from tinygrad_sq.compiler.lower import Target, lower
from tinygrad_sq.compiler.nest import ROW, SCALAR, Loop, Nest, Rolled, Segment, Series
from tinygrad_sq.compiler.roll import _loops, roll
from tinygrad_sq.compiler.tape import PRODUCTS, Tape
from tinygrad_sq.compiler.text import _pattern, to_text
from tinygrad_sq.compiler.trace import tracing

TARGET = Target(width=8, lanes=4, sums=4, blocks=2, real="double", per_sample=False, libm=lambda name, n: None)


def rolled(roots: Sequence[Value], inputs: Sequence[Value], params: Sequence[Value] = ()) -> Rolled:
    return roll(Tape(roots, inputs, params), len(inputs), len(params), [f"y[{k}]" for k in range(len(roots))])


def rounds(loops: Sequence[Loop]) -> Any:
    return itertools.product(*[range(loop.rounds) for loop in loops])


def run(program: Rolled, inputs: Sequence[float], params: Sequence[float] = ()) -> list[float]:
    """The program for one sample, interpreted as `Nest` describes it."""
    memory = {ROW: [*inputs, *[0.0] * (program.rows - len(inputs))]}
    memory[SCALAR] = [*program.constants, *[0.0] * (program.scalars - len(params) - len(program.constants)), *params]
    outputs = [0.0] * len(program.outputs)
    for nest, counters in steps(program.series):
        places = at(nest, counters)
        if nest.table:
            places = program.table[places[0] : places[0] + nest.loops[0].strides[0]]
        target = outputs if nest.sink else memory[SCALAR if nest.uniform else ROW]
        target[places[0]] = result(program, nest, places[1:], memory)
    return outputs


def steps(series: Sequence[Series]) -> Iterator[tuple[Nest, tuple[int, ...]]]:
    """Each nest with its counters, in the order in which they are computed."""
    for each in series:
        for k in range(each.rounds):
            for nest in each.nests:
                outer = (k,) if each.rounds > 1 else ()
                for inner in rounds(nest.loops[len(outer) :]):
                    yield nest, outer + inner


def at(nest: Nest, counters: Sequence[int]) -> list[int]:
    """The nest's places in one round."""
    moves = [[i * stride for stride in loop.strides] for i, loop in zip(counters, nest.loops)]
    return [sum(column) for column in zip(nest.places, *moves)]


def result(program: Rolled, nest: Nest, places: Sequence[int], memory: dict[str, list[float]]) -> float:
    xs = [memory[space][place] for space, place in zip(nest.spaces, places)]
    if nest.native != PRODUCTS:
        return NATIVE[nest.native](*xs)
    (y,) = xs
    for segment, w, x in zip(nest.segments, places[1::2], places[2::2]):
        for k in range(segment.terms):
            if segment.table:
                i, j = program.table[w + 2 * k], program.table[w + 2 * k + 1]
            else:
                i, j = w + k * segment.strides[0], x + k * segment.strides[1]
            y += memory[segment.spaces[0]][i] * memory[segment.spaces[1]][j]
    return y


def check(f: Callable[[list[Any]], Any], inputs: int, params: Sequence[Value] = (), seed: int = 0) -> Rolled:
    """The rolled value and gradient of f are those of the graph; gives the rolled program."""
    rng = random.Random(seed)
    xs = [Value(rng.uniform(-1.0, 1.0)) for _ in range(inputs)]
    with tracing():
        y = f(xs)
        roots = [y, *gradient(y, [*xs, *params])]
    program = rolled(roots, xs, params)
    got = run(program, [x.data for x in xs], [p.data for p in params])
    for a, root in zip(got, roots, strict=True):
        assert close(a, root.data, scale=1.0, ulps=1e5)
    return program


# --- loops ---


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_loops_are_the_vectors_again(data: st.DataObject) -> None:
    """Run, the loops found in a list of vectors give the vectors in their order."""
    vectors: list[tuple[int, ...]] = []
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.tuples(*[st.integers(0, 9)] * 3))
        dimensions = data.draw(st.lists(st.tuples(st.integers(1, 4), st.tuples(*[st.integers(-3, 3)] * 3)), max_size=3))
        for counters in itertools.product(*[range(n) for n, _ in dimensions]):
            moves = [[i * s for s in strides] for i, (_, strides) in zip(counters, dimensions)]
            vectors.append(tuple(sum(column) for column in zip(start, *moves)))
    again = [
        tuple(place + sum(i * loop.strides[k] for i, loop in zip(counters, loops)) for k, place in enumerate(start))
        for start, loops in _loops(vectors)
        for counters in rounds(loops)
    ]
    assert again == vectors


def test_loops_in_loops() -> None:
    """A matrix walked row by row, and blocks of it, are one nest."""
    assert _loops([(i, j) for i in range(3) for j in range(4)]) == [
        ((0, 0), (Loop(3, (1, 0)), Loop(4, (0, 1)))),
    ]
    assert _loops([(10 * k + 2 * i + j,) for k in range(2) for i in range(3) for j in range(2)]) == [
        ((0,), (Loop(2, (10,)), Loop(6, (1,)))),
    ]
    assert _loops([(5,)]) == [((5,), ())]
    assert _loops([(9, 0), (7, 0), (5, 0)]) == [((9, 0), (Loop(3, (-2, 0)),))]


# --- programs ---


@settings(max_examples=60, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=7))
def test_random_graphs(e: Expression) -> None:
    """Value and gradient of a random graph, rolled and interpreted, are those of the graph."""
    xs = e.values()
    with tracing():
        y = e(*xs)
        roots = [y, *gradient(y, xs), y]
    got = run(rolled(roots, xs), e.leaves)
    for a, root in zip(got, roots, strict=True):
        assert close(a, root.data, scale=1.0, ulps=1e5)


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks(block: str) -> None:
    """Attention, convolution, recurrence, residual connections, shared weights and the like."""
    f, params = BLOCKS[block]
    check(f, 3, compile(f, params=params).parameters)


def mlp(sizes: Sequence[int], activation: str = "tanh") -> Rolled:
    model = MLP(4, sizes, activation, seed=1)
    target = [0.5] * sizes[-1]
    return check(lambda x: half_squared_error(model(x), target), 4, model.parameters())


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_the_loops_of_a_net_do_not_depend_on_its_widths(activation: str) -> None:
    """Nests are the same for 8-4-4 and 40-24-12, only the rounds differ. So is the IR, but that one round is no loop
    and layers of one width may share theirs. (Of widths that four does not divide, the rest of a loop stands alone.)"""
    programs = [mlp(sizes, activation) for sizes in ([8, 4, 4], [40, 24, 12], [16, 12, 8], [24, 16, 12])]
    kinds = [[(n.native, n.spaces, n.sink, n.uniform, len(n.loops), n.table) for n in p.nests] for p in programs]
    assert kinds[0] == kinds[1] == kinds[2] == kinds[3]
    lines = [len(lower(p, [4], TARGET).splitlines()) for p in programs]
    assert lines[0] < lines[1] == lines[2] == lines[3]
    assert not any(p.table for p in programs)


def test_the_text_of_a_net_is_its_derivation() -> None:
    """E2, E5, E6 and E7 for every layer, as loops, in the derivation's letters."""
    model = MLP(2, [4, 3, 2], "tanh", "relu", seed=0)
    program = compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters())
    program.value_and_grad([[1.0, 2.0]] * 2, [[1.0, 2.0]] * 2)
    lines = str(program).splitlines()
    for line in (
        "for i < 4: z2[i] = b1[i] + Σ_{j < 2} W1[i,j] · x[j]",  # E2
        "for i < 4: a2[i] = tanh(z2[i])",
        "for i < 3: z3[i] = b2[i] + Σ_{j < 4} W2[i,j] · a2[j]",
        "for i < 3: a3[i] = tanh(z3[i])",
        "for i < 2: z4[i] = b3[i] + Σ_{j < 3} W3[i,j] · a3[j]",
        "for i < 3: ∂J/∂a3[i] = Σ_{j < 2} W3[j,i] · δ4[j]",  # E6, the sum over the next layer's units
        "for i < 4: ∂J/∂a2[i] = Σ_{j < 3} W2[j,i] · δ3[j]",
        "for i < 2, j < 3: ∂J/∂W3[i,j] = sum(δ4[i] · a3[j])",  # E7W
        "for i < 3, j < 4: ∂J/∂W2[i,j] = sum(δ3[i] · a2[j])",
        "for i < 4, j < 2: ∂J/∂W1[i,j] = sum(δ2[i] · x[j])",
        "for i < 4: ∂J/∂b1[i] = sum(δ2[i])",  # E7b
        "for i < 3: ∂J/∂b2[i] = sum(δ3[i])",
        "for i < 2: ∂J/∂b3[i] = sum(δ4[i])",
    ):
        assert line in lines, line
    for l, n in ((4, 2), (3, 3), (2, 4)):  # E5 and E6: times f'(z)
        assert sum(line.startswith(f"for i < {n}: δ{l}[i] = ∂J/∂a{l}[i] · ") for line in lines) == 1


def by_hand(W: list[list[Value]], b: list[Value], x: Sequence[Any], way: str) -> list[Any]:
    if way == "dot":
        return [tanh(dot(w, x, b_i)) for w, b_i in zip(W, b)]
    if way == "sum":
        return [tanh(sum((w_j * x_j for w_j, x_j in zip(w, x)), b_i)) for w, b_i in zip(W, b)]
    if way == "total":
        return [tanh(total([*[x_j * w_j for w_j, x_j in zip(w, x)], b_i])) for w, b_i in zip(W, b)]
    layer = []
    for w, b_i in zip(W, b):
        z: Any = b_i
        for w_j, x_j in zip(w, x):
            z = z + w_j * x_j
        layer.append(tanh(z))
    return layer


@pytest.mark.parametrize("way", ["sum", "total", "loop"])
def test_sums_written_by_hand_roll_to_the_same_loops(way: str) -> None:
    """A net of plain + and * and sum has the forward loops that one of `dot` has."""

    def forward(way: str) -> Rolled:
        rng = random.Random(0)
        sizes = [3, 6, 5, 4]
        params: list[Value] = []
        xs: list[Value] = [Value(rng.uniform(-1.0, 1.0)) for _ in range(3)]
        layer: list[Any] = list(xs)
        for n, m in itertools.pairwise(sizes):
            W = [[Value(rng.uniform(-1.0, 1.0)) for _ in range(n)] for _ in range(m)]
            b = [Value(rng.uniform(-1.0, 1.0)) for _ in range(m)]
            for w, b_i in zip(W, b):
                params += [*w, b_i]
            with tracing():
                layer = by_hand(W, b, layer, way)
        program = rolled(layer, xs, params)
        got = run(program, [x.data for x in xs], [p.data for p in params])
        assert all(close(a, y.data) for a, y in zip(got, layer, strict=True))
        return program

    assert forward(way).nests == forward("dot").nests


COMBINATIONS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: sin(a) * b,
    lambda a, b: a - b * b,
    lambda a, b: where(a, b, a),
]


def irregular(x: list[Any], n: int) -> Any:
    """Three layers of n nodes that each combine two of the layer before, at random."""
    rng = random.Random(3)
    for _ in range(3):
        x = [rng.choice(COMBINATIONS)(rng.choice(x), rng.choice(x)) for _ in range(n)]
    return total([rng.choice(x) * rng.choice(x) for _ in range(n)])


def test_an_irregular_graph_becomes_tables() -> None:
    """What has no pattern is loops over tables: the number of nests and of lines of IR does not grow with the graph."""
    small, large = (check(partial(irregular, n=n), 8) for n in (200, 800))
    assert large.table
    assert len(large.nests) < 1.5 * len(small.nests)
    sizes = [len(lower(p, [8], TARGET).splitlines()) for p in (small, large)]
    assert sizes[1] < 1.5 * sizes[0]
    assert any(nest.table for nest in large.nests)
    segments = [segment for nest in large.nests for segment in nest.segments]
    assert any(segment.table for segment in segments)
    assert not any(segment.table and segment.terms == 1 for segment in segments)  # a place of its own is shorter
    assert "place[0] = " in to_text(large)


def pairs(n: int, values: Sequence[Any]) -> list[Any]:
    """2n of the values: n pairs with gaps of 1 to n between the two, no loop around any two pairs."""
    return [values[20 * k + j * (k + 1)] for k in range(n) for j in (0, 1)]


def some(n: int, name: str) -> list[Value]:
    return [Value(0.1 + 0.7 * k / n, f"{name}[{k}]") for k in range(n)]


def interpreted(roots: list[Value], xs: list[Value], params: Sequence[Value] = ()) -> Rolled:
    """The rolled program, which computes the roots."""
    program = rolled(roots, xs, params)
    got = run(program, [x.data for x in xs], [p.data for p in params])
    assert all(close(a, root.data, ulps=100.0) for a, root in zip(got, roots, strict=True))
    return program


def test_eight_nests_are_loops_and_nine_a_table() -> None:
    """Of instructions of one kind; the table holds the places of result and operand, one pair after the other."""
    xs = some(200, "x")
    with tracing():
        eight, nine = (interpreted([sin(x) for x in pairs(n, xs)], xs) for n in (8, 9))
    assert [nest.loops for nest in eight.nests] == [(Loop(2, (1, k)),) for k in range(1, 9)]
    assert eight.table == []
    (nest,) = nine.nests
    assert nest.table
    assert (nest.places, nest.loops) == ((0,), (Loop(18, (2,)),))
    assert nine.table == [n for k, place in enumerate(pairs(9, range(200))) for n in (k, place)]


def test_eight_names_are_told_apart_and_nine_are_not() -> None:
    """Arrays are loops of their own, unless there are too many of them: then it is the places that count."""
    for names, nests in ((8, 8), (9, 1)):
        xs = [x for name in "abcdefghi"[:names] for x in some(2, name)]
        with tracing():
            program = interpreted([sin(x) for x in xs], xs)
        assert len(program.nests) == nests


def test_four_segments_are_sums_and_five_a_table() -> None:
    """Of one sum of products; a single term has a place of its own even so."""
    w, xs = some(200, "w"), some(12, "x")
    with tracing():
        four = interpreted([dot(pairs(4, w), xs[:8])], xs, w)
        five = interpreted([dot([*pairs(4, w), xs[0]], [*xs[:8], xs[2]])], xs, w)
    (nest,) = four.nests
    assert nest.segments == tuple(Segment(2, (SCALAR, ROW), (k, 1)) for k in range(1, 5))
    (nest,) = five.nests
    assert nest.segments == (Segment(1, (ROW, ROW), (0, 0)), Segment(8, (SCALAR, ROW), (0, 0), table=True))
    assert [segment.single for segment in nest.segments] == [True, False]
    first = five.scalars - five.parameters
    assert five.table == [n for x, w in enumerate(pairs(4, range(200))) for n in (first + w, x)]


def test_arrays_are_segments_unless_they_are_too_many() -> None:
    """A product of arrays that stand one behind the other: a segment for each of four; of six, one for all."""
    for names, terms in (("abcd", 2), ("abcdef", 12)):
        xs, ws = ([x for name in names for x in some(2, case(name))] for case in (str.lower, str.upper))
        with tracing():
            (nest,) = interpreted([dot(ws, xs)], xs, ws).nests
        assert {(segment.terms, segment.table) for segment in nest.segments} == {(terms, False)}


def test_a_single_result_keeps_no_steps_apart() -> None:
    """J, which stands among the steps, has its place at the other end of the rows."""
    W = [[Value(0.1 * i - 0.2 * j, f"W[{i},{j}]") for j in range(3)] for i in range(3)]
    xs = some(3, "x")
    with tracing():
        h = list(xs)
        for _ in range(7):
            h = [sin(dot(w, h)) for w in W]
        J = total(h)
        roots = [J * 0.5, *gradient(J * 0.5, [w for row in W for w in row])]
    program = interpreted(roots, xs, [w for row in W for w in row])
    assert [s.rounds for s in program.series if s.rounds > 1] == [6, 6]


def test_thirty_two_groups_are_loops_and_more_are_tables() -> None:
    """Of one depth: sums of 2, 3, 4, ... terms."""
    w, xs = some(40, "w"), some(40, "x")
    for groups in (32, 33):
        with tracing():
            program = interpreted([dot(w[:k], xs[:k]) for k in range(2, 2 + groups)], xs, w)
        assert len(program.nests) == groups
        assert {segment.table for nest in program.nests for segment in nest.segments} == {groups > 32}
        assert len(program.table) == (2 * sum(range(2, 35)) if groups > 32 else 0)


def test_names_of_what_has_none() -> None:
    """t1 for the first group, t2 for the next; the operands of a product stand as they were written."""
    xs, ys = some(3, "x"), some(3, "y")
    with tracing():
        chain = rolled([cos(sin(sin(x))) for x in xs], xs)
        product = rolled([dot(xs, ys)], [*xs, *ys])
        single = rolled([dot(xs[1:2], ys[1:2], xs[0])], [*xs, *ys])
    assert to_text(chain, per_sample=True).splitlines() == [
        "for i < 3: t1[i] = sin(x[i])",
        "for i < 3: t2[i] = sin(t1[i])",
        "for i < 3: y[i] = cos(t2[i])",
    ]
    assert to_text(product, per_sample=True) == "y[0] = Σ_{i < 3} x[i] · y[i]"
    assert to_text(single, per_sample=True) == "y[0] = x[0] + x[1] · y[1]"


def test_text_of_a_table() -> None:
    """Places stand for the operands, as many as there are: of a product, of sums of one term each, of a sum."""
    xs, ys = some(200, "x"), some(200, "y")
    with tracing():
        products = rolled([a * b for a, b in zip(pairs(9, xs), ys)], [*xs, *ys])
        fused = rolled([dot([a], [b], c) for a, b, c in zip(pairs(9, xs), ys, xs)], [*xs, *ys])
    assert to_text(products, per_sample=True) == "for i < 18: place[0] = place[1] · place[2]"
    assert to_text(fused, per_sample=True) == "for i < 18: place[0] = place[1] + place[2] · place[3]"


def test_text_of_scalars() -> None:
    """A constant is its number, a parameter or a result of parameters alone its name; numbers of t go by the order."""
    p, q, x = some(2, "p"), Value(0.25, "q"), some(1, "x")
    with tracing():
        result = sin(p[0])
        program = rolled([dot([result], x, 3.0), dot([q], x, 2.0), *[cos(x[0] * c) for c in (2.0, 3.0)]], x, [*p, q])
        late = rolled([*[sin(exp(v)) for v in x * 4], tanh(cos(exp(x[0]))) * x[0]], x)
    assert to_text(program, per_sample=True).splitlines() == [
        "t1[0] = sin(p[0])",
        "y[1] = 2 + q · x[0]",
        "for i < 2: t2[i] = x[0] · 2 and on",
        "y[0] = 3 + t1[0] · x[0]",
        "for i < 2: y[i+2] = cos(t2[i])",
    ]
    nameless = [Value(0.1), Value(0.2)]
    with tracing():
        unlabelled = rolled([dot(nameless, [sin(x[0]), cos(x[0])])], x, nameless)
    assert to_text(unlabelled, per_sample=True).splitlines()[-1] == "y[0] = p[0] · t1[0] + p[1] · t2[0]"
    assert to_text(late, per_sample=True).splitlines() == [
        "t1[0] = exp(x[0])",
        "t2[0] = sin(t1[0])",
        "t3[0] = cos(t1[0])",
        "t4[0] = tanh(t3[0])",
        "y[4] = t4[0] · x[0]",
        "for i < 4: y[i] = t2[0]",
    ]


def test_uniform_parts_are_apart() -> None:
    """What depends on parameters alone comes first, in scalars."""
    w = [Value(float(k)) for k in range(5)]
    program = check(lambda x: dot(w[:2], x) + total([sin(p) * p for p in w]), 2, w)
    assert [nest.uniform for nest in program.nests] == sorted((nest.uniform for nest in program.nests), reverse=True)
    assert program.nests[0].uniform


@pytest.mark.parametrize("n", [7, 60])
def test_a_chain_is_a_series(n: int) -> None:
    """However many links it has: forward with the partials, and back."""
    program = check(lambda x: _chain(x[0], n), 1)
    assert [(s.rounds, [one.native for one in s.nests]) for s in program.series if s.rounds > 1] == [
        (n - 2, ["sin", "cos"]),
        (n - 2, ["fmul"]),
    ]
    assert len(program.nests) < 10


def _chain(x: Any, n: int) -> Any:
    for _ in range(n):
        x = sin(x)
    return x


def test_a_recurrence_is_two_series() -> None:
    """Backpropagation through time: one series forward, one back, whose text has the step as an index; what stands
    before the first round or after the last has it too."""
    W, U = ([[Value(0.1 * i - 0.2 * j, f"{name}[{i},{j}]") for j in range(3)] for i in range(3)] for name in "WU")
    b, V = some(3, "b"), some(3, "V")
    xs = some(3 * 7, "x")

    def f(x: Any) -> Any:
        h: Any = x[:3]
        for t in range(1, 7):
            z = [dot(w, h, c) + dot(u, x[3 * t : 3 * t + 3]) for w, u, c in zip(W, U, b)]
            h = [sin(z_i) for z_i in z]
        return dot(V, h)

    with tracing():
        y = f(xs)
        roots = [y, *gradient(y, [*b, *U[0], *U[1], *U[2]])]
    params = [*b, *V, *W[0], *W[1], *W[2], *U[0], *U[1], *U[2]]
    program = rolled(roots, xs, params)
    assert all(
        close(a, root.data) for a, root in zip(run(program, [x.data for x in xs], [p.data for p in params]), roots)
    )
    assert to_text(program, per_sample=True).splitlines() == [
        "for i < 3: t1[0,i] = b[i] + Σ_{j < 3} W[i,j] · x[j] + Σ_{j < 3} U[i,j] · x[j+3]",
        "for s < 5:",
        "  for i < 3: t2[s,i] = sin(t1[s,i])",
        "  for i < 3: t3[s,i] = cos(t1[s,i])",
        "  for i < 3: t1[s+1,i] = b[i] + Σ_{j < 3} W[i,j] · t2[s,j] + Σ_{j < 3} U[i,j] · x[3s+j+6]",
        "for i < 3: t2[5,i] = sin(t1[5,i])",
        "for i < 3: t3[5,i] = cos(t1[5,i])",
        "for i < 3: t4[0,i] = V[i] · t3[5,i]",
        "y[0] = Σ_{i < 3} V[i] · t2[5,i]",
        "for s < 5:",
        "  for i < 3: t5[s,i] = Σ_{j < 3} W[j,i] · t4[s,j]",
        "  for i < 3: t4[s+1,i] = t5[s,i] · t3[4-s,i]",
        "for i < 3: y[i+1] = Σ_{j < 6} t4[5-j,i]",
        "for i < 3, j < 3: y[3i+j+4] = Σ_{k < 6} t4[5-k,i] · x[j+3k+3]",
    ]


def test_layers_of_one_width_are_a_series() -> None:
    """E2, E6 and E7 with the layer as a number that the loop counts."""
    text = to_text(mlp([5] * 7))
    for part in (
        "for s < 6:\n  for i < 5: a{s+2}[i] = tanh(z{s+2}[i])\n  for i < 5: t1[s,i] = |z{s+2}[i]|\n",
        "\n  for i < 5: square(sech(z{s+2}[i])) = sech(z{s+2}[i]) · sech(z{s+2}[i])\n",
        "\n  for i < 5: z{s+3}[i] = b{s+2}[i] + Σ_{j < 5} W{s+2}[i,j] · a{s+2}[j]\n",
        "for s < 6:\n  for i < 5: t10[s,i] = Σ_{j < 5} W{7-s}[j,i] · t9[s,j]\n",
        "\n  for i < 5: t9[s+1,i] = t10[s,i] · square(sech(z{7-s}[i]))\n",
        "for s < 5:\n  for i < 5, j < 5: y[6i+j+150-30s] = sum(t9[s+1,i] · a{6-s}[j])\n",
    ):
        assert part in text


def test_a_loss_in_each_step_is_part_of_the_series() -> None:
    """Also one of a single unit, whose δ has a term more than the others'."""
    W = [[Value(0.1 * i - 0.2 * j, f"W[{i},{j}]") for j in range(4)] for i in range(4)]
    xs = some(10, "x")
    with tracing():
        h: Any = [0.5 * x for x in xs[:4]]
        J: Any = 0.0
        for x in xs:
            h = [sin(dot(w, h)) for w in W]
            J = J + (h[0] - x) * (h[0] - x)
        roots = [J, *gradient(J, [w for row in W for w in row])]
    program = interpreted(roots, xs, [w for row in W for w in row])
    assert [s.rounds for s in program.series if s.rounds > 1] == [8, 8]


def test_names_follow_the_counters() -> None:
    """Each number of a name is a function of the counters that change it, if it is so in all rounds."""
    W = {10 * i + j: f"W{2 + i // 3}[{i % 3},{7 - j}]" for i in range(6) for j in range(8)}

    def pattern(*terms: tuple[str, int, int], labels: Mapping[int, str] = W) -> str:
        return _pattern(lambda move: labels.get(move, ""), terms)

    assert pattern() == "W2[0,7]"
    assert pattern(("i", 10, 3), ("j", 1, 8)) == "W2[i,7-j]"
    assert pattern(("s", 30, 2), ("i", 10, 3), ("j", 2, 4)) == "W{s+2}[i,7-2j]"
    assert pattern(("i", 11, 3), ("j", 1, 5)) == "W2[i,7-i-j]"
    assert pattern(("j", -1, 4), labels={-k: f"W[{k}]" for k in range(4)}) == "W[j]"
    assert pattern(("i", 10, 4)) == "W2[0,7] and on"  # the fourth is W3[0,7]
    assert pattern(("i", 0, 4)) == "W2[0,7]"
    assert pattern(("i", 10, 1)) == "W2[0,7]"
    assert pattern(("s", 1, 3), labels={k: f"∂J/∂z{5 - k}[0]" for k in range(3)}) == "δ{5-s}[0]"
    assert pattern(("s", 1, 3), labels={k: f"t[{k},{k}]" for k in range(3)}) == "t[s,s]"
    assert pattern(("s", 1, 2), labels={0: "t[0]", 1: "u[1]"}) == "t[0] and on"
    assert pattern(("s", 0, 2), labels={0: "h"}) == "h"
    assert pattern(("s", 1, 2), labels={0: "h", 1: "h"}) == "h"
    assert pattern(("s", 1, 2), labels={}) == "?"
    assert pattern(("s", 1, 3), labels={0: "∂J/∂z2[0]", 1: "∂J/∂z3[0]", 2: "∂J/∂a4[0]"}) == "δ2[0] and on"

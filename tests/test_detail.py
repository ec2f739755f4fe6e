"""Pictures at every level: each value is in one box, each operand in one arrow, each number is that of the graph."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from expressions import Expression
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from processes import output_under_any_hash_seed
from strategies import expressions
from test_draw import net, texts

from tinygrad_sq import MLP, Layer, Neuron, Parameter, Value, draw_dot, gradient, scope, table, tanh, to_svg
from tinygrad_sq.cli import main
from tinygrad_sq.graph import topological_order
from tinygrad_sq.losses import cost
from tinygrad_sq.nn import Module
from tinygrad_sq.study.collapse import MOST, STACK, Part, partition
from tinygrad_sq.study.draw import layout, picture_of
from tinygrad_sq.study.overview import weights_of
from tinygrad_sq.study.picture import ON_ARROWS, Arrow, Box, Picture, Tone, short, signed, tone

# --- graphs of all kinds ---


def chain(length: int = 10_000) -> Value:
    v = Value(0.3, "x")
    for k in range(length):
        v = tanh(v) if k % 2 else v * 1.01
    v.backward()
    return v


def by_hand(n_in: int = 6, sizes: tuple[int, ...] = (12, 12, 3)) -> Value:
    """A net without scopes, each sum of which is a chain of + and ×."""
    x = [Value(0.1 * j) for j in range(n_in)]
    for l, size in enumerate(sizes):
        x = [
            tanh(sum((Parameter(math.sin(7 * i + 3 * j + l)) * v for j, v in enumerate(x)), Parameter(0.1)))
            for i in range(size)
        ]
    J: Value = sum(v * v for v in x)  # type: ignore[assignment]
    J.backward()
    return J


def rows_of_dots() -> Value:
    """No scopes, but layers of one kind of operation at one depth."""
    x = [Value(0.01 * j, f"x[{j}]") for j in range(30)]
    for _ in range(4):
        x = [tanh(table.dot([Parameter(0.1 * math.cos(i + j)) for j in range(len(x))], x)) for i in range(20)]
    J = table.total(x)
    J.backward()
    return J


def batch() -> Value:
    """E3 over 40 samples: each neuron is used 40 times, and the weights once more for λ."""
    model = MLP(2, [4, 1], "tanh", "tanh", seed=1)
    J = cost(model, [[0.1 * i, 0.5 - 0.05 * i] for i in range(40)], [0.3] * 40, lam=0.1)
    J.backward()
    return J


def named_steps() -> Value:
    """More scopes than a picture has boxes, none like another."""
    v = Value(0.1, "x")
    for k in range(100):
        with scope(f"{chr(97 + k // 26)}{chr(97 + k % 26)}"):
            for _ in range(4):
                v = tanh(v) * 1.5
    v.backward()
    return v


def circle() -> Value:
    """Two scopes that use each other."""
    with scope("A"):
        a = Value(1.0, "a")
        b = a * 2
    with scope("B"):
        c = tanh(b) + 1
    with scope("A"):
        y = c * a
    y.backward()
    return y


def attention() -> Value:
    with scope("input"):
        x = [Value(0.3 * j - 0.4, f"x[{j}]") for j in range(3)]
    with scope("attention"):
        heads = []
        for k in range(2):
            with scope(f"head {k}"):
                q = [Parameter(0.2 * j + 0.1 * k, f"q{k}[{j}]") for j in range(3)]
                scores = table.softmax([a * b for a, b in zip(q, x)])
                heads.append(table.dot(scores, x))
        with scope("mix"):
            y = table.dot(heads, [Parameter(0.5, "m[0]"), Parameter(-0.7, "m[1]")])
    with scope("loss"):
        J: Value = table.half_square(y - 0.2)
    J.label = "J"
    J.backward()
    return J


GRAPHS: list[Callable[[], Value]] = [
    lambda: net(2, [3, 1]),
    lambda: net(3, [8, 8, 1]),
    lambda: net(40, [30, 12]),
    lambda: net(2, [3] * 12),
    chain,
    by_hand,
    rows_of_dots,
    batch,
    named_steps,
    circle,
    attention,
    lambda: Value(1.0, "alone"),
]
NAMES = ["small", "eights", "wide", "deep", "chain", "hand", "dots", "batch", "steps", "circle", "attention", "alone"]
any_graph = pytest.mark.parametrize("graph", GRAPHS, ids=NAMES)


def uses(order: list[Value]) -> Iterator[tuple[Value, Value, float | None]]:
    """Every operand that is a Value: (operand, user, local derivative)."""
    for node in order:
        for arg, local in zip(node.args, node.partials):
            if isinstance(arg, Value):
                yield arg, node, local


# --- parts ---


def check_partition(root: Value, depth: int) -> list[Part]:
    order = topological_order(root)
    parts = partition(order, depth)
    assert len(parts) <= MOST
    collected = [v for part in parts for v in part.values]
    assert len(collected) == len(order)
    assert set(collected) == set(order)
    place = {v: i for i, v in enumerate(order)}
    for part in parts:
        assert [place[v] for v in part.values] == sorted(place[v] for v in part.values)
        assert all(v.scope[: len(part.scope)] == part.scope for v in part.values)
        assert bool(part.title) == (len(part.values) > 1)
    last = [place[part.values[-1]] for part in parts]
    assert last == sorted(last)
    assert parts[-1].values[-1] is root
    return parts


@any_graph
@pytest.mark.parametrize("depth", [1, 2])
def test_each_value_is_in_one_part(graph: Callable[[], Value], depth: int) -> None:
    """Parts are a partition, of at most MOST; in the order of their last values, the root's last."""
    check_partition(graph(), depth)


@given(expressions(most_steps=12), st.data())
@settings(max_examples=40)
def test_parts_of_any_expression(expression: Expression, data: st.DataObject) -> None:
    """Whatever the scopes are."""
    root = expression(*expression.values())
    for v in topological_order(root):
        v.scope = tuple(data.draw(st.lists(st.sampled_from(["a", "b 0", "b 1"]), max_size=3)))
    root.backward()
    for depth in (1, 2):
        parts = check_partition(root, depth)
        check_arrows(root, parts, picture_of(root, ["", "layer", "neuron"][depth]))


def test_scopes_of_the_depth_are_parts() -> None:
    """All under one prefix of that length, whatever lies deeper; loose values stand by themselves."""
    root = net(2, [3, 2])
    assert sorted(part.title for part in check_partition(root, 1)) == ["input", "layer 2", "layer 3", "loss", "target"]
    assert {part.scope for part in check_partition(root, 1) if part.title} == {()}
    neurons = check_partition(root, 2)
    assert [(*part.scope, part.title) for part in neurons if part.title] == [
        *(("layer 2", f"neuron {i}") for i in range(3)), *(("layer 3", f"neuron {i}") for i in range(2))
    ]  # fmt: skip
    assert all(len(part.values) == 1 for part in neurons if not part.title)


def test_what_is_many_is_elided() -> None:
    """Of more than eight neurons, inputs or layers the first four are shown, the last, and how many more there are."""
    parts = check_partition(net(40, [30, 12]), 2)
    titles = [part.title or part.values[0].label for part in parts if part.scope == ("layer 2",)]
    assert titles == ["neuron 0", "neuron 1", "neuron 2", "neuron 3", "… 25 more", "neuron 29"]
    assert [part.ends for part in parts if part.scope == ("layer 2",)][4] == ("neuron 4", "neuron 28")
    inputs = [part for part in parts if part.scope == ("input",)]
    assert [part.title or part.values[0].label for part in inputs] == [
        "x[0]",
        "x[1]",
        "x[2]",
        "x[3]",
        "… 35 more",
        "x[39]",
    ]
    assert inputs[4].ends == ("x[4]", "x[38]")
    assert [v.label for v in inputs[4].values] == [f"x[{j}]" for j in range(4, 39)]
    layers = check_partition(net(2, [2] * 12), 1)
    assert [part.title for part in layers if "layer" in part.title or "more" in part.title] == [
        "layer 2", "layer 3", "layer 4", "layer 5", "… 7 more", "layer 13"
    ]  # fmt: skip
    assert next(part.ends for part in layers if part.ends) == ("layer 6", "layer 12")
    (middle,) = [part for part in check_partition(net(2, [2] * 12), 2) if part.title == "… 7 more"]
    assert {v.scope[0] for v in middle.values} == {f"layer {l}" for l in range(6, 13)}


@pytest.mark.parametrize(("size", "shown"), [(STACK, STACK), (STACK + 1, 6)])
def test_eight_are_shown(size: int, shown: int) -> None:
    """And nine are not."""
    parts = check_partition(net(2, [size]), 2)
    assert sum(part.scope == ("layer 2",) for part in parts) == shown


def test_what_is_not_alike_is_not_elided() -> None:
    """Names that differ in more than their numbers."""
    v = Value(0.1, "x")
    for inner in "abcdefghi":
        with scope("block 1"), scope(inner):
            v = tanh(v + 1.0)
    parts = check_partition(v, 2)
    assert [(part.scope, part.title) for part in parts[1:]] == [(("block 1",), inner) for inner in "abcdefghi"]
    assert len({part.alike for part in parts}) == 10


def test_few_loose_values_are_all_shown() -> None:
    """Up to twelve."""
    xs = [Value(0.1 * j, f"x{j}") for j in range(11)]
    assert len(check_partition(table.total(xs), 2)) == 12
    assert len(check_partition(table.total([*xs, Value(0.0)]), 2)) == 7


def test_kinds() -> None:
    """Where loose values of a kind at one depth are many, there is one part for each kind."""
    titles = [part.title for part in check_partition(rows_of_dots(), 2)]
    assert sorted(titles) == sorted(["inputs", *["parameters", "Σ w x + b", "tanh"] * 4, ""])


def steps(count: int) -> Value:
    """A chain through scopes that are unlike each other, of two values each."""
    v = Value(0.1, "x")
    for k in range(count):
        with scope(f"{chr(97 + k // 26)}{chr(97 + k % 26)}"):
            v = tanh(v + 1.0)
    return v


def test_sixty_four_parts_are_not_too_many() -> None:
    """Of one more, the values are told apart by their distance from the root."""
    titles = [part.title for part in check_partition(steps(MOST - 1), 1)]
    assert len(titles) == 64
    assert titles[:3] == ["", "aa", "ab"]
    parts = check_partition(steps(MOST), 1)
    assert [part.title for part in parts] == ["", *["… 30 more"] * 4, *[""] * 8]


def test_too_many_inner_scopes() -> None:
    """Where the scopes of the depth are too many, those around them are parts."""
    v = Value(0.1, "x")
    for outer in "abcdefghijklm":
        for inner in "abcde":
            with scope(outer), scope(inner):
                v = tanh(v + 1.0)
    assert [part.title for part in check_partition(v, 2)] == ["", *"abcdefghijklm"]


def test_kinds_within_scopes() -> None:
    """Where even these are too many beside a dozen loose values, values of a kind are one part."""
    xs = [Value(0.1 * k) for k in range(11)]
    for k in range(53):
        with scope(f"{chr(97 + k // 26)}{chr(97 + k % 26)}"):
            xs += [Value(0.1), Value(0.2)]
    parts = check_partition(table.total(xs), 1)
    assert [(part.title, len(part.values)) for part in parts] == [("inputs", 11), *[("inputs", 2)] * 53, ("", 1)]
    assert [part.scope for part in parts[1:3]] == [("aa",), ("ab",)]


def test_a_few_of_a_kind_are_all_shown() -> None:
    """Up to eight loose values of one kind, however many others there are; a name for the first and the last of those
    between, if both have one."""
    few = [Value(0.1 * k, f"a{k}") for k in range(8)]
    many = [Value(0.1 * k, f"b{k}") for k in range(9)]
    parts = check_partition(table.total([*few, *[tanh(v) for v in many]]), 2)
    assert [part.title or part.values[0].label for part in parts if part.title or not part.values[0].op] == [
        *[f"a{k}" for k in range(8)],
        *["b0", "b1", "b2", "b3", "… 4 more", "… 4 more", "b8"],
    ]
    assert [part.ends for part in parts if part.title] == [("b4", "b7"), ()]
    assert Counter(part.alike for part in parts).most_common() == [
        (((), "input", 1), 8), (((), "input", 2), 6), (((), table.row("tanh"), 1), 6), (((), table.row("total"), 0), 1)
    ]  # fmt: skip


def test_kinds_of_one_value() -> None:
    """Where there is a part for each kind, one by itself has no title; operations are called by their symbol, leaves by
    their role."""
    xs: list[Value] = [Value(0.1 * k) for k in range(9)]
    for f in (table.exp, table.sin, table.cos, tanh) * 4:
        xs = [f(v * Parameter(0.5)) for v in xs]
    parts = check_partition(table.total(xs), 2)
    assert Counter(part.title for part in parts) == {
        "": 1, "inputs": 1, "parameters": 16, "×": 16, "exp": 4, "sin": 4, "cos": 4, "tanh": 4
    }  # fmt: skip
    assert {len(part.values) for part in parts} == {1, 9}


def test_near_the_root() -> None:
    """Values are shown by themselves up to the last distance at which they are no more than eight, even if that is
    only the root; leaves are collected by their roles."""
    v = Value(0.5)
    for _ in range(70):
        v = tanh(v * Parameter(0.5))
    wide = check_partition(table.total([v, *[Value(0.1 * k) for k in range(7)]]), 2)
    assert [(part.title, len(part.values)) for part in wide] == [
        *[("… 35 more", 35)] * 3, ("parameters", 70), ("… 35 more", 35), ("inputs", 8), ("", 1)
    ]  # fmt: skip
    narrow = check_partition(table.total([v, *[Value(0.1 * k) for k in range(6)]]), 2)
    assert [(part.title, len(part.values)) for part in narrow] == [
        ("", 1), *[("… 35 more", 35)] * 3, ("parameters", 70), ("… 34 more", 34), *[("", 1)] * 8
    ]  # fmt: skip
    assert {part.scope for part in wide} == {()}


def test_bands() -> None:
    """The values nearest to the root, then bands of the rest that follow one another."""
    root = chain()
    parts = check_partition(root, 2)
    order = topological_order(root)
    assert [len(part.values) for part in parts] == [1, 2498, 2498, 2498, 2498, *[1] * 8]
    assert [v for part in parts for v in part.values] == order
    assert [part.title for part in parts[1:5]] == ["… 2,498 more"] * 4


# --- arrows ---


def check_arrows(root: Value, parts: list[Part], pic: Picture) -> None:
    """One arrow for all operands from one part to another; its number, sign and words follow from theirs."""
    order = topological_order(root)
    home = {v: i for i, part in enumerate(parts) for v in part.values}
    expected: dict[tuple[int, int], list[tuple[Value, Value, float | None]]] = defaultdict(list)
    for arg, node, local in uses(order):
        if home[arg] != home[node]:
            expected[home[arg], home[node]].append((arg, node, local))
    assert sorted((arrow.tail, arrow.head) for arrow in pic.arrows) == sorted(expected)
    assert len({arrow.id for arrow in pic.arrows}) == len(pic.arrows)
    for arrow in pic.arrows:
        check_arrow(arrow, expected[arrow.tail, arrow.head], pic.largest or 0.0)


def check_arrow(arrow: Arrow, operands: list[tuple[Value, Value, float | None]], largest: float) -> None:
    flows = [(node.grad, local) for _, node, local in operands if local is not None]
    if len(operands) > 1:
        assert f"{len(operands):,} arrows" in arrow.tooltip
    if not flows:
        assert (arrow.local, arrow.tone.sign) == ("", "none")
        return
    if len({local for _, local in flows}) == 1:
        assert arrow.local == f"×{short(flows[0][1], 3)}"
        carried = math.fsum(upstream * local for upstream, local in flows)
        assert arrow.tone == tone(carried, largest)
        if len(operands) > 1:
            assert arrow.tooltip.endswith(f", each {arrow.local}; Σ upstream × local = {short(carried)}")
    else:
        carried = math.fsum(abs(upstream * local) for upstream, local in flows)
        assert (arrow.local, arrow.tone) == ("", Tone("many", tone(carried, largest).step))
        assert arrow.tooltip.endswith(f"Σ |upstream × local| = {short(carried)}")


@any_graph
@pytest.mark.parametrize("detail", ["neuron", "layer"])
def test_an_arrow_for_the_operands_between_two_parts(graph: Callable[[], Value], detail: str) -> None:
    """None is lost, none is drawn twice."""
    root = graph()
    check_arrows(root, partition(topological_order(root), 1 if detail == "layer" else 2), picture_of(root, detail))


def test_arrows_between_neurons_are_weights() -> None:
    """×W_ij from unit j to unit i, its colour the sign of δ_i W_ij: a term of E6."""
    root = net(2, [3, 2])
    pic = picture_of(root, "neuron")
    label = {v.label: v for v in topological_order(root)}
    boxes = {box.name: i for i, box in enumerate(pic.boxes)}
    arrow = {(a.tail, a.head): a for a in pic.arrows}
    for i in range(2):
        for j in range(3):
            W, z = label[f"W2[{i},{j}]"], label[f"z3[{i}]"]
            drawn = arrow[boxes[f"z2[{j}]"], boxes[f"z3[{i}]"]]
            assert drawn.local == f"×{short(W.data, 3)}"
            assert drawn.tone.sign == ("pos" if z.grad * W.data > 0.0 else "neg")
            assert drawn.tooltip == (
                f"∂z3[{i}] / ∂a2[{j}]: upstream {short(z.grad)} × local {short(W.data)} = {short(z.grad * W.data)}"
            )


# --- boxes ---


def cells(box: Box) -> list[str]:
    return [f"{cell.name} = {cell.text}" if cell.name else cell.text for row in box.rows for cell in row]


def test_neurons() -> None:
    """z, a, δ = ∂J/∂z and f'(z), of each neuron; its activation is the glyph."""
    root = net(2, [3, 2])
    label = {v.label: v for v in topological_order(root)}
    pic = picture_of(root, "neuron")
    neurons = [box for box in pic.boxes if box.role == "part"]
    assert len(neurons) == 5
    for box in neurons:
        z = label[box.name]
        a = label[box.name.replace("z", "a")]
        assert box.glyph == "tanh"
        assert cells(box) == [
            f"{z.label} = {short(z.data)}",
            f"{a.label} = {short(a.data)}",
            f"δ = {signed(z.grad)}",
            f"f′(z) = {short(1.0 - a.data**2)}",
        ]
        assert box.rows[1][0].tone is not None
        assert box.rows[1][0].tone.sign == ("pos" if z.grad > 0.0 else "neg")
        assert f"δ = ∂J/∂{z.label} = {z.grad!r}" in box.tooltip
        assert box.scope == z.scope[:1]
    assert "δ = ∂J/∂z" in pic.notes


def norm(values: Sequence[Value]) -> str:
    return short(math.sqrt(sum(v.grad**2 for v in values)))


def test_layers() -> None:
    """Sizes, parameters, values, |δ|, |∂J/∂W|; inputs and targets are what they are; the loss has its value."""
    root = net(2, [3, 2])
    order = topological_order(root)
    boxes = {box.glyph: box for box in picture_of(root, "layer").boxes}
    for l, (n_in, n_out) in enumerate([(2, 3), (3, 2)], 2):
        named = [[v for v in order if v.label.startswith(f"{letter}[")] for letter in (f"z{l}", f"W{l - 1}")]
        assert cells(boxes[f"layer {l}"]) == [
            f"{n_in} → {n_out} tanh",
            f"{n_out * (n_in + 1)} parameters",
            f"{n_out * (n_in + 3)} values",
            f"|δ| = {norm(named[0])}",
            f"|∂J/∂W| = {norm(named[1])}",
        ]
    assert cells(boxes["input"]) == ["2 inputs", f"|∇| = {norm([v for v in order if v.scope == ('input',)])}"]
    assert cells(boxes["target"]) == ["2 targets", f"|∇| = {norm([v for v in order if v.scope == ('target',)])}"]
    assert cells(boxes["loss"]) == [f"J = {short(root.data)}", "5 values", "∇ +1"]
    assert [boxes[name].role for name in ("input", "target", "layer 2", "loss")] == ["input", "target", "part", "part"]


def test_elided_neurons() -> None:
    """From which to which, their parameters, |δ|, |∂J/∂W|."""
    root = net(3, [10, 1])
    label = {v.label: v for v in topological_order(root)}
    (box,) = [box for box in picture_of(root, "neuron").boxes if box.glyph == "… 5 more"]
    assert cells(box) == [
        "neuron 4 … neuron 8",
        "20 parameters",
        f"|δ| = {norm([label[f'z2[{i}]'] for i in range(4, 9)])}",
        f"|∂J/∂W| = {norm([label[f'W1[{i},{j}]'] for i in range(4, 9) for j in range(3)])}",
    ]
    assert "from neuron 4 to neuron 8" in box.tooltip


def test_elided_layers() -> None:
    """|δ| is that of all of them."""
    root = net(2, [2] * 12)
    order = topological_order(root)
    (box,) = [box for box in picture_of(root, "layer").boxes if box.glyph == "… 7 more"]
    zs = [v for v in order if re.fullmatch(r"z([6-9]|1[0-2])\[\d\]", v.label)]
    assert len(zs) == 14
    assert f"|δ| = {norm(zs)}" in cells(box)


def test_any_scope() -> None:
    """A scope need not be a layer: its result, or how much it takes and gives, and its parameters."""
    root = attention()
    order = topological_order(root)
    boxes = {box.glyph: box for box in picture_of(root, "layer").boxes}
    inside = [v for v in order if v.scope[:1] == ("attention",)]
    parameters = [v for v in inside if isinstance(v, Parameter)]
    result = cells(boxes["attention"])
    assert result[1:3] == ["8 parameters", f"{len(inside)} values"]
    assert result[-1] == f"|∂J/∂W| = {norm(parameters)}"
    heads = [box for box in picture_of(root, "neuron").boxes if box.scope == ("attention",)]
    assert [box.glyph for box in heads] == ["head 0", "head 1", "mix"]
    several = {box.glyph: box for box in picture_of(batch(), "layer").boxes}
    assert cells(several["layer 2"])[0] == "160 tanh"
    assert cells(several["layer 3"])[0] == "160 → 40 tanh"


def test_results_of_a_scope() -> None:
    """Several results that are no neurons' are counted, as what they are made of."""
    with scope("input"):
        x = [Value(0.1, "x"), Value(0.2, "y")]
    with scope("block"):
        w = Parameter(0.5)
        sums = [tanh(w) + v for v in x]
    with scope("source"):
        source = [Value(0.1) * 2.0, Value(0.2) + 1.0]
    y = table.total([*sums, *source])
    y.backward()
    boxes = {box.glyph: box for box in picture_of(y, "layer").boxes}
    assert cells(boxes["block"])[0] == "2 → 2"
    assert cells(boxes["block"])[-1] == f"|∇θ| = {short(w.grad)}"
    assert cells(boxes["source"])[0] == "gives 2"


def test_taken_and_given_are_counted_over_all_parts() -> None:
    """What a scope takes from several others, and gives to several others."""
    sources = []
    for name in ("a", "b"):
        with scope(name):
            sources.append(Value(0.5, name))
    with scope("block"):
        results = [tanh(v) * 2.0 for v in sources]
    users = []
    for name, v in zip("cd", results):
        with scope(name):
            users.append(tanh(v))
    y = table.total(users)
    y.backward()
    boxes = {box.glyph: box for box in picture_of(y, "layer").boxes}
    assert cells(boxes["block"])[0] == "2 → 2"


def test_weights() -> None:
    """The parameters that multiply something are W; those that are added are not."""
    root = net(2, [2])
    order = topological_order(root)
    assert {p.label[0] for p in weights_of(order)} == {"W"}
    assert len(weights_of(order)) == 4
    p, q, r = Parameter(1.0), Parameter(2.0), Parameter(3.0)
    assert set(weights_of(topological_order(p * 2.0 + q - r))) == {p}


def test_before_backward() -> None:
    """Nothing is said of gradients but that they are not there yet."""
    root = net(2, [10, 1], backward=False)
    for detail in ("neuron", "layer"):
        pic = picture_of(root, detail)
        assert pic.largest is None
        assert {arrow.tone.sign for arrow in pic.arrows} == {"zero"}
        gradients = [cell for box in pic.boxes for row in box.rows for cell in row if cell.tone]
        assert all("not yet" in cell.text and cell.tone and cell.tone.sign == "none" for cell in gradients)
        assert "Backward has not run yet" in pic.description
        assert all("backward has not run" in box.tooltip for box in pic.boxes)


def test_no_gradient_flows() -> None:
    """Between two parts, through nothing but branches that are not taken."""
    with scope("a"):
        x = [Value(1.0), Value(2.0)]
    with scope("b"):
        y = table.total([table.where(0.0, v, 1.0) for v in x])
    y.backward()
    (arrow,) = picture_of(y, "layer").arrows
    assert arrow.tone.sign == "none"
    assert arrow.tooltip == "a → b: 2 arrows, no gradient flows"


def test_a_step_has_no_slope() -> None:
    """f' of an activation through which no gradient flows."""
    neuron = Neuron(2, table.row("stop_gradient"))
    y = neuron([Value(1.0), Value(2.0)])
    y.backward()
    assert "f′(z) = none" in cells(picture_of(y, "neuron").boxes[-1])


def test_tooltips_of_parts() -> None:
    """What it is, from where to where, its values by what they are; what it takes and gives; of a neuron z, a = f(z)
    and δ; the norms of the gradients in full."""
    root = net(3, [10, 2])
    order = topological_order(root)
    label = {v.label: v for v in order}

    def norms(part: Callable[[Value], bool], weights: int, parameters: int) -> list[str]:
        """Of the weights and of the parameters of a part."""
        members = [v for v in order if isinstance(v, Parameter) and part(v)]
        heavy = [p for p in members if p.label.startswith("W")]
        assert (len(heavy), len(members)) == (weights, parameters)
        return [
            f"norm of the gradients of {len(kind)} {name}s: {math.hypot(*[p.grad for p in kind])!r}"
            for name, kind in (("weight", heavy), ("parameter", members))
        ]

    neurons = picture_of(root, "neuron").boxes
    z, a = label["z2[1]"], label["a2[1]"]
    assert next(box for box in neurons if box.name == "z2[1]").tooltip.split("\n") == [
        "layer 2, neuron 1",
        "6 values: 4 parameters, 1 Σ w x + b, 1 tanh",
        "takes 3 values, gives 1",
        f"z2[1] = {z.data!r}",
        f"a2[1] = tanh(z2[1]) = {a.data!r}",
        f"δ = ∂J/∂z2[1] = {z.grad!r}",
        *norms(lambda v: v.scope == ("layer 2", "neuron 1"), 3, 4),
    ]
    between = {("layer 2", f"neuron {i}") for i in range(4, 9)}
    assert next(box for box in neurons if box.glyph == "… 5 more").tooltip.split("\n") == [
        "layer 2, … 5 more",
        "from neuron 4 to neuron 8",
        "30 values: 20 parameters, 5 Σ w x + b, 5 tanh",
        "takes 3 values, gives 5",
        *norms(lambda v: v.scope in between, 15, 20),
    ]
    layers = {box.glyph: box.tooltip.split("\n") for box in picture_of(root, "layer").boxes}
    assert layers["input"] == ["input", "3 values: 3 inputs"]
    assert layers["loss"] == ["loss", "5 values: 2 −, 2 ½x², 1 Σ", "takes 4 values, gives 1"]
    assert layers["layer 3"] == [
        "layer 3",
        "26 values: 22 parameters, 2 Σ w x + b, 2 tanh",
        "takes 10 values, gives 2",
        *norms(lambda v: v.scope[0] == "layer 3", 20, 22),
    ]
    unseen = {box.name: box for box in picture_of(net(3, [10, 2], backward=False), "neuron").boxes}
    assert unseen["z2[1]"].tooltip.split("\n")[3:] == [
        f"z2[1] = {z.data!r}",
        f"a2[1] = tanh(z2[1]) = {a.data!r}",
        "∇ not yet: backward has not run",
    ]


def test_parts_of_one_value_or_of_many_kinds() -> None:
    """One is no plural; of the kinds of values the three that are most frequent are named."""
    with scope("source"):
        x = Value(0.5, "x") * 2.0
    with scope("block"):
        y = x
        for f in (tanh, tanh, tanh, table.exp, table.exp, table.sin, table.cos):
            y = f(y)
        w = Parameter(3.0)
        y = y * w
    y.label = "∑ / y"
    y.backward()
    pic = picture_of(y, "layer")
    block = pic.boxes[-1]
    assert cells(block) == [
        "∑ / y = " + short(y.data),
        "1 parameter",
        "9 values",
        "∇ +1",
        f"|∇W| = {norm([w])}",
    ]
    assert block.tooltip.split("\n") == ["block", "9 values: 3 tanh, 2 exp, 1 sin, …", "takes 1 value, gives 1"]
    assert pic.notes == ON_ARROWS
    assert pic.title == "Overview of the computation graph of ∑ / y"
    loose = picture_of(tanh(Value(0.5)) * 2.0, "layer")
    assert [box.scope for box in loose.boxes] == [()] * 3
    assert (loose.groups, loose.stacks) == ({}, ())


def test_auto() -> None:
    """Each value up to 150 values, then neurons; never too large."""
    assert picture_of(chain(149)) == picture_of(chain(149), "value")
    assert picture_of(chain(150)) == picture_of(chain(150), "neuron") != picture_of(chain(150), "value")
    for graph in GRAPHS:
        assert len(picture_of(graph()).boxes) <= 150


def test_words() -> None:
    """Title and description say in words what there is to see."""
    pic = picture_of(net(2, [3, 1]), "layer")
    assert pic.title == "Overview of the computation graph of J"
    assert pic.description.startswith("J = ")
    assert "a graph of 27 values, drawn as 5 boxes: y[0]; input; layer 2; layer 3; loss." in pic.description
    svg = to_svg(net(2, [3, 1]), detail="layer")
    assert "many values in one" in texts(svg, "caption")
    assert "grey: several arrows, as wide as Σ |upstream × local|" in texts(svg, "caption")
    assert pic.notes == ("δ = ∂J/∂z", *ON_ARROWS, "grey: several arrows, as wide as Σ |upstream × local|")
    neurons = picture_of(net(3, [10, 1]), "neuron")
    assert "; layer 2, neuron 3; layer 2, … 5 more; layer 2, neuron 9; layer 3, neuron 0; " in neurons.description
    assert picture_of(attention(), "layer").notes == pic.notes[1:]


# --- where it stands ---


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_neurons_stand_in_order(rankdir: str) -> None:
    """Layers in columns, neurons in the order of their index, those between in their place."""
    pic = picture_of(net(12, [10, 3]), "neuron")
    where = layout(pic, rankdir)
    u, v = (0, 1) if rankdir == "LR" else (1, 0)
    columns = []
    for name in ("input", "layer 2", "layer 3"):
        places = [where.boxes[i] for i, box in enumerate(pic.boxes) if box.scope == (name,)]
        assert [place[v] for place in places] == sorted(place[v] for place in places)
        assert len({place[u] for place in places}) == 1
        columns.append(places[0][u])
    assert columns == sorted(columns)


def test_loose_values_stand_in_order() -> None:
    """Without scopes, too."""
    xs = [Value(0.1 * j, f"x[{j}]") for j in range(20)]
    y = table.total([tanh(x) for x in xs])
    y.backward()
    pic = picture_of(y, "neuron")
    where = layout(pic, "LR")
    stacks = [[where.boxes[i][1] for i in stack] for stack in pic.stacks]
    assert [len(stack) for stack in stacks] == [6, 6]
    assert all(stack == sorted(stack) for stack in stacks)


@any_graph
def test_all_are_drawn(graph: Callable[[], Value]) -> None:
    """At either level, in either direction: a box for each box, an arrow for each arrow."""
    root = graph()
    for detail, rankdir in (("neuron", "LR"), ("layer", "TB")):
        pic = picture_of(root, detail)
        svg = to_svg(root, detail=detail, rankdir=rankdir)
        assert svg.count('<g class="value">') == len(pic.boxes)
        assert svg.count('<g class="arrow') == len(pic.arrows)


OUTSIDE = """() => [...document.querySelectorAll("g.value")].flatMap(value => {
    const box = value.querySelector(".outline").getBBox();
    return [...value.querySelectorAll("text")].filter(text => {
        const t = text.getBBox();
        return t.x < box.x || t.x + t.width > box.x + box.width || t.y < box.y || t.y + t.height > box.y + box.height;
    }).map(text => text.textContent);
})"""


@pytest.mark.xdist_group("browser")
def test_text_lies_in_its_box(browser: Browser) -> None:
    """As a browser measures it, with the fonts of this machine."""
    pictures = [to_svg(graph(), detail=detail) for graph in GRAPHS for detail in ("neuron", "layer")]
    pictures += [to_svg(net(2, [3, 1], backward=False), detail="neuron"), to_svg(MLP(12, [12, 2]))]
    page = browser.new_page()
    for svg in pictures:
        page.set_content(svg)
        assert page.evaluate(OUTSIDE) == []
    page.close()


def test_same_bytes_in_every_process() -> None:
    """The graph alone decides the picture, whatever PYTHONHASHSEED is."""
    tests = str(Path(__file__).parent)
    script = (
        f"import sys; sys.path.insert(0, {tests!r}); import test_detail as t\n"
        "from tinygrad_sq import MLP, draw_dot, to_svg\n"
        "for graph in t.GRAPHS[:3] + t.GRAPHS[5:8]:\n"
        "    print(ascii([draw_dot(graph(), detail=d).source for d in ('neuron', 'layer')]))\n"
        "print(ascii(to_svg(t.attention(), detail='neuron') + to_svg(MLP(2, [3, 1], seed=1))))\n"
    )
    assert "digraph" in output_under_any_hash_seed(script)


# --- the gradient as a graph ---


def test_e6_is_visible() -> None:
    """δ_i = (Σ_j δ_j W_ji) f'(z_i): the two δ of the next layer and the two weights meet in one box, f' in the next."""
    model = MLP(2, [2, 2], "tanh", "tanh", seed=3)
    J = table.total([table.half_square(a - 0.3) for a in model([Value(0.8), Value(-0.5)])])
    J.label = "J"
    J.backward()
    z = next(v for v in topological_order(J) if v.label == "z2[0]")
    pic = picture_of(gradient(J, [z])[0], "neuron")
    index = {box.name: i for i, box in enumerate(pic.boxes)}
    into = {
        name: {pic.boxes[a.tail].name for a in pic.arrows if a.head == index[name]}
        for name in ("∂J/∂a2[0]", "∂J/∂z2[0]")
    }
    assert into["∂J/∂a2[0]"] == {"∂J/∂z3[0]", "∂J/∂z3[1]", "z3[0]", "z3[1]"}
    assert "∂J/∂a2[0]" in into["∂J/∂z2[0]"]
    assert pic.boxes[-1].data == short(z.grad)
    for j in range(2):
        (arrow,) = [a for a in pic.arrows if (a.tail, a.head) == (index[f"∂J/∂z3[{j}]"], index["∂J/∂a2[0]"])]
        assert arrow.local == f"×{short(model.layers[1].neurons[j].w[0].data, 3)}"


def test_given_values_are_leaves() -> None:
    """E6 alone: δ of the next layer, the weights and z of the unit are given, and nothing of before is drawn."""
    J = net(2, [2, 2])
    z2, *z3 = [v for v in topological_order(J) if v.label in ("z2[0]", "z3[0]", "z3[1]")]
    delta, *deltas = gradient(J, [z2, *z3])
    pic = picture_of(delta, given=[z2, *deltas])
    assert {box.glyph for box in pic.boxes if box.role == "input"} == {"z2[0]", "∂J/∂z3[0]", "∂J/∂z3[1]"}
    assert {box.glyph for box in pic.boxes if box.role == "parameter"} == {"W2[0,0]", "W2[1,0]"}
    assert [box.name for box in pic.boxes if box.name] == ["∂J/∂a2[0]", "∂J/∂z2[0]"]
    assert pic.boxes[-1].data == short(z2.grad)
    assert z2.args  # the graph itself is as it was
    assert picture_of(J, given=[Value(1.0)]) == picture_of(J)
    assert "∂J/∂z3[1]" in to_svg(delta, given=deltas)
    assert "y[0]" not in draw_dot(delta, given=deltas).source


# --- nets before any sample ---


def test_structure() -> None:
    """Units, weights and biases of a net: no number that comes of a sample."""
    model = MLP(2, [3, 1], "tanh", seed=1)
    for p in model.parameters():
        p.data += 0.25
    pic = picture_of(model)
    index = {box.name: i for i, box in enumerate(pic.boxes)}
    arrow = {(a.tail, a.head): a for a in pic.arrows}
    assert len(arrow) == len(pic.arrows) == 9
    for l, layer in enumerate(model.layers, 1):
        for i, neuron in enumerate(layer.neurons):
            box = pic.boxes[index[f"z{l + 1}[{i}]"]]
            assert box.glyph == neuron.activation.symbol
            assert cells(box) == [f"z{l + 1}[{i}] = Σ w x + b", f"b{l}[{i}] = {signed(neuron.b.data)}"]
            assert all(f"{p.label} = {p.data!r}" in box.tooltip for p in neuron.parameters())
            for j, w in enumerate(neuron.w):
                tail = (
                    index[f"z{l}[{j}]"] if l > 1 else next(k for k, b in enumerate(pic.boxes) if b.glyph == f"x[{j}]")
                )
                drawn = arrow[tail, index[f"z{l + 1}[{i}]"]]
                assert drawn.local == f"×{short(w.data, 3)}"
                assert drawn.tone.sign == ("pos" if w.data > 0.0 else "neg")
                assert drawn.tooltip.endswith(f"1 weight, {short(w.data)}")
    assert pic.largest == max(abs(p.data) for p in model.parameters())
    assert "13 parameters, drawn as 6 boxes" in pic.description
    assert not pic.root
    assert "peripheries=2" not in draw_dot(model).source


def test_structure_of_wide_nets() -> None:
    """Norms of the weights and biases of what is elided, and of layers."""
    model = MLP(14, [12, 2], "tanh", seed=1)
    pic = picture_of(model)
    (box,) = [box for box in pic.boxes if box.glyph == "… 7 more" and box.role == "part"]
    between = model.layers[0].neurons[4:11]
    size = math.sqrt(sum(w.data**2 for neuron in between for w in neuron.w))
    assert cells(box) == ["neuron 4 … neuron 10", "105 parameters", f"|W| = {short(size)}", "|b| = 0"]
    assert pic.boxes[-1].tooltip.count("\n") == 14
    assert pic.boxes[-1].tooltip.endswith("\n…")
    (inputs,) = [box for box in pic.boxes if box.glyph == "… 9 more"]
    assert cells(inputs) == ["x[4] … x[12]"]
    (arrow,) = [a for a in pic.arrows if pic.boxes[a.tail] is inputs and pic.boxes[a.head].name == "z2[0]"]
    size = math.sqrt(sum(w.data**2 for w in model.layers[0].neurons[0].w[4:13]))
    assert arrow.tooltip.endswith(f"9 weights, norm {short(size)}")
    assert arrow.tone.sign == "many"
    layers = {box.glyph: cells(box) for box in picture_of(model, "layer").boxes}
    assert layers["input"] == ["14 inputs"]
    assert layers["layer 3"][:3] == ["12 → 2 id", "26 parameters", "30 values"]


def with_parameters(model: Neuron | Layer, values: Sequence[float]) -> Picture:
    for p, x in zip(model.parameters(), values, strict=True):
        p.data = x
    return picture_of(model)


def test_structure_of_a_neuron() -> None:
    """Word by word: each weight on its arrow, in the colour of its sign and size, one of 0 too."""
    pic = with_parameters(Neuron(3, "tanh"), (2.0, -0.25, 0.0, -0.5))
    assert [(box.glyph, box.role, box.scope, cells(box)) for box in pic.boxes] == [
        *[(f"x[{j}]", "input", ("input",), ["input"]) for j in range(3)],
        ("tanh", "part", ("layer 2",), ["z2[0] = Σ w x + b", "b1[0] = −0.5"]),
    ]
    assert [box.tooltip for box in pic.boxes] == [
        *[f"x[{j}], an input" for j in range(3)],
        "layer 2, neuron 0\n6 values: 4 parameters, 1 Σ w x + b, 1 tanh\n"
        "W1[0,0] = 2.0\nW1[0,1] = -0.25\nW1[0,2] = 0.0\nb1[0] = -0.5",
    ]
    assert [(a.tail, a.head, a.operand, a.local, a.tone, a.tooltip) for a in pic.arrows] == [
        (j, 3, j, f"×{w}", tone(x, 2.0), f"x[{j}] → layer 2, neuron 0: 1 weight, {w}")
        for j, (x, w) in enumerate([(2.0, "2"), (-0.25, "−0.25"), (0.0, "0")])
    ]
    assert pic.boxes[-1].tone == tone(-0.5, 2.0)
    assert pic.title == "Structure of Neuron(3, 'tanh')"
    assert pic.description == (
        "Neuron(3, 'tanh') with 4 parameters, drawn as 4 boxes: x[0]; x[1]; x[2]; layer 2, neuron 0. "
        "Each arrow shows a weight; the largest parameter is 2 in size."
    )
    assert pic.notes == ("on an arrow: × weight", "its colour and width: the weight")
    assert (pic.largest, pic.scale, pic.stacks) == (2.0, "W, b", ((0, 1, 2),))
    assert pic.groups == {"cluster0": ("input",), "cluster1": ("layer 2",)}
    listed = with_parameters(Neuron(11), [0.5] * 12).boxes[-1].tooltip.split("\n")
    assert len(listed) == 2 + 12
    assert listed[-1] == "b1[0] = 0.5"


def test_structure_of_a_layer() -> None:
    """The norm of all weights on an arrow, and those of weights and biases in the box, in the colours of their size."""
    layer = Layer(2, 2, "relu")
    with_parameters(layer, (3.0, 0.0, 0.25, 4.0, 0.0, 0.5))  # W_00, W_01, b_0, W_10, W_11, b_1
    pic = picture_of(layer, "layer")
    size = math.hypot(0.25, 0.5)
    assert [(box.glyph, box.role, cells(box)) for box in pic.boxes] == [
        ("input", "input", ["2 inputs"]),
        ("layer 2", "part", ["2 → 2 relu", "6 parameters", "10 values", "|W| = 5", f"|b| = {short(size)}"]),
    ]
    assert [row[0].tone for row in pic.boxes[1].rows[-2:]] == [tone(5.0, 4.0), tone(size, 4.0)]
    assert [box.tooltip for box in pic.boxes] == [
        "input\n2 values: 2 inputs",
        "layer 2\n10 values: 6 parameters, 2 Σ w x + b, 2 relu",
    ]
    (arrow,) = pic.arrows
    assert arrow.tooltip == "input → layer 2: 4 weights, norm 5"
    assert (arrow.local, arrow.tone) == ("", Tone("many", tone(5.0, 4.0).step))
    assert pic.notes[2:] == ("grey: several weights, as wide as their norm",)
    neuron = Neuron(2, "relu")
    with_parameters(neuron, (3.0, 4.0, -0.5))
    of_one = picture_of(neuron, "layer")
    assert cells(of_one.boxes[1]) == ["2 → 1 relu", "3 parameters", "5 values", "|W| = 5", "|b| = 0.5"]
    assert [arrow.tooltip for arrow in of_one.arrows] == ["input → layer 2: 2 weights, norm 5"]


@pytest.mark.parametrize(
    ("values", "largest"),
    [((0.5, math.inf, -0.25), 0.5), ((0.0, 0.0, 0.0), 1.0), ((math.nan, math.inf, -math.inf), 1.0), ((0.5, -2, 1), 2)],
)
def test_largest_parameter(values: tuple[float, ...], largest: float) -> None:
    """In size, of those that are finite; 1 if that is 0, or if none is."""
    assert with_parameters(Neuron(2), values).largest == largest


@pytest.mark.parametrize("model", [Neuron(3, "tanh"), Layer(2, 3), MLP(2, [3, 1]), MLP(3, [2] * 30)], ids=repr)
def test_nets_show_themselves(model: Neuron | Layer | MLP, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook shows a Neuron, a Layer, an MLP as a picture; as its repr where there is no Graphviz."""
    assert model._repr_svg_() == to_svg(model)
    monkeypatch.setenv("TINYGRAD_SQ_DOT", "no-such-dot")
    assert model._repr_svg_() is None


def test_arguments() -> None:
    """Errors say what was wrong and what was expected."""
    with pytest.raises(ValueError, match=r"detail is one of 'value', 'neuron', 'layer', 'auto', got 'fine'"):
        to_svg(Value(1.0), detail="fine")
    with pytest.raises(TypeError, match=r"expected a Value, Neuron, Layer or MLP to draw, got Module"):
        draw_dot(Module())
    with pytest.raises(TypeError, match=r"expected a Value.* to draw, got float 1\.0"):
        draw_dot(1.0, detail="layer")  # type: ignore[arg-type]


def test_the_command(tmp_path: Path) -> None:
    """`tinygrad-sq draw` takes --detail and --rankdir."""
    file = tmp_path / "f.svg"
    assert main(["draw", "x*x + 1", "x=2", "--detail", "layer", "--rankdir", "TB", "-o", str(file)]) == 0
    assert "Overview of" in file.read_text(encoding="utf-8")

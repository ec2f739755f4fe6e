"""Pictures: what they say, where it stands, and that any label, any graph and any Graphviz will do."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from itertools import combinations
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from expressions import Expression
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import expressions

import tinygrad_sq
from tinygrad_sq import MLP, Parameter, Value, clamp, half_squared_error, leaky_relu, maximum, scope, table, tanh, where
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op
from tinygrad_sq.study import dot
from tinygrad_sq.study.draw import draw_dot, layout, notebook_svg, picture_of, to_svg
from tinygrad_sq.study.layout import Layout, arrange, plan
from tinygrad_sq.study.picture import (
    SMALL_SIZE,
    Box,
    Cell,
    Tone,
    TooLargeError,
    aligned,
    picture,
    short,
    shown,
    signed,
    text_width,
    tone,
    with_meanings,
)
from tinygrad_sq.study.picture import (
    box as box_of,
)
from tinygrad_sq.study.route import ARROWHEAD, Route
from tinygrad_sq.study.svg import css, render
from tinygrad_sq.study.theme import FILL, KINDS, ROLES, STEPS, STROKE, mix
from tinygrad_sq.tabular import Meanings

DEBIAN = shutil.which("dot")
PURE = dot._of_graphviz_pure()
EXECUTABLES = [path for path in (PURE, DEBIAN) if path]

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=EXECUTABLES, ids=lambda path: Path(path).name)
def any_dot(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each Graphviz that is installed."""
    monkeypatch.setenv("TINYGRAD_SQ_DOT", request.param)
    path: str = request.param
    return path


def net(n_in: int, sizes: list[int], backward: bool = True) -> Value:
    """J of one sample: inputs, layers, targets and loss, each in its scope."""
    model = MLP(n_in, sizes, "tanh", "tanh", seed=1)
    with scope("input"):
        x = [Value(0.8 - 0.3 * j, f"x[{j}]") for j in range(n_in)]
    with scope("target"):
        y = [Value(0.5 - 0.2 * j, f"y[{j}]") for j in range(sizes[-1])]
    h = model(x)
    with scope("loss"):
        J: Value = half_squared_error(h, y if len(y) > 1 else y[0])
    J.label = "J"
    if backward:
        J.backward()
    return J


def neuron() -> Value:
    w, x, b = Parameter(0.5, "w"), Value(1.0, "x"), Parameter(-0.2, "b")
    y = tanh(w * x + b)
    y.label = "y"
    y.backward()
    return y


def texts(svg: str, style: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter(f"{SVG}text") if e.get("class") == style]


# --- what a picture says ---


@given(expressions())
@settings(max_examples=30)
def test_a_box_for_each_value_an_arrow_for_each_operand(expression: Expression) -> None:
    """Boxes are the values in topological order; arrows are the operands that are Values, both of `a + a` too."""
    root = expression(*expression.values())
    root.backward()
    order = topological_order(root)
    pic = picture(root)
    assert len(pic.boxes) == len(order)
    expected = [
        (order.index(arg), i, k)
        for i, node in enumerate(order)
        for k, arg in enumerate(node.args)
        if isinstance(arg, Value)
    ]
    assert [(arrow.tail, arrow.head, arrow.operand) for arrow in pic.arrows] == expected
    source = draw_dot(root).source
    assert [f"n{i}" for i in range(len(order))] == sorted(set(re.findall(r"^\t*(n\d+) \[", source, re.M)), key=number)
    assert len(re.findall(r"^\t*n\d+:e -> n\d+:w \[", source, re.M)) == len(expected)


def number(name: str) -> int:
    return int(name[1:])


def test_words_of_a_neuron(any_dot: str) -> None:
    """Glyph or leaf name, `name = data`, `∇ grad`, `×local` on each arrow, the chain rule in its tooltip."""
    svg = to_svg(neuron())
    assert texts(svg, "glyph") == ["×", "+", "tanh"]
    assert texts(svg, "name") == ["w", "x", "b"]
    assert texts(svg, "gradient") == ["∇ +0.9151", "∇ +0.4576", "∇ +0.9151", "∇ +0.9151", "∇ +0.9151", "∇ +1"]
    assert "<tspan>y</tspan> = 0.2913</text>" in svg
    local = [text.split("local", 1) for text in texts(svg, "local")]
    assert [rest.rpartition("×")[2] for _, rest in local] == ["1", "0.5", "1", "1", "0.915"]
    assert "<title>∂(w * x) / ∂x: upstream 0.9151 × local 0.5 = 0.4576</title>" in svg
    assert "<title>∂y / ∂(0.5 + b): upstream 1 × local 0.9151 = 0.9151</title>" in svg
    assert "<title>y = 0.2913126124515909\ntanh(0.3)\n∇ 1.0</title>" in svg


def test_both_arrows_of_a_plus_a(any_dot: str) -> None:
    """Each carries upstream × local = 1, and they are drawn apart."""
    a = Value(2.0, "a")
    b = a + a
    b.backward()
    svg = to_svg(b)
    arrows = [e for e in ElementTree.fromstring(svg).iter(f"{SVG}g") if "arrow" in (e.get("class") or "")]
    assert [e.findtext(f"{SVG}title") for e in arrows] == ["∂(a + a) / ∂a: upstream 1 × local 1 = 1"] * 2
    assert len({e.find(f"{SVG}path").get("d") for e in arrows}) == 2  # type: ignore[union-attr]
    assert texts(svg, "gradient") == ["∇ +2", "∇ +1"]


def test_before_backward() -> None:
    """Gradients are "not yet", not 0, and arrows have neither sign nor size."""
    pic = picture(net(2, [2, 1], backward=False))
    assert {box.gradient for box in pic.boxes} == {"∇ not yet"}
    assert {box.tone.sign for box in pic.boxes} == {"none"}
    assert {arrow.tone.name for arrow in pic.arrows} == {"zero"}
    assert all("upstream" not in arrow.tooltip and "local" in arrow.tooltip for arrow in pic.arrows)
    svg = to_svg(net(2, [2, 1], backward=False))
    assert "Backward has not run yet" in svg
    assert len(texts(svg, "waiting")) == len(pic.boxes)


a = Value(2.0, "a")


@pytest.mark.parametrize(
    ("value", "glyph"),
    [
        (a * 2, "× 2"),
        (2 * a, "2 ×"),
        (1 / a, "1 ÷"),
        (a - 0.5, "− 0.5"),
        (a**2, "x²"),
        (a**-0.5, "x⁻⁰·⁵"),
        (2**a, "2ʸ"),
        (a**a, "xʸ"),
        (-a, "−"),
        (leaky_relu(a), "leaky_relu(·, 0.01)"),
        (maximum(a, 0), "max(·, 0)"),
        (maximum(0, a, 1, 2), "max"),
        (clamp(a, -1, 1), "clamp(·, −1, 1)"),
        (where(a > 1, a, 2), "where(1, ·, 2)"),
        (tinygrad_sq.logsumexp(a, 1), "log Σ exp"),
        (tinygrad_sq.dot([a], [3.0], 1.0), "Σ w x + b"),
        (tinygrad_sq.dot([a], [3.0]), "Σ w x"),
    ],
    ids=lambda p: p if isinstance(p, str) else "",
)
def test_constants_stand_in_the_glyph(value: Value, glyph: str) -> None:
    """A constant is no box: it stands in its operation's glyph, where it stands in the formula."""
    pic = picture(value)
    assert pic.boxes[-1].glyph == glyph
    assert [box.name or box.glyph for box in pic.boxes[:-1]] == ["a"]


@pytest.mark.parametrize("op", table.rows.values(), ids=lambda op: op.name)
def test_every_row_is_drawn_by_its_symbol(op: Op) -> None:
    """Nothing but the row says how it is drawn."""
    count = op.arity if isinstance(op.arity, int) else max(op.arity.start, 1)
    root = tinygrad_sq.value.record(op, tuple(Value(0.5, f"x{i}") for i in range(count)))
    box = picture(root).boxes[-1]
    assert box.glyph == op.symbol
    assert "x0" in box.tooltip


VALUES = ("input", "parameter", "target", "operation")


def test_roles() -> None:
    """A Parameter is a parameter, what is made under "target" a target, any other leaf an input; all look different."""
    pic = picture(net(1, [1]))
    roles = {box.name or box.glyph: box.role for box in pic.boxes}
    assert roles["W1[0,0]"] == roles["b1[0]"] == "parameter"
    assert roles["y[0]"] == "target"
    assert roles["x[0]"] == "input"
    assert roles["z2[0]"] == roles["J"] == "operation"
    with scope("target"), scope("first"):
        inner = Value(1.0, "y")
    assert picture(inner).boxes[0].role == "target"
    for look in (FILL, STROKE):
        for theme in (0, 1):
            assert len({look[role][theme] for role in ROLES}) == len(ROLES)
    svg = to_svg(net(1, [1]))
    shapes = {role: re.search(rf'class="{role} outline" d="([^"]*)"', svg)[1] for role in VALUES}  # type: ignore[index]
    assert len({re.sub(r"[-\d.]+", "#", shape) for shape in shapes.values()}) == 3
    assert "a9 9 " in shapes["parameter"]
    assert "a1.5 1.5 " in shapes["operation"]
    assert set(texts(svg, "caption")) >= set(VALUES)


def test_the_root_has_two_edges() -> None:
    """And no other box has."""
    svg = to_svg(neuron())
    outlines = re.findall(r'<g class="value">(.*?)</g>', svg, re.S)
    assert [value.count(" outline") for value in outlines] == [1, 1, 1, 1, 1, 2]
    assert draw_dot(neuron()).source.count("peripheries=2") == 1


def test_no_gradient_flows() -> None:
    """The branch that `where` did not take: a dashed arrow, without a number, that says so."""
    a, b = Value(1.0, "a"), Value(2.0, "b")
    y = where(a, a, b)
    y.backward()
    condition, taken, other = picture(y).arrows
    assert (condition.tone.sign, taken.tone.sign, other.tone.sign) == ("none", "pos", "none")
    assert (condition.local, taken.local, other.local) == ("", "×1", "")
    assert other.tooltip == "where(a, a, b): no gradient flows to b"
    svg = to_svg(y)
    assert svg.count('class="arrow none') == 2
    assert len(texts(svg, "local")) == 1
    assert draw_dot(y).source.count("style=dashed") == 2


@pytest.mark.parametrize(
    ("x", "name"),
    [
        (1.0, "pos6"), (-1.0, "neg6"), (0.32, "pos6"), (0.31, "pos5"), (-0.11, "neg5"), (0.09, "pos4"), (0.02, "pos3"),
        (0.005, "pos2"), (0.003, "pos1"), (-5e-324, "neg1"), (0.0, "zero"), (-0.0, "zero"), (math.inf, "pos6"),
        (-math.inf, "neg6"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_steps_of_colour(x: float, name: str) -> None:
    """Half a decade a step, six a sign, from the largest down."""
    assert tone(x, 1.0).name == name
    assert tone(x * 2.0**40, 2.0**40).name == name or abs(x) < 1e-300


def test_values_that_are_not_finite() -> None:
    """NaN and inf are shown as such; the scale is that of what is finite, and its legend names what is not."""
    y = Value(math.nan, "n") * Value(math.inf, "i")
    y.backward()
    pic = picture(y)
    assert [box.gradient for box in pic.boxes] == ["∇ +inf", "∇ nan", "∇ +1"]
    assert [box.tone.name for box in pic.boxes] == ["pos6", "nan", "pos6"]
    assert pic.largest == 1.0
    assert 'class="chip nan"' in to_svg(y)
    assert "nan" in legend(y)
    assert {"∇ −inf, −1", "+1, +inf"} <= legend(y)
    x = Value(2.0, "x")
    y = x * math.inf
    y.backward()
    assert {"∇ −inf, −1", "+1, +inf"} <= legend(y)
    assert "nan" not in legend(y)
    assert {"∇ −1", "+1"} <= legend(neuron())


def legend(root: Value) -> set[str]:
    """The words of small size, those of the legend among them."""
    return {
        text.text or ""
        for text in ElementTree.fromstring(to_svg(root)).iter(f"{SVG}text")
        if text.get("class") == "caption"
    }


def test_description() -> None:
    """`<title>` and `<desc>` say in words what there is to see."""
    root = ElementTree.fromstring(to_svg(neuron()))
    assert root.findtext(f"{SVG}title") == "Computation graph of y"
    assert root.findtext(f"{SVG}desc") == (
        "y = 0.2913, at the end of a graph of 2 parameters, 1 input, 3 operations. Each box shows its gradient and "
        "each arrow a local derivative; the largest finite gradient or contribution is 1 in size."
    )
    assert root.get("role") == "img"
    assert root.get("width") is root.get("height") is None
    assert len(root.get("viewBox", "").split()) == 4


# --- labels ---

HOSTILE = [
    "</text><script>alert(1)</script>",
    "a\"b\\n\\N\\G{x}|y<&>'",
    "权重\n矩阵",
    "\x00\x1b\ud800]]>",
    "<b>bold</b>",
    "--><!--",
]


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_are_text(label: str, any_dot: str) -> None:
    """Whatever a label is, it is shown as text: of a leaf, of an operation, of a group, in tooltips."""
    with scope(label):
        x = Value(1.0, label)
        y = x * 2
        y.label = label
    y.backward()
    svg = to_svg(y)
    root = ElementTree.fromstring(svg)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
        "svg", "title", "desc", "style", "rect", "g", "path", "polygon", "text", "tspan"
    }  # fmt: skip
    assert texts(svg, "name") == [shown(label)]
    assert shown(label) in texts(svg, "caption")
    assert f"{shown(label)} = 2" in ["".join(e.itertext()) for e in root.iter(f"{SVG}text")]
    assert b"</svg>" in dot.run(draw_dot(y).source, "svg")


@given(st.text())
def test_shown_labels_are_printable(label: str) -> None:
    """One line, not too long, and only characters that XML 1.0 has."""
    line = shown(label)
    assert len(line) <= 24
    assert ElementTree.fromstring(f"<a>{line.replace('&', '&amp;').replace('<', '&lt;')}</a>").text == (line or None)
    assert "\n" not in line


def test_wide_characters_get_room() -> None:
    """A Chinese character is about as wide as two Latin ones."""
    assert text_width("权重", 10.0) >= 20.0 > text_width("ab", 10.0)
    narrow, wide = (picture(Value(1.0, label)).boxes[0].width for label in ("abcd", "权重矩阵"))
    assert wide > narrow + 10.0


@pytest.mark.parametrize(
    ("text", "advance"),
    [("ab", 2 * 0.54), ("mW", 2 * 0.88), ("A", 0.70), ("é", 0.70), ("il.", 3 * 0.34), ("权重", 2.0), ("", 0.0)],
)
def test_width_of_a_text(text: str, advance: float) -> None:
    """The advances of its characters, and some slack, more for a bold one."""
    assert text_width(text, 10.0) == pytest.approx(10.4 * advance)
    assert text_width(text, 10.0, bold=True) == pytest.approx(11.2 * advance)


def test_a_box_has_room_for_its_words() -> None:
    """For its glyph, bold, of 14 pt or, of a leaf, 11; and for the wider of its cells; with 7 pt on either side; two
    rows high, or more."""
    w, *_, y = picture(neuron()).boxes
    assert y.glyph_width == text_width("tanh", 14.0, bold=True) + 14.0
    assert y.columns == (text_width("y = 0.2913", 11.0, bold=True) + 14.0,)
    assert y.width == y.glyph_width + y.columns[0]
    assert w.glyph_width == text_width("w", 11.0, bold=True) + 14.0
    assert w.columns == (text_width("∇ +0.9151", 11.0) + 14.0,)
    cell = (Cell("1"),)
    assert [box_of("part", "", (cell,) * n, (), "", 11.0).height for n in (1, 2, 3)] == [38.0, 38.0, 56.0]
    assert SMALL_SIZE == 9.5


def test_cells_of_a_box() -> None:
    """Its name and its number are in the first cell of the first row, its gradient in the first cell of the last."""
    cells = [Cell(f"text {k}", f"name {k}", Tone("pos", k + 1)) for k in range(6)]
    wide = box_of("part", "", tuple(zip(cells[::2], cells[1::2])), (), "", 11.0)
    assert (wide.name, wide.data, wide.gradient, wide.tone) == ("name 0", "text 0", "text 4", Tone("pos", 5))
    one = box_of("part", "", ((Cell("text"),),), (), "", 11.0)
    assert (one.name, one.data, one.gradient, one.tone) == ("", "text", "text", Tone("none"))


def test_boxes_of_a_kind_line_up() -> None:
    """In one group, boxes of one role, operations of one glyph, are as wide as the widest, and so are their glyphs,
    and their columns, of those that have as many; a box outside of all groups is as it was."""
    long, short_ = Cell("a long text"), Cell("text")

    def part(glyph: str, cells: tuple[Cell, ...], *scope_: str, role: str = "part") -> Box:
        return box_of(role, glyph, (cells,), scope_, "", 11.0)

    one, other, two, elsewhere, operation, loose = boxes = [
        part("neuron 10", (short_,), "layer 2", "a"),
        part("n", (long,), "layer 2", "b"),
        part("n", (short_, long), "layer 2"),
        part("n", (short_,), "layer 3"),
        part("+", (short_,), "layer 2", role="operation"),
        part("n", (short_,)),
    ]
    made = aligned(boxes)
    assert {b.glyph_width for b in made[:3]} == {one.glyph_width}
    assert two.columns[0] + two.columns[1] > other.columns[0]
    assert [b.columns for b in made[:3]] == [(sum(two.columns),)] * 2 + [two.columns]
    assert made[3:] == [elsewhere, operation, loose]
    operations = aligned([operation, part("tanh", (long,), "layer 2", role="operation")])
    assert operations[0] == operation
    alike = aligned([operation, part("+", (long,), "layer 2", role="operation")])
    assert alike[0].columns == alike[1].columns == (long.width,)
    wide = part("n", (Cell("a text longer than the two others are together, and more"),), "layer 2")
    shared = aligned([two, wide])
    assert shared[1] == wide
    share = (wide.columns[0] - two.columns[0] - two.columns[1]) / 2
    assert shared[0].columns == pytest.approx([two.columns[0] + share, two.columns[1] + share])


def test_clusters_are_the_scopes_and_what_is_around_them() -> None:
    """Each scope in which something stands once, outer ones before inner ones."""
    with scope("a"), scope("b"), scope("c"):
        x = Value(1.0)
    with scope("a"):
        y = x * 2.0
    assert picture(y).groups == {"cluster0": ("a",), "cluster1": ("a", "b"), "cluster2": ("a", "b", "c")}


def test_tooltips() -> None:
    """In full what the box has in few digits: the number, the formula or role, the scopes, the gradient."""
    with scope("layer 2"), scope("neuron 0"):
        w = Parameter(1 / 3, "w" * 130)
        y = w * 2.0
    y.backward()
    leaf, product = picture(y).boxes
    assert leaf.tooltip == f"{'w' * 119}… = {1 / 3!r}\nparameter\nlayer 2, neuron 0\n∇ 2.0"
    assert product.tooltip == f"{2 / 3!r}\n{'w' * 23}… * 2\nlayer 2, neuron 0\n∇ 1.0"
    total = tinygrad_sq.total([Value(0.5, f"x{k}") for k in range(40)])
    formula = picture(total).boxes[-1].tooltip.split("\n")[1]
    assert formula.startswith("total([x0, x1, ")
    assert (len(formula), formula[-1]) == (120, "…")
    (unnamed, _) = picture(tanh(Value(0.25))).boxes
    assert unnamed.tooltip == "0.25\ninput\n∇ not yet: backward has not run"
    assert (unnamed.glyph, unnamed.name, unnamed.data) == ("input", "", "0.25")


def test_words_on_arrows() -> None:
    """×local in three digits; whose derivative, by the label, or the formula in parentheses if it binds loosely, or the
    number; upstream × local once backward has run."""
    x = Value(1 / 3, "x")
    y = (x + 1.0) * Value(1.23456)
    before = picture(y).arrows
    assert [(a.local, a.tooltip) for a in before] == [
        ("×1", "∂(x + 1) / ∂x: local 1"),
        ("×1.23", "∂(1.333 * 1.235) / ∂(x + 1): local 1.235"),
        ("×1.33", "∂(1.333 * 1.235) / ∂1.235: local 1.333"),
    ]
    assert [(a.id, a.door) for a in before] == [("e1_0", "d1_0"), ("e3_0", "d3_0"), ("e3_1", "d3_1")]
    y.backward()
    assert [a.local for a in picture(y).arrows] == [a.local for a in before]
    assert picture(tanh(x)).arrows[0].tooltip == "∂tanh(x) / ∂x: local 0.8966"
    assert picture(tanh(x)).title == "Computation graph of tanh"


def test_the_scale_is_that_of_the_largest() -> None:
    """Of all gradients, and of all contributions, which may cancel in them; of what is not 0 and finite."""
    a = Value(3.0, "a")
    y = a * 4.0 - a * 5.0
    y.backward()
    assert picture(y).largest == 5.0
    assert [arrow.tone.name for arrow in picture(y).arrows if arrow.tail == 0] == ["pos6", "neg6"]
    y = a * 0.125 - 1.0
    y.grad = 0.25
    a.grad = 0.03125
    assert picture(y).largest == 0.25
    y = a * 1.0
    y.grad = math.inf
    assert picture(y).largest == 0.03125
    y.grad = math.nan
    a.grad = 0.0
    assert picture(y).largest == 1.0


@pytest.mark.parametrize(
    ("x", "few", "with_sign"),
    [(1.23456, "1.235", "+1.235"), (-0.5, "−0.5", "−0.5"), (0.0, "0", "0"), (-0.0, "0", "0"), (0.25, "0.25", "+0.25")],
)
def test_numbers(x: float, few: str, with_sign: str) -> None:
    """Four digits, a minus sign as wide as a plus, no sign for 0."""
    assert (short(x), signed(x)) == (few, with_sign)


def test_long_labels_are_cut() -> None:
    """24 characters are shown; of more, 23 and dots."""
    assert shown("x" * 24) == "x" * 24
    assert shown("x" * 25) == "x" * 23 + "…"


# --- where it stands ---


def laid_out(root: Value, rankdir: str) -> Any:
    """What Graphviz answers."""
    return json.loads(dot.run(draw_dot(root, rankdir=rankdir).source, "json"))


def off_the_curve(route: Route) -> float:
    """How far the middle of the label is from the arrow's curve."""
    assert route.label
    points = []
    for a, b, c, d in zip(route.curve[::3], route.curve[1::3], route.curve[2::3], route.curve[3::3]):
        for t in (i / 400 for i in range(401)):
            pairs = (*zip(a, b), *zip(b, c), *zip(c, d))
            while len(pairs) > 2:  # de Casteljau
                mixed = [(1 - t) * p + t * q for p, q in pairs]
                pairs = tuple(zip(mixed[:-2], mixed[2:]))
            points.append([(1 - t) * p + t * q for p, q in pairs])
    return min(math.dist(point, route.label) for point in points)


def check_layout(root: Value, rankdir: str, answer: Any) -> Layout:
    """Boxes do not overlap, stand in their groups, and arrows lead from box to box."""
    pic = picture(root)
    layout = arrange(pic, plan(pic), answer, rankdir)
    extents = [
        (x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)
        for box, (x, y) in zip(pic.boxes, layout.boxes)
    ]
    for (l0, t0, r0, b0), (l1, t1, r1, b1) in combinations(extents, 2):
        assert r0 <= l1 or r1 <= l0 or b0 <= t1 or b1 <= t0
    for box, (left, top, right, bottom) in zip(pic.boxes, extents):
        for scope_ in pic.groups.values():
            (x0, y0), (x1, y1) = layout.groups[scope_]
            x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
            if box.scope[: len(scope_)] == scope_:
                assert x0 < left < right < x1
                assert y0 < top < bottom < y1
            else:
                assert right <= x0 or x1 <= left or bottom <= y0 or y1 <= top
    for arrow, route in zip(pic.arrows, layout.routes):
        left, top, right, bottom = extents[arrow.head]
        x, y = route.tip
        assert left - 4.0 <= x <= right + 4.0
        assert top - 4.0 <= y <= bottom + 4.0
        left, top, right, bottom = extents[arrow.tail]
        assert math.dist(route.curve[-1], route.tip) == pytest.approx(ARROWHEAD)
        x, y = route.curve[0]
        assert top <= y <= bottom if rankdir == "LR" else left <= x <= right
        u = 0 if rankdir == "LR" else 1
        along = [point[u] for point in route.curve]
        assert extents[arrow.tail][u] <= min(along) <= max(along) <= extents[arrow.head][u + 2]
        assert route.label is None or off_the_curve(route) < 1.0
    return layout


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
@pytest.mark.parametrize("sizes", [[1], [3, 1], [4, 4, 2], [8, 3]], ids=str)
def test_nets(sizes: list[int], rankdir: str, any_dot: str) -> None:
    """Layers in columns, neurons in the order of their index, leaves in that of the formula, no arrow turns back."""
    root = net(2, sizes)
    pic = picture(root)
    layout = check_layout(root, rankdir, laid_out(root, rankdir))
    u, v = (0, 1) if rankdir == "LR" else (1, 0)
    place = {box.name or box.glyph: point for box, point in zip(pic.boxes, layout.boxes) if box.scope != ("loss",)}
    n_in = 2
    for l, size in enumerate(sizes, 1):
        for letter in (f"z{l + 1}", f"a{l + 1}", f"b{l}"):
            units = [place[f"{letter}[{i}]"] for i in range(size)]
            assert len({point[u] for point in units}) == 1
            assert [point[v] for point in units] == sorted(point[v] for point in units)
        for i in range(size):
            leaves = [place[f"W{l}[{i},{j}]"] for j in range(n_in)] + [place[f"b{l}[{i}]"]]
            assert [point[v] for point in leaves] == sorted(point[v] for point in leaves)
            assert place[f"z{l + 1}[{i}]"][v] == pytest.approx(place[f"a{l + 1}[{i}]"][v])
            assert place[f"z{l + 1}[{i}]"][v] == pytest.approx((leaves[0][v] + leaves[-1][v]) / 2)
        n_in = size
    columns = [
        place["x[0]"][u],
        *(place[f"{name}[0]"][u] for l in range(1, len(sizes) + 1) for name in (f"z{l + 1}", f"a{l + 1}")),
    ]
    assert columns == sorted(columns)
    check_columns(layout, u, ["input", *(f"layer {l}" for l in range(2, len(sizes) + 2)), "loss"])
    for route in layout.routes:
        along = [point[u] for point in route.curve]
        assert along == sorted(along)
    for arrow, route in zip(pic.arrows, layout.routes):
        assert route.label is not None
        x, y = route.label
        half = text_width(arrow.local, SMALL_SIZE) / 2
        for box, (left, top) in zip(pic.boxes, layout.boxes):
            assert abs(x - left) >= half + box.width / 2 or abs(y - top) >= SMALL_SIZE / 2 + box.height / 2
        assert route.label[1 - u] in [pytest.approx(point[1 - u]) for point in route.curve]


def check_columns(layout: Layout, u: int, names: list[str]) -> None:
    """Each group begins where the one before has ended."""
    edges = [edge for name in names for edge in sorted(corner[u] for corner in layout.groups[name,])]
    assert edges == sorted(edges)


def tangled() -> Value:
    """No net: arrows over several columns, that cross; four of them at one box."""
    a, b, c = (Value(x, name) for x, name in ((1.0, "a"), (2.0, "b"), (3.0, "c")))
    norm = tinygrad_sq.sqrt(a**2 + b**2 + c**2)
    root: Value = tinygrad_sq.log(1 + tinygrad_sq.exp(-a * b)) / norm + tinygrad_sq.maximum(a, b) * tinygrad_sq.dot(
        [a, b], [b, c]
    )
    return root


def damped() -> Value:
    k, t, w = Value(0.5, "k"), Value(1.2, "t"), Value(3.0, "w")
    root: Value = tinygrad_sq.exp(-k * t) * tinygrad_sq.cos(w * t) + 0.1 * t**2
    return root


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
@pytest.mark.parametrize("graph", [tangled, damped])
def test_labels_of_what_is_no_net(graph: Any, rankdir: str, any_dot: str) -> None:
    """Every arrow has its label, which lies on it and covers no box and no other label."""
    root = graph()
    root.backward()
    pic = picture(root)
    layout = check_layout(root, rankdir, laid_out(root, rankdir))
    extents = [(*middle, box.width, box.height) for box, middle in zip(pic.boxes, layout.boxes)]
    for arrow, route in zip(pic.arrows, layout.routes):
        assert route.label, arrow.tooltip
        x, y = route.label
        width = text_width(arrow.local, SMALL_SIZE)
        for left, top, breadth, height in extents:
            assert abs(x - left) >= (width + breadth) / 2 or abs(y - top) >= (SMALL_SIZE + height) / 2
        extents.append((x, y, width, SMALL_SIZE))


def test_no_label_where_all_is_taken() -> None:
    """Of arrows that lie on one another, as many have labels as stand beside one another there."""
    x = Value(0.5, "x")
    root: Value = tinygrad_sq.dot([x] * 20, [tanh(tanh(x))] * 20)
    root.backward()
    answer = laid_out(root, "LR")
    long = [edge for edge in answer["edges"] if edge["tail"] != edge["head"] and "lp" in edge]
    curve = max((edge["pos"] for edge in long), key=lambda pos: len(pos.split()))
    for edge in long:
        if len(edge["pos"].split()) == len(curve.split()):
            edge["pos"] = curve
    routes = check_layout(root, "LR", answer).routes
    labels = [route.label for route in routes if route.label]
    assert 3 < len(labels) < len(routes)
    assert len(set(labels)) == len(labels)


def test_no_label_without_a_free_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arrow on a long way that finds no place along its whole curve has no label; those with a level part have."""
    a, b = Value(1.0, "a"), Value(2.0, "b")
    root = tanh(tanh(tanh(a * b))) * a + b
    root.backward()
    answer = laid_out(root, "LR")

    def labels() -> list[Any]:
        pic = picture(root)
        return [route.label for route in arrange(pic, plan(pic), answer, "LR").routes]

    before = labels()
    monkeypatch.setattr("tinygrad_sq.study.route._Taken.covered", lambda taken, middle, extent: {0})
    after = labels()
    assert None not in before
    assert 0 < after.count(None) < len(after)
    assert all(late in (early, None) for early, late in zip(before, after))


def test_columns_hold_what_has_time(any_dot: str) -> None:
    """A long way from a leaf to its group's result does not begin beside the group before."""
    with scope("first"):
        a = tanh(Value(0.5, "x"))
    with scope("second"):
        p = Parameter(0.3, "p")
        q: Value = p
        for _ in range(4):
            q = tanh(q)
        b = a * q + p
    with scope("third"):
        root = tanh(b)
    check_columns(check_layout(root, "LR", laid_out(root, "LR")), 0, ["first", "second", "third"])


def skip_connection() -> Value:
    with scope("input"):
        x = [Value(v, f"x{i}") for i, v in enumerate((0.5, -0.3, 0.8))]
    with scope("block 1"):
        u = [tanh(v * 2) for v in x]
    with scope("block 2"):
        w = [tanh(t) + 0.5 for t in u]
    with scope("block 3"):
        return tinygrad_sq.total([p + q for p, q in zip(w, x)])


def attention() -> Value:
    with scope("input"):
        x = [Value(0.5, "x0"), Value(-0.3, "x1")]
    heads = []
    with scope("attention"):
        shared = Parameter(0.7, "shared")
        for k in range(2):
            with scope(f"head {k}"):
                q = [Parameter(0.2 * j, f"q{k}[{j}]") for j in range(2)]
                heads.append(tinygrad_sq.dot([a * b for a, b in zip(q, x)], q, shared))
        with scope("mix"):
            return heads[0] * heads[1]


def circular_scopes() -> Value:
    with scope("A"):
        a = Value(1.0, "a")
        b = a * 2
    with scope("B"):
        c = b + 1
    with scope("A"):
        return c * a


def unscoped_between() -> Value:
    with scope("A"):
        a = tanh(Value(1.0, "a"))
        aa = tanh(Value(2.0, "aa"))
    b = a * aa * Value(3.0, "loose")
    with scope("B"):
        return tanh(b) * Parameter(1.0, "p") + tanh(b * b) - a


def one_to_many() -> Value:
    with scope("input"):
        x = Value(0.5, "x")
    with scope("fan"):
        w = Parameter(1.0, "w")
        return tinygrad_sq.total([w * x, w + x, w - x, w / x])


def leaves_beside_an_operation() -> Value:
    with scope("group"):
        c = [Parameter(float(i), f"c{i}") for i in range(4)]
        b = tanh(Value(1.0, "a"))
        return tinygrad_sq.total([*c[:2], b, *c[2:]])


def groups_one_after_the_other() -> Value:
    with scope("group"):
        with scope("first"):
            a = tanh(Value(1.0, "a"))
        with scope("second"):
            b = tanh(a)
    return b


GRAPHS = [
    skip_connection,
    attention,
    circular_scopes,
    unscoped_between,
    one_to_many,
    neuron,
    lambda: Value(1.0),
    leaves_beside_an_operation,
    groups_one_after_the_other,
]


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_any_graph(graph: Any, rankdir: str, any_dot: str) -> None:
    """Scopes that nest, that lie behind one another, that depend on each other; boxes outside of all."""
    root = graph()
    root.backward()
    pic = picture(root)
    check_layout(root, rankdir, laid_out(root, rankdir))
    svg = to_svg(root, rankdir=rankdir)
    assert len(re.findall('<g class="value">', svg)) == len(pic.boxes)
    assert len(re.findall('<g class="arrow', svg)) == len(pic.arrows)
    for style, parity in (("group", 1), ("subgroup", 0)):
        assert svg.count(f'<rect class="{style}"') == sum(len(scope_) % 2 == parity for scope_ in pic.groups.values())


def test_what_labels_mean() -> None:
    """It is said in tooltips, in the description, and below the legend, where all of it is inside the view."""
    words = {"x[0]": "<b>a & b</b>", "a2[0]": "class\n红", "y[0]": "c" * 200}
    meanings = Meanings("t.csv, row 1: " + "長" * 80, words, ["x[0] = <b>a & b</b>", "a2[0] = class\n红", "y[0] = ccc"])
    root = net(1, [1])
    for pic in picture(root), picture_of(root, "neuron"):
        told = with_meanings(pic, meanings)
        tooltips = "\n".join(box.tooltip for box in told.boxes)
        for line in ("x[0]: <b>a & b</b>", "a2[0]: class 红", f"y[0]: {'c' * 119}…"):
            assert tooltips.splitlines().count(line) == 1
        assert [box.tooltip.splitlines()[-1] for box in told.boxes] == [
            box.tooltip.splitlines()[-1] for box in pic.boxes
        ]
        svg = ElementTree.fromstring(render(told, layout(told, "LR")))
        texts = {text.text: text for text in svg.iter(f"{SVG}text")}
        left, _, width, _ = map(float, svg.attrib["viewBox"].split())
        lines = [f"t.csv, row 1: {'長' * 45}…", "x[0] = <b>a & b</b>", "a2[0] = class 红", "y[0] = ccc"]
        for line in lines:
            assert float(texts[line].attrib["x"]) + text_width(line, 9.5) < left + width
        assert (svg.findtext(f"{SVG}desc") or "").endswith("; ".join(lines) + ".")


def test_a_small_picture_is_as_wide_as_its_title() -> None:
    """What stands below the legend is inside the view, even if it is wider than the picture and the legend."""
    pic = with_meanings(picture(tanh(Value(0.5, "x"))), Meanings("長" * 80, {}, []))
    svg = ElementTree.fromstring(render(pic, layout(pic, "LR")))
    left, _, width, _ = map(float, svg.attrib["viewBox"].split())
    *_, text = svg.iter(f"{SVG}text")
    assert float(text.attrib["x"]) + text_width("長" * 59 + "…", 9.5) < left + width


def test_what_stands_between_leaves_is_not_run_over() -> None:
    """Leaves are not put in order across an operation, wherever Graphviz puts that."""
    root = leaves_beside_an_operation()
    answer = laid_out(root, "LR")
    items = {item["name"]: item for item in answer["objects"]}
    boxes = {box.name or box.glyph: f"n{i}" for i, box in enumerate(picture(root).boxes)}
    column = sorted((boxes[name] for name in ("c0", "c1", "c2", "c3", "tanh")), key=lambda name: height(items[name]))
    middle, b = items[column[2]], items[boxes["tanh"]]
    middle["pos"], b["pos"] = b["pos"], middle["pos"]
    layout = check_layout(root, "LR", answer)
    assert layout.boxes[number(boxes["tanh"])][1] == pytest.approx(layout.boxes[-1][1])


def height(item: Any) -> float:
    return float(item["pos"].split(",")[1])


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_everything_is_inside_the_view(rankdir: str) -> None:
    """The viewBox holds every coordinate, the legend too."""
    root = ElementTree.fromstring(to_svg(net(2, [3, 1]), rankdir=rankdir))
    left, top, width, height = map(float, root.get("viewBox", "").split())
    for element in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(element.get(name, "")) for name in ("x", "y", "width", "height"))
        assert left <= x <= x + w <= left + width + 0.2
        assert top <= y <= y + h <= top + height + 0.2
    for element in root.iter(f"{SVG}text"):
        assert left < float(element.get("x", "")) < left + width
        assert top < float(element.get("y", "")) < top + height


def test_crowded_arrows_have_no_labels() -> None:
    """Where many arrows leave one box for boxes of many arrows there is no room for numbers; tooltips have them."""
    xs = [Value(0.1 * i, f"x{i}") for i in range(6)]
    root = tinygrad_sq.total([tinygrad_sq.dot(xs, xs[::-1]) for _ in range(6)])
    root.backward()
    svg = to_svg(root)
    assert len(texts(svg, "local")) < len(picture(root).arrows) == 6 * 12 + 6
    assert svg.count("upstream") >= 78


def test_a_label_on_a_short_way() -> None:
    """Where the label is wider than the way, it stands on the middle of it."""
    with scope("a"):
        x = Value(1.0, "x")
    with scope("b"):
        pass
    y = tanh(x * 1.23e-200)
    y.backward()
    assert len(texts(to_svg(y, rankdir="TB"), "local")) == 2


# --- the style sheet ---


def linear(colour: str) -> list[float]:
    """Red, green and blue as amounts of light."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def product(row: Iterable[float], light: Iterable[float]) -> float:
    return sum(a * b for a, b in zip(row, light))


def luminance(colour: str) -> float:
    return product((0.2126, 0.7152, 0.0722), linear(colour))


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme: int) -> None:
    """Text on every colour has the contrast of 4.5 that WCAG 2 asks for; lines on the page have 3."""
    for name, colours in FILL.items():
        if name not in ("ink", "muted"):
            assert contrast(FILL["ink"][theme], colours[theme]) >= 4.5, name
    for name in ("page", "group", "subgroup", *ROLES):
        assert contrast(FILL["muted"][theme], FILL[name][theme]) >= 4.5, name
    for name in (*ROLES, "pos", "neg"):
        assert contrast(STROKE[name][theme], FILL["page"][theme]) >= 3.0, name


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_steps_differ_in_lightness(theme: int) -> None:
    """Each step is farther from the page than the one before, for those who see no hue; the last ones differ in hue."""
    for sign in ("pos", "neg"):
        away = [contrast(FILL[f"{sign}{step}"][theme], FILL["page"][theme]) for step in range(1, STEPS + 1)]
        assert away == sorted(set(away))


# What is left of red, green and blue without the cones for long, middle or short waves (Machado et al. 2009).
EYES = {
    "all cones": [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)],
    "protanopia": [(0.1523, 1.0526, -0.2049), (0.1145, 0.7863, 0.0992), (-0.0039, -0.0481, 1.0520)],
    "deuteranopia": [(0.3673, 0.8606, -0.2280), (0.2801, 0.6725, 0.0474), (-0.0118, 0.0429, 0.9689)],
    "tritanopia": [(1.2555, -0.0767, -0.1788), (-0.0784, 0.9308, 0.1476), (0.0047, 0.6914, 0.3039)],
}


def cielab(colour: str, eye: str) -> tuple[float, float, float]:
    rgb = [min(1.0, max(0.0, product(row, linear(colour)))) for row in EYES[eye]]
    xyz = [(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)]
    shares = [product(row, rgb) / sum(row) for row in xyz]  # of those of white
    x, y, z = (math.cbrt(t) if t > 0.008856 else 7.787 * t + 16 / 116 for t in shares)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_classes_are_told_apart(eye: str, theme: int) -> None:
    """The colours of any two classes differ by 9 in CIELAB even at 40 % on the page."""
    soft = [cielab(mix(FILL["page"][theme], kind[theme], 0.4), eye) for kind in KINDS]
    for colour, other in combinations(soft, 2):
        assert math.dist(colour, other) > 9.0


def test_both_themes_style_the_same() -> None:
    """The dark theme is a table of colours for the selectors of the light one, and touches this picture alone."""
    light, _, dark = css().partition("@media (prefers-color-scheme:dark){")
    selectors = re.findall(r"^(.*)\{", dark, re.M)
    assert len(selectors) > 30
    assert set(selectors) <= set(re.findall(r"^(.*)\{", light, re.M))
    alone, *selectors = re.findall(r"^([^@}].*)\{", css(), re.M)
    assert alone == ":root.tinygrad-sq"  # a file of its own, not a picture in a page
    assert all(selector.startswith(".tinygrad-sq ") for selector in selectors)
    used = set(re.findall(r'class="([^"]*)"', to_svg(net(2, [2, 1]))))
    styled = set(re.findall(r"\.([a-z]\w*)", light)) | {"tinygrad-sq", "value", "gradient"}
    assert {name for names in used for name in names.split()} <= styled


# --- files, sizes, determinism ---


def test_same_bytes_in_every_process() -> None:
    """The graph alone decides the DOT text and the SVG, whatever PYTHONHASHSEED is."""
    program = (
        "import sys, test_draw as t; from tinygrad_sq import draw_dot, to_svg;"
        "sys.stdout.buffer.write((draw_dot(t.net(2, [3, 2])).source + to_svg(t.net(2, [3, 2]))).encode())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert b"digraph" in outputs.pop()


def chain(length: int) -> Value:
    v = Value(1.0)
    for _ in range(length):
        v = v + 1.0
    return v


def test_too_large_a_graph() -> None:
    """More than 3,000 values are refused, however deep the graph, unless forced."""
    with pytest.raises(TooLargeError, match=r"200,001 values .* at most 3,000: .*to_svg\(.*'auto'\).*force=True"):
        to_svg(chain(200_000), detail="value")
    with pytest.raises(TooLargeError):
        draw_dot(chain(3000), detail="value")
    with pytest.raises(TooLargeError):
        picture(chain(3000))
    assert draw_dot(chain(3000), detail="value", force=True).source.count(" -> ") == 3000
    assert draw_dot(chain(2999), detail="value").source.count(" -> ") == 2999


def test_arguments() -> None:
    """Errors say what was wrong and what was expected."""
    with pytest.raises(TypeError, match=r"expected a Value to draw, got float 1\.0"):
        draw_dot(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"rankdir is 'LR' .* or 'TB' .*, got 'RL'"):
        to_svg(neuron(), rankdir="RL")


def test_large_graphs_are_laid_out_with_less_care() -> None:
    """Above 400 values Graphviz is told not to spend minutes."""
    assert "nslimit" in draw_dot(chain(400), detail="value").source
    assert "nslimit" not in draw_dot(chain(399), detail="value").source


def test_loaded_when_asked_for() -> None:
    """`import tinygrad_sq` loads no graphviz; `tinygrad_sq.draw_dot` does; other names are refused as ever."""
    program = (
        "import sys, tinygrad_sq; assert 'graphviz' not in sys.modules;"
        "tinygrad_sq.draw_dot; tinygrad_sq.to_svg; assert 'graphviz' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert tinygrad_sq.draw_dot is draw_dot
    assert tinygrad_sq.to_svg is to_svg
    with pytest.raises(AttributeError, match="no attribute 'draw'"):
        _ = tinygrad_sq.draw  # type: ignore[attr-defined]


def test_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook shows a Value as its picture, and as its repr where that cannot be had."""
    y = neuron()
    assert y._repr_svg_() == to_svg(y)
    monkeypatch.setenv("TINYGRAD_SQ_DOT", "no-such-dot")
    assert notebook_svg(y) is None


# --- finding and running Graphviz ---


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without any Graphviz."""

    def not_found(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.delenv("TINYGRAD_SQ_DOT", raising=False)
    monkeypatch.setattr(metadata, "distribution", not_found)
    monkeypatch.setenv("PATH", "")
    return monkeypatch


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_order_of_search(nothing_installed: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TINYGRAD_SQ_DOT, then graphviz-pure, then the path."""
    on_path, pure, chosen = (script(tmp_path / name, "") for name in ("dot", "graphviz-pure", "mine"))
    nothing_installed.setenv("PATH", str(tmp_path))
    assert dot.executable() == str(on_path)
    files = [located("RECORD", chosen), located("graphviz-pure-licence", chosen), located("bin/graphviz-pure", pure)]
    distribution = SimpleNamespace(files=files)
    nothing_installed.setattr(metadata, "distribution", lambda name: distribution)
    assert dot.executable() == str(pure)
    nothing_installed.setenv("TINYGRAD_SQ_DOT", str(chosen))
    assert dot.executable() == str(chosen)
    nothing_installed.setenv("TINYGRAD_SQ_DOT", str(tmp_path / "missing"))
    with pytest.raises(dot.DotError, match=r"TINYGRAD_SQ_DOT is .*missing.* no executable"):
        dot.executable()


class _Located(PurePosixPath):
    """As importlib.metadata's PackagePath: a path that knows where it was installed."""

    place: Path

    def locate(self) -> Path:
        return self.place


def located(path: str, place: Path) -> _Located:
    file = _Located(path)
    file.place = place
    return file


def test_none_installed(nothing_installed: pytest.MonkeyPatch) -> None:
    """The error names the pip command and the DOT text, which is there all the same."""
    with pytest.raises(dot.DotError, match=r"pip install graphviz-pure(.|\n)*draw_dot\(root\)\.source"):
        to_svg(neuron())
    assert draw_dot(neuron()).source.startswith("digraph")


def test_damaged_installation(nothing_installed: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A graphviz-pure whose file list or executable is gone is passed over."""
    for files in (None, [located("bin/graphviz-pure", tmp_path / "gone")]):
        distribution = SimpleNamespace(files=files)
        nothing_installed.setattr(metadata, "distribution", lambda name, found=distribution: found)
        with pytest.raises(dot.DotError, match="pip install"):
            dot.executable()


def test_dot_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What dot said is in the error; so is its silence, its slowness, and that it is no program."""
    cases = [
        ("echo bad syntax >&2; exit 1", "failed with code 1: bad syntax"),
        ("exit 3", "failed with code 3: no message"),
    ]
    for text, message in cases:
        monkeypatch.setenv("TINYGRAD_SQ_DOT", str(script(tmp_path / "dot", text)))
        with pytest.raises(dot.DotError, match=message):
            dot.run("digraph {}", "svg")
    monkeypatch.setenv("TINYGRAD_SQ_DOT", str(script(tmp_path / "dot", "exec sleep 60")))
    with pytest.raises(dot.DotError, match=r"still laying the graph out after 0\.1 s"):
        dot.run("digraph {}", "svg", timeout=0.1)
    no_program = tmp_path / "no-program"
    no_program.write_bytes(b"\x00\x01")
    no_program.chmod(0o755)
    monkeypatch.setenv("TINYGRAD_SQ_DOT", str(no_program))
    with pytest.raises(dot.DotError, match="does not run"):
        dot.run("digraph {}", "svg")

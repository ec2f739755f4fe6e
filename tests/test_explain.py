"""`explain`: its steps are the backward pass, bit for bit; its formulas are the numbers beside them; it shows
what was recorded."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import Any
from xml.etree import ElementTree

import pytest
from expressions import Expression, Step
from hypothesis import example, given, settings
from hypothesis import strategies as st
from processes import output_under_any_hash_seed
from strategies import expressions, fitting, operand_counts
from test_formula import well_formed

import tinygrad_sq
from tinygrad_sq import (
    MLP,
    Value,
    detect_anomaly,
    dot,
    explain,
    half_squared_error,
    no_grad,
    replay,
    table,
    tanh,
    where,
)
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op
from tinygrad_sq.study.formula import LATEX
from tinygrad_sq.study.names import Names
from tinygrad_sq.study.sheet import mathml
from tinygrad_sq.value import adjoints

NAMES: dict[str, Any] = {name: getattr(tinygrad_sq, name) for name in table.rows} | {"inf": math.inf, "nan": math.nan}


def same(x: float, y: float) -> bool:
    """The same bits, where any NaN is NaN."""
    return repr(x) == repr(y)


def net() -> tuple[Value, dict[str, Value]]:
    """J of one sample on a 2-2-1 net, and its values by their labels."""
    model = MLP(2, [2, 1], activation="tanh", output_activation="sigmoid", seed=0)
    J = half_squared_error(model([Value(0.5, "x[0]"), Value(-0.25, "x[1]")]), [Value(0.25, "y[0]")])
    J.label = "J"
    return J, {v.label: v for v in topological_order(J) if v.label}


# --- the steps ---


@settings(max_examples=150, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=9))
def test_the_steps_are_the_backward_pass(e: Expression) -> None:
    """Each upstream gradient is ∂y/∂node, each contribution the product, each sum the one before and the contribution;
    what is left at the end is what `backward` gives, bit for bit, and all edges of the graph were walked once."""
    xs = e.values()
    y = e(*xs)
    everything = explain(y)
    expected = adjoints(y)
    sums = dict.fromkeys(expected, -0.0)
    sums[y] = 1.0
    for step in everything:
        assert same(step.upstream, expected[step.node])
        assert step.node.args[step.operand] is step.arg
        assert step.local is step.node.partials[step.operand]
        if step.local is not None:
            assert step.contribution is not None
            assert same(step.contribution, step.upstream * step.local)
            assert same(step.before, sums[step.arg])
            assert same(step.after, step.before + step.contribution)
        sums[step.arg] = step.after
    assert all(same(sums[v], expected[v]) for v in expected)
    edges = {(v, k) for v in expected for k, arg in enumerate(v.args) if isinstance(arg, Value) and reached(y)[v]}
    assert sorted(map(id_of, everything)) == sorted((id(v), k) for v, k in edges)
    y.backward()
    assert all(same(everything.gradients[x], x.grad) for x in xs if x in expected)


def id_of(step: Any) -> tuple[int, int]:
    return id(step.node), step.operand


def reached(y: Value) -> dict[Value, bool]:
    """Whether a gradient arrives at each value."""
    found = dict.fromkeys(topological_order(y), False)
    found[y] = True
    for node in reversed(list(found)):
        for arg, local in zip(node.args, node.partials):
            if found[node] and local is not None and isinstance(arg, Value):
                found[arg] = True
    return found


@settings(max_examples=100, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=9), data=st.data())
def test_one_gradient_is_a_part_of_the_whole(e: Expression, data: st.DataObject) -> None:
    """By one value of the graph, a leaf or not: the steps of the whole pass on the ways to it, in their order, and the
    gradient that `backward` gives, bit for bit."""
    y = e(*e.values())
    w = data.draw(st.sampled_from(topological_order(y)))
    on_the_way = {v for v in topological_order(y) if w in topological_order(v)}
    one, whole = explain(y, wrt=w), explain(y)
    assert [step[:-1] for step in one] == [step[:-1] for step in whole if step.arg in on_the_way]
    y.backward()
    assert same(one.gradient, w.grad)
    counts = [(step.place, step.of) for step in one if step.arg is w and step.local is not None]
    assert counts == [(k, len(counts)) for k in range(1, len(counts) + 1)]


def test_contributions_are_counted() -> None:
    """a + a: two contributions, 1 of 2 and 2 of 2; what is not taken is not one."""
    a = Value(3.0, "a")
    e = explain(a + a, a)
    assert [(step.operand, step.contribution, step.before, step.after, step.place, step.of) for step in e] == [
        (0, 1.0, 0.0, 1.0, 1, 2),
        (1, 1.0, 1.0, 2.0, 2, 2),
    ]
    assert e.gradient == 2.0
    assert " ".join(str(e).split("\n")[2].split()) == "1 y = a + a 6 1 a 1 1 1 1 of 2 1"
    chosen = explain(where(Value(0.0), a, a * 2.0), a)
    assert [(step.contribution, step.place, step.of) for step in chosen] == [(None, 0, 1), (1.0, 1, 1), (2.0, 1, 1)]


def test_several_values() -> None:
    """A gradient for each of several values, in their order, those within the graph too; none is named twice."""
    J, values = net()
    wrt = [values[name] for name in ("b2[0]", "z2[0]", "W1[0,1]", "b2[0]")]
    e = explain(J, wrt=iter(wrt))
    J.backward()
    assert list(e.gradients.items()) == [(w, w.grad) for w in wrt[:3]]
    assert {step.arg.label for step in e} >= {"b2[0]", "a2[0]", "z2[0]", "W1[0,1]"}
    assert not {step.arg.label for step in e} & {"a2[1]", "W2[0,0]", "x[0]"}
    with pytest.raises(ValueError, match=r"^expected one value to differentiate by, got 3: see \.gradients$"):
        _ = e.gradient


def test_it_is_a_sequence() -> None:
    """Steps by index and slice, their number, and a step in one line."""
    J, values = net()
    e = explain(J, values["z3[0]"])
    assert len(e) == 4
    assert e[1:] == list(e)[1:]
    assert repr(e[3]) == "Step(∂a3[0]/∂z3[0] = a3[0] * sigmoid(-z3[0]): 0.249243 × 0.249999 = 0.0623106, 1 of 1)"
    a, b = Value(1.0, "a"), Value(2.0, "b")
    assert repr(explain(where(a, a, b), b)[0]) == "Step(∂y/∂b: no gradient flows)"


def test_nothing_is_changed() -> None:
    """No grad is read or set, under no_grad and detect_anomaly too."""
    J, values = net()
    with no_grad():
        first = str(explain(J))
    with detect_anomaly():
        assert str(explain(J)) == first
    assert all(v.grad == 0.0 for v in values.values())
    J.backward()
    before = [v.grad for v in values.values()]
    assert str(explain(J)) == first
    assert [v.grad for v in values.values()] == before


def test_infinities_and_nan_are_shown() -> None:
    """1/0 and 0 · inf are what they are."""
    x = Value(0.0, "x")
    e = explain(1.0 / x, x)
    assert (e[0].local, e.gradient) == (-math.inf, -math.inf)
    assert str(e).endswith("∂y/∂x = -inf")
    e = explain(table.log(x) * x, x)
    assert math.isnan(e.gradient)
    assert str(e).endswith("∂y/∂x = -inf + nan = nan")


# --- what there is to say when there is little to say ---


def test_no_way_to_it() -> None:
    """y itself; what y does not depend on; what no gradient flows to: a sentence each, with the gradient."""
    a, b, c = Value(1.0, "a"), Value(2.0, "b"), Value(3.0, "c")
    y = where(a, a, b)
    assert str(explain(y, y)).strip() == "∂y/∂y = 1"
    assert str(explain(y, c)).strip() == "y does not depend on c: ∂y/∂c = 0"
    assert str(explain(y, tanh(c) * 2.0)).strip() == "y does not depend on tanh(c) * 2: ∂y/∂(tanh(c) * 2) = 0"
    assert str(explain(y, b)).split("\n")[-1] == "No gradient flows from y to b: ∂y/∂b = 0"
    assert "b        no gradient flows" in str(explain(y, b))
    assert explain(y, b).gradient == explain(y, c).gradient == 0.0
    assert str(explain(a)).strip() == "∂a/∂a = 1"


@pytest.mark.parametrize(
    ("y", "wrt", "message"),
    [
        (1.5, None, "explain takes the Value to differentiate, got float 1.5"),
        (Value(1.0), "w", "wrt is a Value or several, got str 'w'"),
        (Value(1.0), [Value(1.0), 2], "wrt is a Value or several, got int 2"),
        (Value(1.0), 3, "wrt is a Value or several, got int 3"),
    ],
)
def test_what_is_no_value(y: Any, wrt: Any, message: str) -> None:
    """What is wrong is named, with what was expected."""
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        explain(y, wrt)


def test_changed_data() -> None:
    """Numbers that no longer belong together are not shown; replay() makes them do so again."""
    w, x = Value(0.0, "w"), Value(2.0, "x")
    z = w * x
    z.label = "z"
    y = tanh(z)
    x.data = 3.0  # z is still 0: it is the partial that has changed
    with pytest.raises(
        ValueError, match=r"^the mul node z is 0\.0, but its operands were changed after the forward pass"
    ):
        explain(y, w)
    assert explain(replay(y), w).gradient == 3.0
    y = table.log(Value(-1.0, "x"))  # NaN is no change
    assert math.isnan(explain(y).gradient)


# --- the formulas ---


@pytest.mark.parametrize("row", table.rows.values(), ids=lambda row: row.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_formulas_of_local_derivatives(row: Op, data: st.DataObject) -> None:
    """Evaluated by Python, the formula of every partial of every row is the number beside it."""
    xs = data.draw(st.sampled_from(operand_counts(row, 3)).flatmap(partial(fitting, row)))
    leaves = [Value(x, f"v{k}") for k, x in enumerate(xs)]
    y: Value = Expression(xs, (Step(row, tuple(range(len(xs)))),))(*leaves)
    if data.draw(st.booleans()):
        y.label = "v"
    names = NAMES | {"y": y.data, "v": y.data} | {leaf.label: leaf.data for leaf in leaves}
    for step in explain(y):
        if step.local is not None:
            assert step.formula
            if step.formula.text == "…":
                continue
            assert well_formed(step.formula.latex)
            number = float(eval(step.formula.text, names))
            assert math.isclose(number, step.local, rel_tol=1e-5, abs_tol=1e-5), step


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("x**2", {"x": "2 * x"}),
        ("x**3", {"x": "3 * x**2"}),
        ("a / (a + b)", {"a": "1", "b": "1", "a + b": "-y / (a + b)"}),
        ("log(x)", {"x": "1 / x"}),
        ("exp(x) + 1.0", {"x": "exp(x)"}),
        ("exp(x)", {"x": "y"}),
        ("sqrt(x)", {"x": "0.5 / y"}),
        ("tanh(x)", {"x": "sech(x)**2"}),
        ("relu(x)", {"x": "step(x)"}),
        ("a**b", {"a": "b * a**(b - 1)", "b": "y * log(a)"}),
        ("(a + b) * x", {"a": "1", "b": "1", "a + b": "x", "x": "a + b"}),
        ("x / 3.0", {"x": "0.333333"}),
        ("leaky_relu(x, b)", {"x": "1", "b": "0"}),
        ("dot([a, b], [x, 2.0], 1.0)", {"a": "x", "b": "2", "x": "a"}),
        ("where(less(a, b), a, 2.0)", {"a": "1"}),
    ],
)
def test_formulas(formula: str, names: dict[str, str]) -> None:
    """What is written is what a person would write: the branch taken, no power of 1, parentheses where needed."""
    variables = {name: Value(x, name) for name, x in (("a", 2.0), ("b", 3.0), ("x", 0.5))}
    y = eval(formula, NAMES | variables)
    written = {e.names[e.arg].text: e.formula.text for e in explain(y) if e.formula}
    assert {name: written[name] for name in names} == names


def test_names() -> None:
    """A label; a number; a short formula; y for the root, unless that is taken; t1, t2 for what is long and has a row
    or a line of its own; dots for what is long within something else."""
    x, y, a = Value(0.5, "x"), Value(2.0, "y"), Value(0.25)
    long = tanh(x * 2.0) + tanh(x * 3.0) + tanh(x * 4.0)
    e = explain(long * y, y)
    assert [step.names[step.node].text for step in e] == ["t1 * y"]
    assert "where t1 = tanh(x * 2) + tanh(x * 3) + tanh(x * 4) = 2.63077" in str(e)
    assert e[0].formula == ("t1", "t_{1}")
    e = explain(tanh(long) + a, a)
    assert "where t1 = tanh(…) = 0.98" in str(e)
    assert str(e).endswith("∂y/∂0.25 = 1")
    e = explain(tanh(tanh(long) + x) + a, a)
    assert "where t1 = tanh(tanh(…) + x) = " in str(e)
    e = explain(a + y, a)
    assert str(e).endswith("∂(0.25 + y)/∂0.25 = 1")
    v = x / 0.0
    assert explain(v)[0].formula == ("1 / 0", r"\frac{1}{0}")


def test_long_formulas_are_cut() -> None:
    """A dot of 200 weights is one line of words; a partial with 60 operands in it is dots."""
    xs = [Value(0.5 + k, f"x[{k}]") for k in range(200)]
    z = dot(xs, xs)
    z.label = "z"
    e = explain(z, xs[0])
    assert e.names.definition(z) == ("z = Σ w x + b of 401 operands", r"z = \text{Σ w x + b of 401 operands}")
    m = table.maximum(xs[:60])
    assert explain(m, xs[59])[0].formula == ("…", r"\ldots")


@pytest.mark.parametrize(("length", "long"), [(32, False), (33, True)])
def test_names_of_33_characters_are_too_long(length: int, long: bool) -> None:
    """Up to 32 a name is written out: then it is t1 for what is told elsewhere, and dots for the others."""
    v = Value(1.0, "v" * (length - 4)) + Value(2.0, "b")
    y = tanh(v)
    written = f"{'v' * (length - 4)} + b"
    order = topological_order(y)
    assert Names(order, (), y)[v] == (("…", r"\ldots") if long else (written, rf"\text{{{'v' * (length - 4)}}} + b"))
    told = Names(order, (v,), y)
    assert (told[v].text, told.parts, told.is_given(v)) == (("t1", [v], True) if long else (written, [], False))
    assert told.is_given(y)
    assert not told.is_given(order[0])
    assert [told.binds_loosely(u) for u in order] == [False, False, not long, False]


@pytest.mark.parametrize(("length", "long"), [(200, False), (201, True)])
def test_formulas_of_201_characters_are_too_long(length: int, long: bool) -> None:
    """Up to 200 a formula is written out: then there are words for an operation, and dots for a derivative."""
    x, w = Value(0.5, "x" * (length - len("tanh()"))), Value(2.0, "w" * length)
    y, z = tanh(x), x * w
    assert explain(y).names.definition(y).text == ("y = tanh of 1 operands" if long else f"y = tanh({x.label})")
    formula = explain(z, x)[0].formula
    assert formula is not None
    assert formula.text == ("…" if long else w.label)


def test_constants_in_formulas() -> None:
    """A derivative that is a constant has six digits."""
    x = Value(0.5, "x")
    assert explain(x * 0.123456789)[0].formula == ("0.123457", "0.123457")


# --- what it looks like ---


def test_a_table_of_a_net() -> None:
    """E5, E6 and E7 in numbers, line by line."""
    J, values = net()
    assert re.sub(" {2,}", " | ", str(explain(J, values["W1[0,1]"]))) == GOLDEN


GOLDEN = """\
The chain rule from J back to W1[0,1]: contribution = upstream × local derivative
step | value | data | upstream | operand | local derivative | = | contribution
 | 1 | J = total([half_square(y[0] - a3[0])]) | 0.031061 | 1 | half_square(y[0] - a3[0]) | 1 | 1 | 1
 | 2 | half_square(y[0] - a3[0]) | 0.031061 | 1 | y[0] - a3[0] | y[0] - a3[0] | -0.249243 | -0.249243
 | 3 | y[0] - a3[0] | -0.249243 | -0.249243 | a3[0] | -1 | -1 | 0.249243
 | 4 | a3[0] = sigmoid(z3[0]) | 0.499243 | 0.249243 | z3[0] | a3[0] * sigmoid(-z3[0]) | 0.249999 | 0.0623106
 | 5 | z3[0] = dot([W2[0,0], W2[0,1]], [a2[0],… | -0.00302816 | 0.0623106 | a2[0] | W2[0,0] | 0.0225494 | 0.00140507
 | 6 | a2[0] = tanh(z2[0]) | 0.212172 | 0.00140507 | z2[0] | sech(z2[0])**2 | 0.954983 | 0.00134182
 | 7 | z2[0] = dot([W1[0,0], W1[0,1]], [x[0], … | 0.215445 | 0.00134182 | W1[0,1] | x[1] | -0.25 | -0.000335454

∂J/∂W1[0,1] = -0.0003354543233"""


def test_a_table_with_sums() -> None:
    """Where an operand has several users, two columns say which contribution it is, and the sum."""
    w, x = Value(-3.0, "w"), Value(2.0, "x")
    e = explain((w * x + 1.0) * x, x)
    assert str(e) == repr(e) == GOLDEN_SUMS


GOLDEN_SUMS = """\
The chain rule from y back to x: contribution = upstream × local derivative
step  value                data  upstream  operand    local derivative   =  contribution    part  sum
   1  y = (w * x + 1) * x   -10         1  w * x + 1  x                  2             2            2
   2                                       x          w * x + 1         -5            -5  1 of 2   -5
   3  w * x + 1              -5         2  w * x      1                  1             2            2
   4  w * x                  -6         2  x          w                 -3            -6  2 of 2  -11

∂y/∂x = -5 + (-6) = -11"""


def test_long_tables_are_cut() -> None:
    """The first and the last rows, how many are left out between them, and all of them if asked."""
    x = v = Value(1.0, "x")
    for _ in range(100):
        v = v + x
    e = explain(v)
    lines = str(e).split("\n")
    assert len(lines) == 1 + 30 + 1 + 30 + 3
    assert lines[32].split() == ["...", "140", "steps", "more"]
    assert lines[31].split()[0] == "30"
    assert lines[33].split()[0] == "171"
    assert len(e.text(limit=None).split("\n")) == 2 + 200 + 2
    assert "steps more" not in e.text(limit=200)
    rows = ElementTree.fromstring(e.html(limit=5)).findall(".//tr")
    assert [len(row) for row in rows] == [10] * 7
    assert [row.count(" & ") for row in e.latex(limit=5).split(r" \\ ")] == [9] * 7
    assert [line.split()[0] for line in e.text(limit=3).split("\n")[2:6]] == ["1", "2", "...", "200"]
    assert lines[-1] == "∂y/∂x = 101, the sum of 101 contributions"


def test_long_lists_are_cut() -> None:
    """Twelve results and twelve named parts are listed, and how many results are not."""
    xs = [Value(float(k), f"x{k}") for k in range(15)]
    text = str(explain(dot(xs, [1.0] * 15)))
    assert text.count("∂y/∂x") == 12
    assert text.endswith("... and 3 more")
    assert "more" not in str(explain(dot(xs[:12], [1.0] * 12)))
    x = Value(1.0, "x")
    assert str(explain(x * (1 / 3) + x * (1 / 7), x)).endswith("∂y/∂x = 0.142857 + 0.333333 = 0.4761904762")
    assert str(explain(dot([x] * 6, [1.0] * 6), x)).endswith("∂y/∂x = 1 + 1 + 1 + 1 + 1 + 1 = 6")
    assert str(explain(dot([x] * 7, [1.0] * 7), x)).endswith("∂y/∂x = 7, the sum of 7 contributions")
    y = Value(1.0, "y")
    e = explain(table.total([(tanh(x * 1.234567) + tanh(y + 1.2345)) * y for x in xs]), y)
    assert str(e).count("where t") == 0
    e = explain(table.dot([tanh(x * 1.234567) + tanh(x + 1.2345) for x in xs], [y] * 15), y)
    assert str(e).count("where t") == 12


def test_columns_line_up() -> None:
    """Numbers to the right, words to the left; a Chinese character takes two columns, an accent over another none."""
    x, w = Value(-2.0, "学习率"), Value(1 / 3, "e\u0301")
    e = explain(x * w, [x, w])
    assert str(e) == GOLDEN_WIDE
    assert e.latex() == GOLDEN_LATEX
    page = ElementTree.fromstring(e.html())
    headings = page.findall("table/thead/tr/th")
    assert [(th.text, th.get("scope"), th.get("class")) for th in headings] == [
        (name, "col", None if name in ("value", "operand", "local derivative") else "number")
        for name in ("step", "value", "data", "upstream", "operand", "local derivative", "=", "contribution")
    ]
    for row in page.findall("table/tbody/tr"):
        assert [td.get("class") for td in row] == [th.get("class") for th in headings]
    spans = [(span.get("title"), span.text) for span in page.findall("table/tbody/tr[1]/td/span")]
    assert spans == [
        (repr(-2.0 / 3), "−0.666667"), ("1.0", "1"), (repr(1 / 3), "0.333333"), (repr(1 / 3), "0.333333")
    ]  # fmt: skip
    assert [p.get("class") for p in page.findall("p")] == [None, "heading", None]


GOLDEN_WIDE = """\
The chain rule from y back to 2 values: contribution = upstream × local derivative
step  value                data  upstream  operand  local derivative         =  contribution
   1  y = 学习率 * e\u0301  -0.666667         1  学习率   e\u0301                 0.333333      0.333333
   2                                       e\u0301        学习率                  -2            -2

∂y/∂学习率 = 0.3333333333
∂y/∂e\u0301 = -2"""

GOLDEN_LATEX = (
    "\\begin{array}{l}\n"
    r"\text{The chain rule from }y\text{ back to }\text{2 values}\text{: contribution = upstream × local derivative} \\"
    "\n"
    r"\begin{array}{rlrrllrr} \text{step} & \text{value} & \text{data} & \text{upstream} & \text{operand} & "
    r"\text{local derivative} & \text{=} & \text{contribution} \\ \hline "
    "1 & y = \\text{学习率} \\cdot \\text{e\u0301} & -0.666667 & 1 & "
    "\\text{学习率} & \\text{e\u0301} & 0.333333 & 0.333333 \\\\ "
    "2 &  &  &  & \\text{e\u0301} & \\text{学习率} & -2 & -2 \\end{array} \\\\\n"
    "\\frac{\\partial y}{\\partial \\text{学习率}}\\text{ = }0.3333333333 \\\\\n"
    "\\frac{\\partial y}{\\partial \\text{e\u0301}}\\text{ = }-2\n"
    "\\end{array}"
)


def test_sixty_rows() -> None:
    """Unless more are asked for, in text, HTML and LaTeX."""
    x = v = Value(1.0, "x")
    for _ in range(31):
        v = v * x
    e = explain(v)
    assert len(e) == 62
    assert "2 steps more" in e.text()
    assert "2 steps more" in e.html()
    assert e.latex().count(r" \\ ") == 61
    assert "more" not in e.text(limit=62) + e.html(limit=62) + e.latex(limit=62)


def test_html() -> None:
    """One well-formed element with a row for each step, formulas in MathML, and every number in full on hover."""
    J, values = net()
    e = explain(J, values["W1[0,1]"])
    page = ElementTree.fromstring(e.html())
    assert e._repr_html_() == e.html()
    assert len(page.findall(".//tbody/tr")) == len(e)
    assert len(page.findall(".//{http://www.w3.org/1998/Math/MathML}math")) > 2 * len(e)
    titles = {span.get("title") for span in page.iter("span")}
    assert titles >= {repr(x) for step in e for x in (step.upstream, step.local, step.contribution)}


def test_html_of_every_row() -> None:
    """Well formed, for each row of the table, with the row's name whole."""
    for row in table.rows.values():
        n = operand_counts(row, 3)[-1]
        xs = [Value(0.5, f"x[{k}]") for k in range(n)]
        y: Value = Expression((0.5,) * n, (Step(row, tuple(range(n))),))(*xs)
        ElementTree.fromstring(explain(y).html())
    assert "<mi>leaky_relu</mi>" in explain(table.leaky_relu(Value(1.0, "x")) * 1.0).html()


@settings(max_examples=60, deadline=None)
@given(label=st.text(max_size=12) | st.text("\\{}$&<>7 text", max_size=12))
@example(label="</script><img onerror=1>")
@example(label="100 % & $#_{}^~\\")
@example(label="\\text{0}")
@example(label="a\nb")
@example(label="\x00")
@example(label="学习率")
def test_hostile_labels(label: str) -> None:
    """Any label is text and nothing else, in HTML; it leaves the LaTeX well formed and the table in line."""
    x, w = Value(2.0, label), Value(3.0, "w")
    e = explain(x * w, w)
    page = ElementTree.fromstring(e.html())
    assert {element.tag.rpartition("}")[2] for element in page.iter()} <= TAGS
    assert well_formed(e.latex())
    assert len(str(e).split("\n")) == 5


TAGS = {"div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "span", "math", "mrow", "mi", "mn", "mo"}
TAGS |= {"mtext", "msub", "msup", "msubsup", "mfrac"}


def test_words_in_mathml() -> None:
    """Words of a formula are what the label was: each escape undone, each character of HTML escaped."""
    label = "100 % & $#_{}^~\\ <b>"
    assert "<mtext>100 % &amp; $#_{}^~\\ &lt;b&gt;</mtext>" in mathml(LATEX.symbol(label))
    assert f"<mtext>{'x' * 120}</mtext>" in mathml(LATEX.symbol("x" * 120))
    assert f"<mtext>{'x' * 119}…</mtext>" in mathml(LATEX.symbol("x" * 121))


def test_latex() -> None:
    """One array, well formed, and between dollar signs for a notebook."""
    J, _ = net()
    e = explain(J)
    assert well_formed(e.latex())
    assert e.latex().startswith("\\begin{array}{l}\n\\text{The chain rule from }J\\text{ back to }\\text{12 values}")
    assert r"{\operatorname{sech}\left(z^{2}_{0}\right)}^2 & 0.9" in e.latex()
    assert e._repr_latex_() == f"$\\displaystyle {e.latex()}$"
    a, b = Value(1.0, "a"), Value(2.0, "b")
    assert r"1 - \left(" not in explain(a - b, b).latex()
    assert r"1 + \left(-1\right) = 0" in explain(a - a, a).latex().replace(r"\text{ + }", " + ").replace(
        r"\text{ = }", " = "
    )


def test_the_same_bytes_under_any_hash_seed() -> None:
    """Text, HTML and LaTeX do not depend on the process."""
    script = """
from tinygrad_sq import MLP, Value, explain, half_squared_error
J = half_squared_error(MLP(2, [3, 1], "tanh", seed=1)([Value(0.5), Value(0.25, "x")]), [0.1])
e = explain(J)
print(e, e.html(), e.latex())
"""
    assert "∂y/∂W1[0,0]" in output_under_any_hash_seed(script)


def test_deep_graphs() -> None:
    """Without recursion, whatever the depth."""
    x = v = Value(1.0, "x")
    for _ in range(5000):
        v = v + x
    e = explain(v, x)
    assert len(e) == 10000
    assert e.gradient == 5001.0
    assert len(str(e)) < 20000

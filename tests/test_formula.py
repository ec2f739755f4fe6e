"""Values as formulas: the text says what Python would compute, the LaTeX is well formed, the gradient of a net reads as
E5, E6 and E7, and neither is ever longer than the graph."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import mpmath as mp
import pytest
from expressions import Expression, Step
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import expressions, operand_counts

import tinygrad_sq
from tinygrad_sq import MLP, Value, cost, dot, exp, gradient, half_squared_error, table, tanh, total, where
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op
from tinygrad_sq.study.formula import to_latex, to_text

NAMES = {name: getattr(tinygrad_sq, name) for name in table.rows} | {"inf": math.inf, "nan": math.nan}


def evaluate(text: str, names: dict[str, Any]) -> float:
    """What Python makes of a formula: its parts first, the last line first."""
    formula, *parts = text.split("\n")
    names = NAMES | names
    for part in reversed(parts):
        name, _, right = part.removeprefix("  where ").partition(" = ")
        names[name] = eval(right, names)
    return float(eval(formula.rpartition(" = ")[0], names))


@settings(max_examples=150, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=9))
def test_the_text_is_python(e: Expression) -> None:
    """Evaluated, the formula of an expression gives its value: every parenthesis that matters is there."""
    xs = e.values()
    y = e(*xs)
    text = to_text(y)
    with mp.workprec(200):
        assert abs(mp.mpf(evaluate(text, {"x": list(e.leaves)})) - mp.mpf(y.data)) <= 4.0 * e.rounding()
    assert text.split("\n")[0].endswith(f" = {y.data:.10g}")


def well_formed(latex: str) -> bool:
    """Braces, \\left and \\right, \\begin and \\end are paired."""
    depth = 0
    for token in re.findall(r"\\[{}]|[{}]", latex):
        depth += (token == "{") - (token == "}")
        if depth < 0:
            return False
    pairs = (r"\left", r"\right"), (r"\begin{", r"\end{")
    return depth == 0 and all(latex.count(a) == latex.count(b) for a, b in pairs)


@settings(max_examples=150, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=9))
def test_the_latex_is_well_formed(e: Expression) -> None:
    """Of an expression and of its derivatives."""
    xs = e.values()
    y = e(*xs)
    y.label = "J"
    for v in (y, *gradient(y, xs)):
        assert well_formed(to_latex(v)), to_latex(v)


@pytest.mark.parametrize("row", table.rows.values(), ids=lambda row: row.name)
@given(data=st.data())
def test_every_row_has_a_formula_with_all_its_operands(row: Op, data: st.DataObject) -> None:
    """Each operand stands in the text and in the LaTeX, which is well formed."""
    n = data.draw(st.sampled_from(operand_counts(row, 5)))
    xs = [Value(0.5, f"x[{i}]") for i in range(n)]
    y: Value = Expression((0.5,) * n, (Step(row, tuple(range(n))),))(*xs)
    text, latex = to_text(y), to_latex(y)
    assert all(f"x[{i}]" in text and f"x_{{{i}}}" in latex for i in range(n))
    assert well_formed(latex)


a, b = Value(2.0, "a"), Value(-3.0, "b")


@pytest.mark.parametrize(
    ("v", "text", "latex"),
    [
        (a, "a", "a"),
        (Value(1.5), "1.5", "1.5"),
        (Value(-1.5) * a, "-1.5 * a", r"-1.5 \cdot a"),
        (a - (b - a), "a - (b - a)", r"a - \left(b - a\right)"),
        (a - b - a, "a - b - a", "a - b - a"),
        (a / (b / a), "a / (b / a)", r"\frac{a}{\frac{b}{a}}"),
        ((a + b) * a, "(a + b) * a", r"\left(a + b\right) \cdot a"),
        (-(a + b), "-(a + b)", r"-\left(a + b\right)"),
        ((-a) ** 2, "(-a)**2", r"{\left(-a\right)}^{2}"),
        (-(a**2), "-a**2", "-{a}^{2}"),
        (a**-1.0, "a**(-1)", "{a}^{-1}"),
        ((-2.0) ** a, "(-2)**a", r"{\left(-2\right)}^{a}"),
        (a**b**a, "a**b**a", "{a}^{{b}^{a}}"),
        ((a**b) ** a, "(a**b)**a", r"{\left({a}^{b}\right)}^{a}"),
        (exp(a) ** 2, "exp(a)**2", r"{\left(e^{a}\right)}^{2}"),
        (-(a * b), "-(a * b)", r"-\left(a \cdot b\right)"),
        (a / b * a, "a / b * a", r"\frac{a}{b} \cdot a"),
        (-(+(-a)), "--a", "--a"),
        (b**-a, "b**(-a)", "{b}^{-a}"),
        (table.tanh(a) ** 2, "tanh(a)**2", r"{\tanh\left(a\right)}^{2}"),
        (table.tanh(a) * b, "tanh(a) * b", r"\tanh\left(a\right) \cdot b"),
        (table.gaussian(a) ** 2, "gaussian(a)**2", r"{\left(e^{-{a}^2}\right)}^{2}"),
        (table.square(a) ** 2, "(a**2)**2", r"{\left({a}^2\right)}^{2}"),
        (b ** table.square(a), "b**a**2", "{b}^{{a}^2}"),
        (-table.xlogy(a, b), "-xlogy(a, b)", r"-\left(a \ln\left(b\right)\right)"),
        (table.xlogy(a, b) * a, "xlogy(a, b) * a", r"a \ln\left(b\right) \cdot a"),
        (-table.half_square(a), "-half_square(a)", r"-\left(\tfrac{1}{2} {a}^2\right)"),
        (table.half_square(a) * b, "half_square(a) * b", r"\tfrac{1}{2} {a}^2 \cdot b"),
        (a * 0.1, "a * 0.1", r"a \cdot 0.1"),
        (a * (1 / 3), "a * 0.3333333333333333", r"a \cdot 0.3333333333333333"),
        (a + 1e-20, "a + 1e-20", r"a + 1 \cdot 10^{-20}"),
        (1e300**a, "1e+300**a", r"{\left(1 \cdot 10^{300}\right)}^{a}"),
        (a * math.inf, "a * inf", r"a \cdot \infty"),
        (a * -math.inf, "a * -inf", r"a \cdot -\infty"),
        (a * math.nan, "a * nan", r"a \cdot \text{NaN}"),
        (dot([a, 1.0], [b, -2.0], 1.0), "dot([a, 1], [b, -2], 1)", r"a \cdot b + 1 \cdot -2 + 1"),
        (a - dot([a], [b]), "a - dot([a], [b])", r"a - \left(a \cdot b\right)"),
        (total([a, b]) * a, "total([a, b]) * a", r"\left(a + b\right) \cdot a"),
        (table.less(a, b), "(a < b)", r"\left[a < b\right]"),
        (where(a, b, 1.0), "where(a, b, 1)", r"\begin{cases} b & a \\ 1 & \text{else} \end{cases}"),
        (table.leaky_relu(a), "leaky_relu(a, 0.01)", r"\operatorname{leaky\_relu}\left(a, 0.01\right)"),
        (table.hypot(a + b, b), "hypot(a + b, b)", r"\sqrt{{\left(a + b\right)}^2 + {b}^2}"),
        (table.logsumexp(a, b), "logsumexp(a, b)", r"\ln\left(e^{a} + e^{b}\right)"),
    ],
)
def test_formula(v: Value, text: str, latex: str) -> None:
    """Parentheses where they are needed and nowhere else; constants in full."""
    value = f"{v.data:.10g}"
    assert to_text(v) == (text if text == value else f"{text} = {value}")
    assert to_latex(v) == latex


@pytest.mark.parametrize(
    ("v", "in_text", "in_latex"),
    [
        *((v, 1, 1) for v in (a + b, a - b)),
        *((v, 5, 1) for v in (total([a, b]), dot([a], [b]))),
        *((v, 2, 2) for v in (a * b, a / b)),
        *((v, 5, 2) for v in (table.half_square(a), table.xlogy(a, b))),
        (-a, 3, 3),
        *((v, 4, 4) for v in (a**b, table.square(a))),
        *((v, 5, 4) for v in (exp(a), table.gaussian(a))),
        *((v, 5, 5) for v in (tanh(a), abs(a), table.less(a, b), table.hypot(a, b), where(a, b, 1.0))),
    ],
    ids=str,
)
def test_how_tightly_a_formula_binds(v: Value, in_text: int, in_latex: int) -> None:
    """A template that asks for a level puts parentheses around what binds less tightly, and around nothing else."""
    for level in range(1, 6):
        row = Op("primed", lambda x: x, (1.0,), "x'", text=f"{{0:{level}}}'", latex=f"{{0:{level}}}'")
        primed = row(v)
        del table.rows["primed"]
        text, latex = to_text(v).rpartition(" = ")[0], to_latex(v)
        assert to_text(primed).rpartition(" = ")[0] == (f"({text})'" if in_text < level else f"{text}'")
        assert to_latex(primed) == (rf"\left({latex}\right)'" if in_latex < level else f"{latex}'")


@pytest.mark.parametrize(
    ("label", "symbol"),
    [
        ("x", "x"),
        ("W1[0,2]", "W^{1}_{0,2}"),
        ("x[3]", "x_{3}"),
        ("z12[3]", "z^{12}_{3}"),
        ("delta2[0]", r"\text{delta}^{2}_{0}"),
        ("∂J/∂z2[0]", r"\frac{\partial J}{\partial z^{2}_{0}}"),
        ("learning rate", r"\text{learning rate}"),
        ("100 % & $#_{}^~\\", r"\text{100 \% \& \$\#\_\{\}\textasciicircum{}\textasciitilde{}\textbackslash{}}"),
    ],
)
def test_labels_in_latex(label: str, symbol: str) -> None:
    """The derivation's names become its symbols; anything else is text, with what LaTeX would act on escaped."""
    assert to_latex(Value(1.0, label)) == symbol
    y = 2.0 * Value(1.0, label)
    y.label = "y"
    assert to_latex(y) == rf"y = 2 \cdot {symbol}"


def test_the_name_is_said_once() -> None:
    """`name = formula = value`; a named leaf has no formula, a nameless leaf is its value."""
    y = a * 2.0
    y.label = "y"
    assert str(y) == f"{y}" == "y = a * 2 = 4"
    assert f"{y:.2f}" == "4.00"
    assert str(a) == "a = 2"
    assert (str(Value(2.5)), repr(Value(2.5))) == ("2.5", "Value(data=2.5, grad=0.0)")


def test_named_parts_stay_names() -> None:
    """A value with a label is written as its label wherever it is used, and what it is made of is not asked."""
    z = dot([a], [b], 1.0)
    z.label = "z"
    y = tanh(z) + z
    assert to_text(y) == "tanh(z) + z = -5.999909204"
    assert to_latex(y) == r"\tanh\left(z\right) + z"


# --- the gradient of a net reads as the derivation ---


def net() -> dict[str, Value]:
    """J of one sample on a 2-2-2 net, by the labels of its values."""
    model = MLP(2, [2, 2], activation="tanh", output_activation="sigmoid", seed=0)
    x, y = [Value(0.5, "x[0]"), Value(-0.25, "x[1]")], [Value(0.25, "y[0]"), Value(0.75, "y[1]")]
    J = half_squared_error(model(x), y)
    J.label = "J"
    return {v.label: v for v in topological_order(J) if v.label}


@pytest.mark.parametrize(
    ("by", "text"),
    [
        ("a3[0]", "∂J/∂a3[0] = -(y[0] - a3[0])"),
        ("z3[1]", "∂J/∂z3[1] = ∂J/∂a3[1] * a3[1] * sigmoid(-z3[1])"),  # E5, f' = a (1 - a) of the sigmoid
        ("a2[1]", "∂J/∂a2[1] = dot([∂J/∂z3[0], ∂J/∂z3[1]], [W2[0,1], W2[1,1]])"),  # E6, its sum
        ("z2[0]", "∂J/∂z2[0] = ∂J/∂a2[0] * sech(z2[0])**2"),  # E6
        ("W2[0,1]", "∂J/∂W2[0,1] = ∂J/∂z3[0] * a2[1]"),  # E7W
        ("W1[1,0]", "∂J/∂W1[1,0] = ∂J/∂z2[1] * x[0]"),
        ("b2[0]", "∂J/∂z3[0] = ∂J/∂a3[0] * a3[0] * sigmoid(-z3[0])"),  # E7b: it is δ itself
        ("b1[1]", "∂J/∂z2[1] = ∂J/∂a2[1] * sech(z2[1])**2"),
    ],
)
def test_gradients_read_as_e5_e6_e7(by: str, text: str) -> None:
    """E5, E6, E7W and E7b, each as one line of the derivation's names."""
    values = net()
    (g,) = gradient(values["J"], [values[by]])
    assert str(g).rpartition(" = ")[0] == text


@pytest.mark.parametrize(("n", "text"), [(2, "2 * x = 6"), (3, "3 * x**2 = 27"), (-1, "-1 * x**(-2) = -0.1111111111")])
def test_the_derivative_of_a_power(n: int, text: str) -> None:
    """n xⁿ⁻¹, where x to the power 1 is x itself."""
    x = Value(3.0, "x")
    (g,) = gradient(x**n, [x])
    assert to_text(g) == text


def test_e6_and_e7_in_latex() -> None:
    """E6: δ_i^l = (Σ_j δ_j^{l+1} W_ji^l) f'(z_i^l); E7W: ∂J/∂W_ij^l = δ_i^{l+1} a_j^l."""
    values = net()
    da, dz, dW = gradient(values["J"], [values["a2[1]"], values["z2[1]"], values["W2[0,1]"]])
    delta = [rf"\frac{{\partial J}}{{\partial z^{{3}}_{{{j}}}}}" for j in (0, 1)]
    assert to_latex(da) == (
        r"\frac{\partial J}{\partial a^{2}_{1}} = "
        rf"{delta[0]} \cdot W^{{2}}_{{0,1}} + {delta[1]} \cdot W^{{2}}_{{1,1}}"
    )
    assert to_latex(dz) == (
        r"\frac{\partial J}{\partial z^{2}_{1}} = \frac{\partial J}{\partial a^{2}_{1}} \cdot "
        r"{\operatorname{sech}\left(z^{2}_{1}\right)}^2"
    )
    assert to_latex(dW) == rf"\frac{{\partial J}}{{\partial W^{{2}}_{{0,1}}}} = {delta[0]} \cdot a^{{2}}_{{1}}"


def test_e2_and_e3() -> None:
    """z = Σ W a + b as one dot, a = f(z), and the cost with its λ."""
    values = net()
    assert str(values["z2[1]"]).startswith("z2[1] = dot([W1[1,0], W1[1,1]], [x[0], x[1]], b1[1]) = ")
    assert str(values["a2[1]"]).startswith("a2[1] = tanh(z2[1]) = ")
    model = MLP(1, [1], seed=0)
    J = cost(model, [[2.0]], [3.0], lam=0.5)
    assert str(J).startswith("J = total([total([half_square(3 - a2[0])])]) / 1 + 0.25 * dot([W1[0,0]], [W1[0,0]]) = ")


# --- never longer than the graph ---


@pytest.mark.parametrize("write", [to_text, to_latex])
def test_sixty_doublings(write: Callable[[Value], str]) -> None:
    """2^60 paths in 61 nodes: parts that are used again have names, so the formula has at most a line per node."""
    x = Value(1.0, "x")
    v = x
    for _ in range(60):
        v = v + v
    text = write(v)
    assert len(text) < 60 * 40
    assert text.count("where") <= 59
    if write is to_text:
        assert evaluate(text, {"x": 1.0}) == 2.0**60


def test_long_formulas_are_cut_into_parts() -> None:
    """No line is much longer than 120 characters, however long the chain; the parts are in order of use."""
    x = Value(0.5, "x")
    v = x
    for _ in range(200):
        v = tanh(v * 0.5 + 1.0)
    lines = to_text(v).split("\n")
    assert max(map(len, lines)) < 200
    assert re.match(r"tanh\(.*t(\d+).*\) = ", lines[0])
    assert [line.split()[1] for line in lines[1:]] == [f"t{k}" for k in range(len(lines) - 1, 0, -1)]
    assert evaluate(to_text(v), {"x": 0.5}) == v.data


def test_a_hundred_thousand_nodes_deep() -> None:
    """Without recursion, in text of a length that grows with the graph alone."""
    x = v = Value(1.0, "x")
    for _ in range(100_000):
        v = v + x
    assert len(str(v)) < 100_000 * 10
    assert len(to_latex(v)) < 100_000 * 20


def test_only_a_value_has_a_formula() -> None:
    """A number, which functions of numbers give, is refused by name."""
    with pytest.raises(TypeError, match="expected a Value to write as a formula, got int 3"):
        to_latex(3)  # type: ignore[arg-type]

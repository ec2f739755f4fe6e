"""Formulas as text: what is computed, what is refused, and where the error points."""

import ast
from contextlib import suppress
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import formulas, operands

from tinygrad_sq import Value, sech, tanh
from tinygrad_sq.expression import FormulaError, evaluate
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op
from tinygrad_sq.table import rows


@given(formulas, st.fixed_dictionaries({name: st.floats(0.5, 2.0) for name in "xyz"}))
def test_precedence_is_pythons(formula: str, values: dict[str, float]) -> None:
    """A formula of + - * / ** and parentheses has the value that Python gives it."""
    used = {node.id for node in ast.walk(ast.parse(formula)) if isinstance(node, ast.Name)}
    values = {name: x for name, x in values.items() if name in used}
    assert evaluate(formula, values) == eval(formula, {}, values)


@settings(max_examples=20)
@given(st.data())
@pytest.mark.parametrize("op", rows.values(), ids=rows)
def test_reads_what_the_table_writes(op: Op, data: st.DataObject) -> None:
    """For every row, the text that the row is typeset as is parsed back to the row."""
    xs = data.draw(operands(op, largest=100.0, most=5))
    names = [f"x{i}" for i in range(len(xs))]
    text = op.text(*names)
    result = evaluate(text, dict(zip(names, map(Value, xs))))
    assert float(result) == pytest.approx(op.forward(*xs), rel=4e-16, abs=0.0)  # x**2 and x * x differ by an ulp


def test_new_row_can_be_written_at_once() -> None:
    """A row added to the table is a part of formulas, as a function and as an operator, at once."""
    Op("toy_mod", lambda x, y: x % y, (1.0, None), "x mod y", text="{0:2} % {1:3}", arity=2)
    Op("toy_hole", lambda x: x, (1.0,), "what is typeset as no Python at all", text="{0} ∘")
    try:
        assert evaluate("1 + x % 3 + toy_mod(8, 5) + toy_hole(1)", {"x": 5.0}) == 7.0
    finally:
        del rows["toy_mod"], rows["toy_hole"]


def test_is_a_graph_of_the_given_values() -> None:
    """Values go into the graph as they are, constants stay floats, and the graph has one node for each operation."""
    w, x = Value(0.5, "w"), Value(2.0, "x")
    root = evaluate("tanh(w * x + 1)", {"w": w, "x": x})
    assert isinstance(root, Value)
    assert [node.op and node.op.name for node in topological_order(root)] == [None, None, "mul", "add", "tanh"]
    assert [type(arg) for node in topological_order(root) for arg in node.args] == [Value, Value, Value, float, Value]
    assert root.data == tanh(2.0)
    root.backward()
    assert (w.grad, x.grad) == (2.0 * sech(2.0) ** 2, 0.5 * sech(2.0) ** 2)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("1/0", inf),
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("1e3 + 0XF + 1_000", 2015.0),
        ("maximum(x, 3, 2)", 3.0),
        ("dot([x, 2], [3, 4], 5)", 16.0),
        ("total([x])", 1.0),
        ("where(x < 2, 7, 8)", 7.0),
        ("(x > 2) + 2 * (2 > x)", 2.0),
        ("leaky_relu(-x, 0.5)", -0.5),
        (" x\n\t+ 1", 2.0),
    ],
)
def test_values(formula: str, value: float) -> None:
    """Numbers are floats and follow IEEE 754; lists are for the functions that take lists."""
    assert evaluate(formula, {"x": 1.0} if "x" in formula else {}) == value


def test_names_are_those_of_python() -> None:
    """A name may be typed in any of the ways that Python takes for the same: the micro sign is a Greek mu."""
    assert evaluate("\N{MICRO SIGN} + 1", {"\N{GREEK SMALL LETTER MU}": 3.0}) == 4.0
    assert evaluate("\N{GREEK SMALL LETTER MU} + 1", {"\N{MICRO SIGN}": 3.0}) == 4.0


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", "the formula is empty; expected names, numbers"),
        (" ", "the formula is empty; expected names, numbers"),
        (
            "sin x",
            "formula, column 5, 'x': not expected there; a formula has names, numbers, operators and functions",
        ),
        ("|x|", "formula, column 1, '|x|': not expected there"),
        ("x # y\n + 1", "formula, column 3, '# y + 1': not expected there"),
        ("λ*x!", "formula, column 4, '!': not expected there"),
        ("tanh(x x)", "formula, column 6, 'x x)': not expected there"),
        ("2*lambda", "formula, column 3, 'lambda': a word of Python's grammar, and no name"),
        ("x +", "formula, column 4: the formula ends where an operand should stand"),
        ("2x", "formula, column 1: a number and a name side by side; a product is written 2*x"),
        ("x^2", "formula, column 1, 'x^2': the table has no such operator; a power is written x**2"),
        ("(x", "formula, column 1: '(' was never closed"),
        ("x = 1", "formula, column 3, '= 1': not expected there"),
        ("1 + yy", "formula, column 5, 'yy': a name without a value; yy=1 gives it one"),
        ("pi * x", "formula, column 1, 'pi': a name without a value; pi=3.141592653589793 gives it one"),
        ("gamma * x", "formula, column 1, 'gamma': a name without a value; gamma=1 gives it one"),
        ("é * y", "formula, column 1, 'é': a name without a value; é=1 gives it one"),
        ("x*'é' + y", "formula, column 3, \"'é'\": expected names, numbers"),
        ("x + tanh", "formula, column 5, 'tanh': a function: write tanh(...)"),
        ("x + tahn(x)", "formula, column 5, 'tahn(x)': the table has no function 'tahn'; did you mean tan or tanh"),
        ("sum([x])", "formula, column 1, 'sum([x])': the table has no function 'sum'; did you mean total?"),
        ("qqqq(x)", "formula, column 1, 'qqqq(x)': the table has no function 'qqqq'"),
        ("x % 2", "formula, column 1, 'x % 2': the table has no such operator"),
        ("+x", "formula, column 1, '+x': the table has no such operator"),
        ("x < x < x", "expected names, numbers"),
        ("tanh()", "formula, column 1, 'tanh()': tanh takes 1 operand, got 0"),
        ("x + dot([x], [1, 2])", "formula, column 5, 'dot([x], [1, 2])': dot takes two lists of one length"),
        ("dot(x, [1])", "formula, column 1, 'dot(x, [1])': dot takes two lists, dot([a], [b]), got float and list"),
        ("[x] + [x]", "expected a real number"),
        ("[x]", "the formula is a list; expected a single value"),
        ("x + 1" + "0" * 400, "too large for a float"),
        ("1" * 5000, "formula, column "),
        ("x\0", "null bytes"),
        ("x\udcff", "formula, column 2: no character"),
        ("1j", "expected names, numbers"),
        ("True", "expected names, numbers"),
        ("(" * 100 + "x" + ")" * 100 + "+" + "-" * 5000 + "x", "nested too deeply"),
        ("__import__('os').system('true')", "formula, column 1, \"__import__('os').system('true')\": expected names"),
        ("__import__(x)", "the table has no function '__import__'"),
        ("x.data", "formula, column 1, 'x.data': expected names"),
        ("x.__class__(1)", "expected names"),
        ("x[0]", "expected names"),
        ("(lambda: x)()", "expected names"),
        ("[x for x in x]", "expected names"),
        ("x if x else x", "expected names"),
        ("x and x", "expected names"),
        ("(y := x)", "expected names"),
        ("tanh(x, slope=1)", "expected names"),
        ("tanh(*x)", "formula, column 6, '*x': expected names"),
        ("f'{x}'", "expected names"),
        ("print(x)", "the table has no function 'print'"),
    ],
)
def test_errors(formula: str, message: str) -> None:
    """What is not arithmetic on the table is refused, at its column, and nothing of it is executed."""
    with pytest.raises(FormulaError) as error:
        evaluate(formula, {"x": 1.0})
    assert message in str(error.value)


def test_columns_are_characters() -> None:
    """The column of an error counts characters, not the bytes that they are stored in."""
    with pytest.raises(FormulaError, match="column 7, 'y': a name without a value"):
        evaluate("λ*λ + y", {"λ": 1.0})


def test_value_that_is_not_used() -> None:
    """A value without its name in the formula is an error: one of the two is misspelt."""
    with pytest.raises(FormulaError, match="'y' has a value but does not stand in the formula"):
        evaluate("x + 1", {"x": 1.0, "y": 2.0})


@given(st.text() | st.text(alphabet="x1+-*/().,[]= \"'eE_<:{}lambdtnhi"))
def test_any_text(formula: str) -> None:
    """Any text at all has a value or gets a FormulaError."""
    with suppress(FormulaError):
        assert isinstance(evaluate(formula, {}), float)

"""A Value as a formula, in plain text and in LaTeX, typeset by the templates of the table."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

from tinygrad_sq.checks import checked
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import CLOSED, Op
from tinygrad_sq.value import Value

# A part used in several places, or too long to read within another, is written once and given a name.
_LONGEST_REPEATED = 24
_LONGEST = 120


def to_text(v: Value) -> str:
    """`v` as a formula of the named values and leaves that it is made of, and its value: `tanh(w * x + b) = 0.29`.

    Named values inside are left as names. Long or repeated parts are named t1, t2, ... and follow on lines of their
    own, so the text is never longer than the graph.
    """
    (name, formula), *parts = _lines(v, TEXT)
    value = f"{v.data:.10g}"
    first = " = ".join(dict.fromkeys([*([name] if name else []), formula, value]))
    return "\n".join([first, *(f"  where {t} = {part}" for t, part in parts)])


def to_latex(v: Value) -> str:
    """`v` as a LaTeX formula (without dollar signs), under the rules of `to_text`, without the value.

    A label in the derivation's form becomes its symbol: `W1[0,2]` is W^{1}_{0,2}, `∂J/∂z2[0]` a fraction. To see a
    derivative, typeset it: `to_latex(gradient(y, [x])[0])`.
    """
    (name, formula), *parts = _lines(v, LATEX)
    first = f"{name} = {formula}" if name and name != formula else formula
    if not parts:
        return first
    rows = [first, *(rf"\text{{where }} {t} = {part}" for t, part in parts)]
    return r"\begin{array}{l} " + r" \\ ".join(rows) + r" \end{array}"


class Piece(str):
    """A formula that knows how tightly it binds; `{piece:2}` puts parentheses around what binds less tightly than 2."""

    precedence: int
    parentheses: tuple[str, str]

    def __format__(self, least: str) -> str:
        left, right = self.parentheses
        return f"{left}{self!s}{right}" if least and self.precedence < int(least) else str(self)


class Notation(NamedTuple):
    """A way of writing formulas.

    formula, precedence   the columns of a row that it reads
    symbol, number, part  how it writes a label, a constant, and the name of the k-th part that is written once
    """

    formula: Callable[[Op], Callable[..., str]]
    precedence: Callable[[Op], int]
    symbol: Callable[[str], str]
    number: Callable[[float], str]
    part: Callable[[int], str]
    parentheses: tuple[str, str]
    dots: str

    def piece(self, text: str, precedence: int = CLOSED) -> Piece:
        made = Piece(text)
        made.precedence, made.parentheses = precedence, self.parentheses
        return made

    def name(self, label: str) -> Piece:
        return self.piece(self.symbol(label))

    def constant(self, x: float) -> Piece:
        text = self.number(x)
        return self.piece(text, 2 if r"\cdot" in text else 3 if text.startswith("-") else CLOSED)

    def leaf(self, v: Value) -> Piece:
        return self.name(v.label) if v.label else self.constant(v.data)

    def operation(self, op: Op, args: Iterable[Value | float], pieces: Mapping[Value, Piece]) -> Piece:
        """The row's formula, of operands whose own formulas are known."""
        operands = [pieces[arg] if isinstance(arg, Value) else self.constant(arg) for arg in args]
        return self.piece(self.formula(op)(*operands), self.precedence(op))


def _lines(root: Value, notation: Notation) -> list[tuple[str, str]]:
    """(name, formula) of the root, then of each part with a name of its own, users before what they use."""
    order = topological_order(checked(root, Value, "a Value to write as a formula"))
    uses: Counter[Value] = Counter([root])
    for node in reversed(order):
        if uses[node] and (node is root or not node.label):
            uses.update(arg for arg in node.args if isinstance(arg, Value))
    pieces: dict[Value, Piece] = {}
    parts: list[tuple[str, str]] = []
    free = part_numbers(order)
    for node in order:
        if not uses[node]:
            continue
        if node.op is None or (node.label and node is not root):
            pieces[node] = notation.leaf(node)
            continue
        formula = pieces[node] = notation.operation(node.op, node.args, pieces)
        if node is not root and len(formula) > (_LONGEST_REPEATED if uses[node] > 1 else _LONGEST):
            parts.append((notation.part(next(free)), formula))
            pieces[node] = notation.piece(parts[-1][0])
    return [(notation.symbol(root.label) if root.label else "", pieces[root]), *reversed(parts)]


def part_numbers(nodes: Iterable[Value]) -> Iterator[int]:
    """k for each name tk that none of these values has."""
    labels = {node.label for node in nodes}
    return (k for k in count(1) if f"t{k}" not in labels)


def _number(x: float) -> str:
    return f"{x:.6g}" if x == float(f"{x:.6g}") else repr(x)


def _latex_number(x: float) -> str:
    if math.isnan(x):
        return r"\text{NaN}"
    digits, _, exponent = _number(x).replace("inf", r"\infty").partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


def _plain(label: str) -> str:
    return label


_INDEXED = re.compile(r"([A-Za-zα-ω]+)(\d*)\[(\d+(?:,\d+)*)\]")
_DERIVATIVE = re.compile(r"∂(.+)/∂(.+)")
_SPECIAL: dict[str, Any] = {c: "\\" + c for c in "#$%&_{}"} | {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"
}  # fmt: skip
_ESCAPED = {escaped: c for c, escaped in _SPECIAL.items()}


def from_latex_text(text: str) -> str:
    """What a \\text{...} of `to_latex` says."""
    return re.sub("|".join(map(re.escape, _ESCAPED)), lambda match: _ESCAPED[match[0]], text)


def _symbol(label: str) -> str:
    if derivative := _DERIVATIVE.fullmatch(label):
        return rf"\frac{{\partial {_symbol(derivative[1])}}}{{\partial {_symbol(derivative[2])}}}"
    if indexed := _INDEXED.fullmatch(label):
        letter, layer, index = indexed.groups()
        return f"{_symbol(letter)}{f'^{{{layer}}}' if layer else ''}_{{{index}}}"
    if len(label) == 1 and label.isalpha():
        return label
    return rf"\text{{{label.translate(str.maketrans(_SPECIAL))}}}"


TEXT = Notation(
    formula=lambda op: op.text,
    precedence=lambda op: op.precedence,
    symbol=_plain,
    number=_number,
    part=lambda k: f"t{k}",
    parentheses=("(", ")"),
    dots="…",
)
LATEX = Notation(
    formula=lambda op: op.latex,
    precedence=lambda op: op.latex_precedence,
    symbol=_symbol,
    number=_latex_number,
    part=lambda k: f"t_{{{k}}}",
    parentheses=(r"\left(", r"\right)"),
    dots=r"\ldots",
)

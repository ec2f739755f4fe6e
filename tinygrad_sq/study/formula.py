"""A Value as a formula, in plain text and in LaTeX, typeset by the templates of the table."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from tinygrad_sq.graph import topological_order
from tinygrad_sq.table import Op
from tinygrad_sq.value import Value

# A part used in several places, or too long to read within another, is written once and given a name.
_LONGEST_REPEATED = 24
_LONGEST = 120


def to_text(v: Value) -> str:
    """`v` as a formula of the named values and leaves that it is made of, and its value: `tanh(w * x + b) = 0.29`.

    Named values inside are left as names. Long or repeated parts are named t1, t2, ... and follow on lines of their
    own, so the text is never longer than the graph.
    """
    (name, formula), *parts = _lines(
        v, lambda op: op.text, lambda op: op.precedence, _plain, _number, lambda k: f"t{k}"
    )
    value = f"{v.data:.10g}"
    first = " = ".join(dict.fromkeys([*([name] if name else []), formula, value]))
    return "\n".join([first, *(f"  where {t} = {part}" for t, part in parts)])


def to_latex(v: Value) -> str:
    """`v` as a LaTeX formula (without dollar signs), under the rules of `to_text`, without the value.

    A label in the derivation's form becomes its symbol: `W1[0,2]` is W^{1}_{0,2}, `∂J/∂z2[0]` a fraction. To see a
    derivative, typeset it: `to_latex(gradient(y, [x])[0])`.
    """
    (name, formula), *parts = _lines(
        v, lambda op: op.latex, lambda op: op.latex_precedence, _symbol, _latex_number, lambda k: f"t_{{{k}}}"
    )
    first = f"{name} = {formula}" if name and name != formula else formula
    if not parts:
        return first
    rows = [first, *(rf"\text{{where }} {t} = {part}" for t, part in parts)]
    return r"\begin{array}{l} " + r" \\ ".join(rows) + r" \end{array}"


class _Piece(str):
    """A formula that knows how tightly it binds; `{piece:2}` puts parentheses around what binds less tightly than 2."""

    precedence: int
    parentheses: tuple[str, str]

    def __format__(self, least: str) -> str:
        left, right = self.parentheses
        return f"{left}{self!s}{right}" if least and self.precedence < int(least) else str(self)


def _lines(
    root: Value,
    template: Callable[[Op], str | Callable[..., str]],
    precedence: Callable[[Op], int],
    symbol: Callable[[str], str],
    number: Callable[[float], str],
    part_name: Callable[[int], str],
) -> list[tuple[str, str]]:
    """(name, formula) of the root, then of each part with a name of its own, users before what they use."""
    parentheses = ("(", ")") if symbol is _plain else (r"\left(", r"\right)")

    def piece(text: str, precedence: int = 5) -> _Piece:
        made = _Piece(text)
        made.precedence, made.parentheses = precedence, parentheses
        return made

    def constant(x: float) -> _Piece:
        text = number(x)
        return piece(text, 2 if r"\cdot" in text else 3 if text.startswith("-") else 5)

    order = topological_order(root)
    uses: Counter[Value] = Counter([root])
    for node in reversed(order):
        if uses[node] and (node is root or not node.label):
            uses.update(arg for arg in node.args if isinstance(arg, Value))
    pieces: dict[Value, _Piece] = {}
    parts: list[tuple[str, str]] = []
    formula = ""
    for node in order:
        if not uses[node]:
            continue
        if node.op is None or (node.label and node is not root):
            pieces[node] = piece(symbol(node.label)) if node.label else constant(node.data)
            formula = pieces[node]
            continue
        pattern = template(node.op)
        operands = [pieces[arg] if isinstance(arg, Value) else constant(arg) for arg in node.args]
        formula = pattern(*operands) if callable(pattern) else pattern.format(*operands)
        if node is not root and len(formula) > (_LONGEST_REPEATED if uses[node] > 1 else _LONGEST):
            parts.append((part_name(len(parts) + 1), formula))
            pieces[node] = piece(parts[-1][0])
        else:
            pieces[node] = piece(formula, precedence(node.op))
    return [(symbol(root.label) if root.label else "", formula), *reversed(parts)]


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


def _symbol(label: str) -> str:
    if derivative := _DERIVATIVE.fullmatch(label):
        return rf"\frac{{\partial {_symbol(derivative[1])}}}{{\partial {_symbol(derivative[2])}}}"
    if indexed := _INDEXED.fullmatch(label):
        letter, layer, index = indexed.groups()
        return f"{_symbol(letter)}{f'^{{{layer}}}' if layer else ''}_{{{index}}}"
    if len(label) == 1 and label.isalpha():
        return label
    return rf"\text{{{label.translate(str.maketrans(_SPECIAL))}}}"

"""Formulas typed as text, such as "tanh(w*x + b)": parsed by Python's grammar, computed by the table, never evaluated.

What is not a name, a number, a list, an operator of the table or a call of one of its rows is an error, so a formula
from anywhere is safe to compute.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

from tinygrad_sq.op import Op, number
from tinygrad_sq.table import rows
from tinygrad_sq.value import Value

CONTENTS = "names, numbers, operators and functions of the table, as in 2*tanh(x + 1)"


class FormulaError(ValueError):
    """What is wrong with a formula, and at which of its columns."""


def evaluate(formula: str, variables: Mapping[str, Value | float]) -> Value | float:
    """The value of `formula`, in which each name stands for its entry in `variables`.

    With Values among the variables the result is a graph: `evaluate("tanh(w*x)", {"w": w, "x": x})` is `tanh(w * x)`.
    Raises FormulaError, with the column, for what is no formula, a name without a value, a value without its name.
    """
    text = " ".join(formula.split())
    given = {normalize("NFKC", name): value for name, value in variables.items()}  # as Python's parser does to names
    try:
        if "#" in text:  # a comment to Python's parser
            raise SyntaxError("invalid syntax", ("", 1, text.index("#") + 1, text))
        tree = ast.parse(text, mode="eval").body
        unused = given.keys() - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        result: Value | float | list[Any] = _Evaluation(text, given).value(tree)
    except SyntaxError as error:
        raise FormulaError(_syntax(text, error)) from None
    except UnicodeEncodeError as error:  # bytes of the command line that are not UTF-8
        raise FormulaError(f"formula, column {error.start + 1}: no character") from None
    except (RecursionError, MemoryError):
        raise FormulaError("the formula is nested too deeply") from None
    if unused:
        raise FormulaError(f"{min(unused)!r} has a value but does not stand in the formula")
    if isinstance(result, list):
        raise FormulaError("the formula is a list; expected a single value")
    return result


class _Evaluation:
    def __init__(self, text: str, variables: Mapping[str, Value | float]) -> None:
        self.text = text
        self.variables = variables

    @cached_property
    def operators(self) -> dict[type[ast.AST], Op]:
        """The rows that are written as operators, by the operator: read off how each row is typeset as text."""
        operators: dict[type[ast.AST], Op] = {}
        for row in rows.values():
            if row.arity in (1, 2):
                match _parse(row.text(*"xy"[: row.arity])):
                    case (
                        ast.UnaryOp(op=op, operand=ast.Name())
                        | ast.BinOp(op=op, left=ast.Name(), right=ast.Name())
                        | ast.Compare(ops=[op], left=ast.Name(), comparators=[ast.Name()])
                    ):
                        operators[type(op)] = row
        return operators

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as x) if not isinstance(x, bool):
                return self.call(node, number, [x])
            case ast.Name(id=name):
                if name in self.variables:
                    return self.variables[name]
                if name in rows:
                    raise self.error(node, f"a function: write {name}(...)")
                constant = vars(math).get(name)
                example = constant if isinstance(constant, float) else 1  # whoever writes pi means one number
                raise self.error(node, f"a name without a value; {name}={example} gives it one")
            case ast.List(elts=elements):
                return [self.value(element) for element in elements]
            case ast.UnaryOp(op=op, operand=x):
                return self.operation(node, op, x)
            case ast.Compare(left=x, ops=[ast.Gt()], comparators=[y]):  # which no row is written as
                return self.operation(node, ast.Lt(), y, x)
            case ast.BinOp(left=x, op=op, right=y) | ast.Compare(left=x, ops=[op], comparators=[y]):
                return self.operation(node, op, x, y)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                if name not in rows:
                    called = [row.name for row in rows.values() if name in re.findall(r"\w+", row.__doc__ or "")]
                    near = called or get_close_matches(name, rows)
                    hint = f"; did you mean {' or '.join(near)}?" if near else ""
                    raise self.error(node, f"the table has no function {name!r}{hint}")
                return self.call(node, rows[name], [self.value(arg) for arg in args])
        raise self.error(node, f"expected {CONTENTS}, nothing else")

    def operation(self, node: ast.expr, op: ast.AST, *operands: ast.expr) -> Any:
        if type(op) not in self.operators:
            hint = "; a power is written x**2" if isinstance(op, ast.BitXor) else ""
            raise self.error(node, f"the table has no such operator{hint}")
        return self.call(node, self.operators[type(op)], [self.value(operand) for operand in operands])

    def call(self, node: ast.expr, function: Any, args: list[Any]) -> Any:
        try:
            return function(*args)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.error(node, str(error)) from None

    def error(self, node: ast.expr, message: str) -> FormulaError:
        before = self.text.encode()[: node.col_offset].decode()  # the parser counts bytes
        source = ast.get_source_segment(self.text, node)
        return FormulaError(f"formula, column {len(before) + 1}, {source!r:.60}: {message}")


def _syntax(text: str, error: SyntaxError) -> str:
    """What the parser found, in words for those who do not write Python."""
    column = error.offset or len(text) + 1
    message = error.msg
    if message.startswith("invalid syntax"):
        reserved = next((word for word in re.finditer(r"\w+", text) if iskeyword(word[0])), None)
        if not text:
            return f"the formula is empty; expected {CONTENTS}"
        if reserved:
            return f"formula, column {reserved.start() + 1}, {reserved[0]!r}: a word of Python's grammar, and no name"
        if column <= len(text):
            return f"formula, column {column}, {text[column - 1 :]!r:.60}: not expected there; a formula has {CONTENTS}"
        message = "the formula ends where an operand should stand"
    elif message == "invalid decimal literal":
        message = "a number and a name side by side; a product is written 2*x"
    return f"formula, column {column}: {message}"


def _parse(text: str) -> ast.expr | None:
    with suppress(SyntaxError):  # a row may be typeset as nothing that Python can read
        return ast.parse(text, mode="eval").body
    return None

"""What `detect_anomaly` says of the first value or gradient that is not finite."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from tinygrad_sq.graph import Node

if TYPE_CHECKING:
    from tinygrad_sq.op import Op
    from tinygrad_sq.value import Value

Origins: TypeAlias = "WeakKeyDictionary[Value, str]"


def check_value(node: Value, op: Op, args: tuple[Value | float, ...], origins: Origins) -> None:
    """Note the line that made `node`; FloatingPointError if its value is not finite."""
    origins[node] = caller()
    if not math.isfinite(node.data):
        operands = ", ".join(map(_describe, args))
        raise FloatingPointError(f"{op.name} of ({operands}) is {node.data!r}, at {origins[node]}")


def check_gradients(order: list[Value], adjoint: Mapping[Value, float], origins: Origins) -> None:
    """FloatingPointError for the first gradient, from the end of `order`, that is not finite."""
    user: dict[Any, Value] = {}
    for node in reversed(order):
        if not math.isfinite(adjoint[node]):
            culprit = user.get(node, node)
            operands = ", ".join(map(_describe, culprit.args))
            raise FloatingPointError(
                f"the gradient of ({_describe(node)}) is {adjoint[node]!r}: it comes through "
                f"{_describe(culprit)} of ({operands}), made at {origins.get(culprit, 'a line outside detect_anomaly')}"
            )
        for arg, local in zip(node.args, node.partials):
            if local is not None and not (arg in user and math.isfinite(local)):
                user[arg] = node


def check_tangents(order: list[Value], roots: list[Value], tangent: Mapping[Value, float], origins: Origins) -> None:
    """FloatingPointError for the first derivative along a direction, of what reaches the roots, that is not finite."""
    reaching = set(roots)
    for node in reversed(order):
        if node in reaching:
            reaching.update(arg for arg, local in zip(node.args, node.partials) if local is not None)  # type: ignore[misc]
    for node in order:
        if node in reaching and not math.isfinite(tangent.get(node, 0.0)):
            operands = ", ".join(map(_describe, node.args))
            raise FloatingPointError(
                f"the derivative of {_describe(node)} of ({operands}) along the direction is {tangent[node]!r}; "
                f"made at {origins.get(node, 'a line outside detect_anomaly')}"
            )


def caller() -> str:
    """The place in the user's code that called into the package: file:line."""
    frame = sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "tinygrad_sq":
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _describe(x: Any) -> str:
    return f"{x.label or (x.op.name if x.op else 'leaf')} = {x.data!r}" if isinstance(x, Node) else repr(x)  # type: ignore[attr-defined]

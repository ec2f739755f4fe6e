"""Graphs: nodes and the order in which to visit them. Nothing here knows of numbers or derivatives."""

from __future__ import annotations

from typing import Any, TypeVar

N = TypeVar("N", bound="Node")


class Node:
    """A node of an acyclic graph. `args` are its operands in order: other nodes, or constants of any other type."""

    __slots__ = ("args",)
    args: tuple[Any, ...]


def topological_order(*roots: N) -> list[N]:
    """Every node that `roots` depend on, and the roots, each once, each after all of its `args`.

    A depth-first walk that visits operands from left to right, so the order depends on the graph alone. The stack is
    a list and not Python's own: a graph may be a million nodes deep.
    """
    order: list[N] = []
    seen: set[N] = set()
    stack: list[N | None] = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node is None:  # every operand of the node below is in order
            order.append(stack.pop())  # type: ignore[arg-type]
        elif node not in seen:
            seen.add(node)
            if seen.issuperset(node.args):
                order.append(node)
                continue
            stack.append(node)
            stack.append(None)
            for arg in reversed(node.args):
                if arg not in seen and isinstance(arg, Node):
                    stack.append(arg)  # type: ignore[arg-type]
    return order

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
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(root.args))]
        while stack:
            node, unvisited = stack[-1]
            for arg in unvisited:
                if arg not in seen and isinstance(arg, Node):
                    seen.add(arg)  # type: ignore[arg-type]
                    if not seen.issuperset(arg.args):
                        stack.append((arg, iter(arg.args)))  # type: ignore[arg-type]
                        break
                    order.append(arg)  # type: ignore[arg-type]
            else:
                stack.pop()
                order.append(node)
    return order

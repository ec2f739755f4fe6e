"""Copies and pickles of graphs, without recursion: a graph may be a million nodes deep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tinygrad_sq.graph import Node, topological_order

C = TypeVar("C", bound="Copyable")

FIELDS = ("data", "grad", "op", "partials", "label", "scope")


class Copyable(Node):
    """A node with `FIELDS` beside its operands."""

    __slots__ = ()

    def __copy__(self: C) -> C:
        return _restore(type(self), self.args, *_fields(self))

    def __deepcopy__(self: C, memo: dict[int, Any]) -> C:
        for node in topological_order(self):
            if id(node) not in memo:
                args = tuple([memo[id(arg)] if isinstance(arg, Node) else arg for arg in node.args])
                memo[id(node)] = _restore(type(node), args, *_fields(node))
        copy: C = memo[id(self)]
        return copy

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle as a flat list, so that depth costs no recursion. Leaves stay objects, so that those shared between
        graphs (and with a model) in one pickle stay shared."""
        if not self.args:
            return _restore, (type(self), (), *_fields(self))
        order = topological_order(self)
        index: dict[Node, int] = {node: i for i, node in enumerate(order)}
        flat = [
            (type(node), tuple([(index[arg],) if isinstance(arg, Node) else arg for arg in node.args]), *_fields(node))
            if node.args
            else node
            for node in order
        ]
        return _restore_graph, (flat,)


def _fields(node: Copyable) -> tuple[Any, ...]:
    return tuple([getattr(node, name) for name in FIELDS])


def _restore(cls: type[C], args: tuple[Any, ...], *fields: Any) -> C:
    node = object.__new__(cls)
    node.args = args
    for name, field in zip(FIELDS, fields):
        setattr(node, name, field)
    return node


def _restore_graph(flat: list[Any]) -> Any:
    nodes: list[Copyable] = []
    for entry in flat:
        if not isinstance(entry, Copyable):
            cls, args, *fields = entry
            entry = _restore(cls, tuple([nodes[arg[0]] if isinstance(arg, tuple) else arg for arg in args]), *fields)
        nodes.append(entry)
    return nodes[-1]

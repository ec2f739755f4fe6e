"""Evaluate a recorded graph again, at other inputs."""

from __future__ import annotations

from collections.abc import Mapping

from tinygrad_sq.checks import checked
from tinygrad_sq.graph import topological_order
from tinygrad_sq.value import Value, record


def replay(y: Value, inputs: Mapping[Value, Value | float] | None = None) -> Value:
    """y as a new graph, in which each leaf (or other node) that `inputs` names is replaced by what it says there.

    A number becomes a leaf with the old one's label and scope. Leaves that are not named stay the same objects and
    count with their present data. What the function would branch on is not evaluated again: the graph keeps the branch
    it took.

    Raises TypeError for what is not a Value, KeyError for an input that y does not depend on.
    """
    order = topological_order(checked(y, Value, "a Value to evaluate again"))
    inputs = inputs or {}
    new: dict[Value, Value] = {}
    for old, x in inputs.items():
        checked(old, Value, "inputs to be a dict of what to put in place of Values, each of which is a key")
        if isinstance(x, Value):
            new[old] = x
        else:
            new[old] = Value(x, old.label)
            new[old].scope = old.scope
    unknown = inputs.keys() - set(order)
    if unknown:
        raise KeyError(f"{y.label or 'the graph'} does not depend on {', '.join(map(repr, unknown))}")
    for node in order:
        if node in new:
            continue
        if node.op is None:
            new[node] = node
            continue
        twin = record(node.op, tuple([new[arg] if isinstance(arg, Value) else arg for arg in node.args]))
        twin.label = node.label
        twin.scope = node.scope
        new[node] = twin
    return new[y]

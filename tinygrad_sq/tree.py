"""Nested lists, tuples and dicts of scalars: taken apart into a flat list, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """The scalars of `tree` in order (dicts in their own), and the function that puts as many others in their places.

    An array is taken as the nested list that it holds. What is not a list, tuple, dict or array is a scalar.
    """
    leaves: list[Any] = []
    plan = _plan(tree, leaves)
    return leaves, lambda values: _build(plan, iter(values))


def _plan(tree: Any, leaves: list[Any]) -> Any:
    if getattr(tree, "shape", ()) != ():
        tree = tree.tolist()
    if isinstance(tree, Mapping):
        return dict, [(key, _plan(branch, leaves)) for key, branch in tree.items()]
    if isinstance(tree, (list, tuple)):
        kind = type(tree)
        make = (lambda items: kind(*items)) if hasattr(kind, "_fields") else kind  # a named tuple takes its fields
        return make, [_plan(branch, leaves) for branch in tree]
    leaves.append(tree)
    return None


def _build(plan: Any, values: Iterator[Any]) -> Any:
    if plan is None:
        return next(values)
    make, branches = plan
    if make is dict:
        return {key: _build(branch, values) for key, branch in branches}
    return make([_build(branch, values) for branch in branches])

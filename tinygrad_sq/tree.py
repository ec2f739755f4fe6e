"""Nested lists, tuples and dicts of scalars: taken apart into a flat list, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """The scalars of `tree` in order (dicts in their own), and the function that puts as many others in their places.

    An array or a column is taken as the nested list that it holds. All but lists, tuples, dicts and arrays are scalars.
    """
    leaves: list[Any] = []
    plan = _plan(tree, leaves)
    return leaves, lambda values: _build(plan, iter(values))


def flatten_like(tree: Any, model: Any, name: str) -> list[Any]:
    """The scalars of `tree` in the order of those of `model`, which has the same structure.

    Lists, tuples and arrays may stand for one another. Raises ValueError that says where, in `name`, the two differ.
    """
    tree, model = _listed(tree), _listed(model)
    got = f"got {'an' if type(tree) is int else 'a'} {type(tree).__name__}"
    if isinstance(model, Mapping):
        if not isinstance(tree, Mapping):
            raise ValueError(f"{name}: expected a dict with the keys {_quoted(model)}, {got}")
        if tree.keys() != model.keys():
            raise ValueError(f"{name}: expected the keys {_quoted(model)}, got {_quoted(tree)}")
        return [leaf for key in model for leaf in flatten_like(tree[key], model[key], f"{name}[{key!r}]")]
    if isinstance(model, (list, tuple)):
        if not isinstance(tree, (list, tuple)) or len(tree) != len(model):
            of = f" of {len(tree)}" if isinstance(tree, (list, tuple)) else ""
            raise ValueError(f"{name}: expected a list of {len(model)}, {got}{of}")
        return [leaf for i, pair in enumerate(zip(tree, model)) for leaf in flatten_like(*pair, f"{name}[{i}]")]
    if isinstance(tree, (Mapping, list, tuple)):
        raise ValueError(f"{name}: expected a scalar, {got}")
    return [tree]


def _quoted(keys: Iterable[Any]) -> str:
    return ", ".join(map(repr, keys))


def as_list(y: Any) -> list[Any]:
    """The outputs of a net, or a target, as a list: one alone stands for itself."""
    return list(y) if isinstance(y, Iterable) else [y]


def _listed(tree: Any) -> Any:
    return list(tree) if getattr(tree, "shape", ()) != () else tree


def _plan(tree: Any, leaves: list[Any]) -> Any:
    if not hasattr(tree, "__len__"):  # found out fast, since there are many
        leaves.append(tree)
        return None
    tree = _listed(tree)
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

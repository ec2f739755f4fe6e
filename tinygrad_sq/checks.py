"""Checks of arguments, where they come in: each returns what it was given, or says what was expected instead."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any, TypeVar

T = TypeVar("T")


def checked(x: T, kind: Any, expected: str) -> T:
    """x, an instance of `kind`; TypeError for anything else."""
    if not isinstance(x, kind):
        raise TypeError(f"expected {expected}, got {_what(x)}")
    return x


def listed(xs: Iterable[T], kind: Any, expected: str) -> list[T]:
    """The list of xs, all of which are instances of `kind`; TypeError for anything else, which says where it is."""
    items = list(checked(xs, Iterable, expected))
    for i, x in enumerate(items):
        if not isinstance(x, kind):
            raise TypeError(f"expected {expected}, got {_what(x)} at [{i}]")
    return items


def count(n: int, name: str) -> int:
    """n, a whole number of 1 or more; TypeError for what is not whole, ValueError for less."""
    try:
        whole = index(n)
    except TypeError:
        raise TypeError(f"expected {name} to be a whole number, got {_what(n)}") from None
    if whole < 1:
        raise ValueError(f"expected {name} to be 1 or more, got {whole}")
    return whole


def _what(x: object) -> str:
    return f"{type(x).__name__} {x!r:.60}"

"""Which values of a graph share a box of its picture: a partition, coarse enough to be read.

A level collapses the values under each scope of a depth: 1 for layers, 2 for neurons. What stands in no such scope is
*loose*, and drawn value by value. What is many and alike (the neurons of a layer, the inputs, the layers of a deep net)
is elided: the first few are shown, the last one, and one part for all between. A graph for which that is not enough
goes by what its values are, and in the end by how far they are from the root.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from itertools import count
from typing import NamedTuple

from tinygrad_sq.op import Op
from tinygrad_sq.study.picture import role_of, shown
from tinygrad_sq.value import Value

MOST = 64  # parts in a picture
FEW = 12  # loose values are all shown if they are no more than these
STACK = 8  # of more than these alike, the FIRST are shown and the last one
FIRST = 4
NEAR = 8  # values shown next to the root of a graph of which nothing but its depth is known
BANDS = 4  # parts that the rest of its operations is cut into


class Part(NamedTuple):
    """Values that share a box.

    values    in topological order
    scope     the group in which the box stands
    title     the name of the scope that it stands for, "… 120 more", or what the values are; "" for one by itself
    alike     what it has in common with the parts that it is to stand in line with; None: nothing
    ends      of an elided part: the names of the first and the last of what it stands for, if they have any
    """

    values: list[Value]
    scope: tuple[str, ...]
    title: str = ""
    alike: Hashable = None
    ends: tuple[str, ...] = ()


def partition(order: list[Value], depth: int) -> list[Part]:
    """The values of `order` by their scopes of that depth; coarser, if that would make more than MOST parts.

    Parts come in the order of their last values: operands before users, the root last.
    """
    distance = _distances(order)
    attempts = (_by_scope(order, distance, d, whole) for d in range(depth, -1, -1) for whole in (False, True))
    parts = next((parts for parts in attempts if len(parts) <= MOST), None) or _by_distance(order, distance)
    place = {v: i for i, v in enumerate(order)}
    return sorted(parts, key=lambda part: place[part.values[-1]])


def _distances(order: list[Value]) -> dict[Value, int]:
    """The length of the longest way from each value to the end of the graph."""
    distance = dict.fromkeys(order, 0)
    for node in reversed(order):
        d = distance[node] + 1
        for arg in node.args:
            if isinstance(arg, Value) and distance[arg] < d:
                distance[arg] = d
    return distance


# --- by scope ---


def _by_scope(order: list[Value], distance: dict[Value, int], depth: int, whole: bool) -> list[Part]:
    """A part for each scope of that depth, and for the loose values; `whole`: one for all that are alike."""
    # In the order of their last values: the layers from the first to the last.
    scopes = list(dict.fromkeys(v.scope for v in reversed(order)))[::-1]
    home = _homes(scopes, depth)
    loose = []
    for v in order:
        if part := home[v.scope]:
            part.values.append(v)
        else:
            loose.append(v)
    scoped = {id(part): part for part in home.values() if part}.values()
    parts = [part._replace(title="") if len(part.values) == 1 else part for part in scoped]
    return parts + _loose(loose, distance, whole)


def _homes(scopes: Iterable[tuple[str, ...]], depth: int) -> dict[tuple[str, ...], Part | None]:
    """The part of each scope, still empty; None for the scopes whose values are loose."""
    prefixes = dict.fromkeys(scope[:d] for scope in scopes for d in range(1, min(depth, len(scope)) + 1))
    families: dict[tuple[tuple[str, ...], str], list[tuple[str, ...]]] = defaultdict(list)
    for prefix in prefixes:
        families[_family(prefix)].append(prefix)
    parts: dict[tuple[str, ...], Part] = {}
    for family, members in families.items():
        around, _ = family
        between = members[FIRST:-1] if len(members) > STACK else []
        if between:
            ends = shown(between[0][-1]), shown(between[-1][-1])
            parts |= dict.fromkeys(between, Part([], around, _more(len(between)), family, ends))
        for prefix in members:
            if len(prefix) == depth and prefix not in parts:
                parts[prefix] = Part([], around, prefix[-1], family)
    return {
        scope: next((parts[scope[:d]] for d in range(1, len(scope) + 1) if scope[:d] in parts), None)
        for scope in scopes
    }


def _family(prefix: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """What scopes have in common that differ in their number alone: neuron 0, neuron 1, ..."""
    return prefix[:-1], re.sub(r"\d+", "#", prefix[-1])


def _more(count: int) -> str:
    return f"… {count:,} more"


# --- loose values ---


def _loose(values: list[Value], distance: dict[Value, int], whole: bool) -> list[Part]:
    """Values by themselves where they are few, or few of a kind; `whole`: one part for each kind."""
    kinds: dict[tuple[tuple[str, ...], Op | str, int], list[Value]] = defaultdict(list)
    for v in values:
        kinds[v.scope, v.op or role_of(v), distance[v]].append(v)
    parts = []
    for kind, alike in kinds.items():
        scope, what, _ = kind
        if len(values) <= FEW or (len(alike) <= STACK and not whole):
            parts += [Part([v], scope, alike=kind) for v in alike]
        elif whole:
            parts.append(_collected(alike, what, scope))
        else:
            between = alike[FIRST:-1]
            ends = (shown(between[0].label), shown(between[-1].label))
            parts += [Part([v], scope, alike=kind) for v in alike[:FIRST]]
            parts.append(Part(between, scope, _more(len(between)), kind, ends if all(ends) else ()))
            parts.append(Part([alike[-1]], scope, alike=kind))
    return parts


def _by_distance(order: list[Value], distance: dict[Value, int]) -> list[Part]:
    """The values nearest to the root by themselves; the rest in BANDS of equal distance, its leaves by their roles."""
    within = Counter(distance.values())
    near = next(d for d in count() if sum(within[k] for k in range(d + 2)) > NEAR)
    parts = [Part([v], v.scope) for v in order if distance[v] <= near]
    far = [v for v in order if distance[v] > near]
    leaves: dict[str, list[Value]] = defaultdict(list)
    for v in far:
        if not v.op:
            leaves[role_of(v)].append(v)
    parts += [_collected(alike, role, ()) for role, alike in leaves.items()]
    operations = [v for v in far if v.op]
    steps = sorted(distance[v] for v in operations)
    limits = sorted({steps[len(steps) * k // BANDS] for k in range(1, BANDS)})
    bands: dict[int, list[Value]] = defaultdict(list)
    for v in operations:
        bands[sum(distance[v] >= limit for limit in limits)].append(v)
    return parts + [Part(band, (), _more(len(band))) for band in bands.values()]


def _collected(values: list[Value], what: Op | str, scope: tuple[str, ...]) -> Part:
    """Values of one kind in one part: an operation's symbol, or a role in the plural."""
    name = f"{what}s" if isinstance(what, str) else what.symbol
    return Part(values, scope, "" if len(values) == 1 else name)

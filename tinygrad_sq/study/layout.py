"""Where the parts of a picture stand: what Graphviz is told beforehand, and what becomes of its answer.

Graphviz leads an edge that ends deep inside a cluster around the cluster. So such an arrow gets a *door*, an invisible
point in the first column of the group, and a *gate* in front of each column of groups keeps the columns apart. What
Graphviz answers is read in two coordinates: `u` along the flow (right in LR, down in TB) and `v` across it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from statistics import fmean
from typing import Any, NamedTuple

from tinygrad_sq.study.picture import Picture
from tinygrad_sq.study.route import Columns, Groups, Point, Route, Router, Slot, position

ROOT_EDGE = 3.5  # from the inner to the outer one of the root's two edges
DOOR = 4.0  # the room of a line that passes through a column


# --- before Graphviz ---


class Plan(NamedTuple):
    """columns  of each outermost scope: its place from left to right
    sources  the boxes with which their group begins: none of their operands belongs to it
    sinks    those with which it ends
    doors    the arrows, by id, that enter a group beyond its sources"""

    columns: dict[str, int]
    sources: list[int]
    sinks: list[int]
    doors: set[str]


def plan(pic: Picture) -> Plan:
    group = [box.scope[0] if box.scope else None for box in pic.boxes]
    columns = _columns(pic, group)
    inner = [arrow for arrow in pic.arrows if group[arrow.tail] == group[arrow.head] is not None]
    later = {arrow.head for arrow in inner}
    earlier = {arrow.tail for arrow in inner}
    grouped = [i for i, name in enumerate(group) if name is not None]
    return Plan(
        columns,
        [i for i in grouped if i not in later],
        [i for i in grouped if i not in earlier],
        {a.id for a in pic.arrows if columns and a.head in later and group[a.tail] != group[a.head]},
    )


def _columns(pic: Picture, group: list[str | None]) -> dict[str, int]:
    """One after the last group that it depends on; empty if groups depend on each other in a circle."""
    # A box outside all scopes is a group of its own that takes no column.
    keys: list[str | int] = [i if name is None else name for i, name in enumerate(group)]
    before: dict[str | int, set[str | int]] = {key: set() for key in keys}
    after: dict[str | int, set[str | int]] = {key: set() for key in keys}
    for arrow in pic.arrows:
        tail, head = keys[arrow.tail], keys[arrow.head]
        if tail != head:
            before[head].add(tail)
            after[tail].add(head)
    column: dict[str | int, int] = {}
    try:
        for key in TopologicalSorter(before).static_order():
            column[key] = max((column[k] for k in before[key]), default=-1) + isinstance(key, str)
    except CycleError:
        return {}
    # What depends on nothing stands just before its first user, as targets do before the loss.
    return {
        key: column[key] if before[key] else min((column[k] - isinstance(k, str) for k in after[key]), default=0)
        for key in column
        if isinstance(key, str)
    }


# --- after Graphviz ---


class Layout(NamedTuple):
    """Everything as (x, y) with y down: the middles of the boxes, two corners of each group, the arrows' routes."""

    boxes: list[Point]
    groups: Groups
    routes: list[Route]


def arrange(pic: Picture, plan: Plan, answer: dict[str, Any], rankdir: str) -> Layout:
    """The layout of a picture by the answer of `dot -Tjson`: columns and clusters as Graphviz has them; stacks of
    leaves put into the order of the formula; arrows between neighbouring columns led straight into their boxes."""
    turn = _transposed if rankdir == "TB" else _same
    items = {item["name"]: item for item in answer["objects"]}
    groups = {}
    for name, scope in pic.groups.items():
        left, bottom, right, top = map(float, items[name]["bb"].split(","))
        groups[scope] = turn((left, -top)), turn((right, -bottom))
    slots = {}
    for i, box in enumerate(pic.boxes):
        edge = 2 * ROOT_EDGE if i == len(pic.boxes) - 1 else 0.0
        extent = turn((box.width + edge, box.height + edge))
        slots[f"n{i}"] = Slot(box.scope, turn(position(items[f"n{i}"]["pos"])), extent)
    for arrow in pic.arrows:
        if arrow.id in plan.doors:
            middle = turn(position(items[arrow.door]["pos"]))
            slots[arrow.door] = Slot(pic.boxes[arrow.head].scope, middle, (0.0, DOOR))
    columns = Columns(slots.values())
    if _regular(pic, plan, slots, columns):
        _sort_leaves(pic, plan, slots)
        _sort_groups(pic, plan, groups, slots)
        _sort_columns(pic, slots)
    curves = {edge["id"]: edge for edge in answer.get("edges", ()) if "id" in edge}
    routes = Router(pic, plan.doors, slots, groups, columns, curves, turn).routes
    return Layout(
        [turn((slots[f"n{i}"].u, slots[f"n{i}"].v)) for i in range(len(pic.boxes))],
        {scope: (turn(a), turn(b)) for scope, (a, b) in groups.items()},
        [route.turned(turn) for route in routes],
    )


def _same(point: Point) -> Point:
    return point


def _transposed(point: Point) -> Point:
    return point[1], point[0]


# Graphviz leaves the order within a column open. Where all arrows lead from one column to the next, so that none of
# its curves depends on the order, boxes are put into the order of the formula.


def _regular(pic: Picture, plan: Plan, slots: dict[str, Slot], columns: Columns) -> bool:
    for arrow in pic.arrows:
        path = [f"n{arrow.tail}", *([arrow.door] if arrow.id in plan.doors else []), f"n{arrow.head}"]
        if any(columns.next.get(slots[a].u) != slots[b].u for a, b in itertools.pairwise(path)):
            return False
    return True


def _sort_leaves(pic: Picture, plan: Plan, slots: dict[str, Slot]) -> None:
    """The leaves of each group, from top to bottom, with the doors evenly between them: w0 x0 w1 x1 b."""
    leaves: dict[Any, list[Slot]] = defaultdict(list)
    doors: dict[Any, list[Slot]] = defaultdict(list)
    for i in plan.sources:
        slot = slots[f"n{i}"]
        leaves[slot.scope, slot.u].append(slot)
    for arrow in pic.arrows:
        if arrow.id in plan.doors:
            slot = slots[arrow.door]
            doors[slot.scope, slot.u].append(slot)
    for key, boxes in leaves.items():
        ranked = [((k + 0.5) / len(kind), slot) for kind in (boxes, doors[key]) for k, slot in enumerate(kind)]
        stack = [slot for _, slot in sorted(ranked, key=lambda pair: pair[0])]
        top, bottom = _extent(stack)
        inside = [slot for slot in slots.values() if slot.u == key[1] and top < slot.v < bottom]
        if len(inside) > len(stack):
            continue
        for slot, v in zip(stack, _stacked([slot.breadth for slot in stack], top, bottom)):
            slot.v = v


def _sort_groups(pic: Picture, plan: Plan, groups: Groups, slots: dict[str, Slot]) -> None:
    """Groups that stand in the same columns: neurons in the order of their index, layers centred on each other."""
    families: dict[Any, list[tuple[str, ...]]] = defaultdict(list)
    for scope in pic.groups.values():
        families[scope[:-1] or plan.columns.get(scope[0])].append(scope)
    for family, scopes in families.items():
        top, bottom = min(groups[s][0][1] for s in scopes), max(groups[s][1][1] for s in scopes)
        if isinstance(family, tuple):
            begin, end = max(groups[s][0][0] for s in scopes), min(groups[s][1][0] for s in scopes)
            others = (slot for slot in slots.values() if slot.scope == family)
            if begin >= end or any(top < slot.v < bottom for slot in others):
                continue
        elif plan.columns and all(box.scope for box in pic.boxes):
            half = (bottom - top) / 2
            top, bottom = -half, half
        else:
            continue
        breadths = [groups[scope][1][1] - groups[scope][0][1] for scope in scopes]
        for scope, breadth, v in zip(scopes, breadths, _stacked(breadths, top, bottom)):
            _shift(scope, v - breadth / 2 - groups[scope][0][1], groups, slots)


def _shift(scope: tuple[str, ...], by: float, groups: Groups, slots: dict[str, Slot]) -> None:
    """Move a group, and all that is in it, across the flow."""
    for slot in slots.values():
        if slot.scope[: len(scope)] == scope:
            slot.v += by
    for inner, ((u0, v0), (u1, v1)) in groups.items():
        if inner[: len(scope)] == scope:
            groups[inner] = (u0, v0 + by), (u1, v1 + by)


def _sort_columns(pic: Picture, slots: dict[str, Slot]) -> None:
    """The columns within a group: boxes in the order of their operands, columns centred on each other."""
    operands: dict[Slot, list[Slot]] = defaultdict(list)
    for arrow in pic.arrows:
        operands[slots[f"n{arrow.head}"]].append(slots[f"n{arrow.tail}"])
    columns: dict[tuple[str, ...], dict[float, list[Slot]]] = defaultdict(lambda: defaultdict(list))
    for slot in slots.values():
        columns[slot.scope][slot.u].append(slot)
    for scope, stacks in columns.items():
        if not scope or any(scope == inner[: len(scope)] != inner for inner in columns):
            continue  # no group, or one with groups inside
        top, bottom = _extent(itertools.chain.from_iterable(stacks.values()))
        for u in sorted(stacks):
            stack = sorted(stacks[u], key=lambda slot: slot.v)
            if u > min(stacks) and all(operands[slot] for slot in stack):
                stack.sort(key=lambda slot: fmean(operand.v for operand in operands[slot]))
            begin, end = _extent(stack)
            shift = (top + bottom - begin - end) / 2
            for slot, v in zip(stack, _stacked([slot.breadth for slot in stack], begin + shift, end + shift)):
                slot.v = v


def _extent(slots: Iterable[Slot]) -> tuple[float, float]:
    ends = [(slot.top, slot.bottom) for slot in slots]
    return min(top for top, _ in ends), max(bottom for _, bottom in ends)


def _stacked(breadths: list[float], top: float, bottom: float) -> list[float]:
    """The middles of things of these breadths that fill the room from `top` to `bottom`, evenly apart."""
    gap = (bottom - top - sum(breadths)) / max(1, len(breadths) - 1)
    ends = itertools.accumulate((breadth + gap for breadth in breadths), initial=top)
    return [end + breadth / 2 for end, breadth in zip(ends, breadths)]

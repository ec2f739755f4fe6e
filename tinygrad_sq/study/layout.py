"""Where the parts of a picture stand: what Graphviz is told beforehand, and what becomes of its answer.

Graphviz leads an edge that ends deep inside a cluster around the cluster. So such an arrow gets a *door*, an invisible
point in the first column of the group, and a *gate* in front of each column of groups keeps the columns apart. What
Graphviz answers is read in two coordinates: `u` along the flow (right in LR, down in TB) and `v` across it.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

from tinygrad_sq.study.picture import SMALL_SIZE, Arrow, Picture, text_width

Point: TypeAlias = tuple[float, float]
Groups: TypeAlias = dict[tuple[str, ...], tuple[Point, Point]]

DOOR = 4.0  # the room of a line that passes through a column
ARROWHEAD = 7.0
SPREAD_DOWN, SPREAD_RIGHT = 13.0, 36.0  # between two arrows at one box, if there is room: as much as a label needs
LABEL_GAP = 4.0
BEND = 14.0  # the least length in which an arrow may change its level
UNDER = 4.0  # arrows begin under their box, whose side may slant
STUB = 3.0  # less of an arrow than this is not drawn before its label
ROOT_EDGE = 3.5  # the outer one of the root's two edges


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


class Route(NamedTuple):
    """The way of an arrow: strokes with a gap for the label, each a point and then three more for each Bézier curve;
    the tip; the label's middle."""

    strokes: list[list[Point]]
    tip: Point
    label: Point


class Layout(NamedTuple):
    """Everything as (x, y) with y down: the middles of the boxes, two corners of each group, the arrows' routes."""

    boxes: list[Point]
    groups: Groups
    routes: list[Route]


class _Slot:
    """The place of a box or a door: its middle (u, v), and its extent along the flow and across it."""

    def __init__(self, scope: tuple[str, ...], middle: Point, extent: Point) -> None:
        self.scope = scope
        self.u, self.v = middle
        self.length, self.breadth = extent

    @property
    def top(self) -> float:
        return self.v - self.breadth / 2

    @property
    def bottom(self) -> float:
        return self.v + self.breadth / 2


def arrange(pic: Picture, plan: Plan, answer: dict[str, Any], rankdir: str) -> Layout:
    """The layout of a picture by the answer of `dot -Tjson`: columns and clusters as Graphviz has them; stacks of
    leaves put into the order of the formula; arrows between neighbouring columns led straight into their boxes."""
    turn = _transposed if rankdir == "TB" else _same
    slots: dict[str, _Slot] = {}
    groups: Groups = {}
    for item in answer["objects"]:
        name = item["name"]
        if name in pic.groups:
            left, bottom, right, top = map(float, item["bb"].split(","))
            groups[pic.groups[name]] = turn((left, -top)), turn((right, -bottom))
        elif name.startswith("n"):
            box = pic.boxes[int(name[1:])]
            slots[name] = _Slot(box.scope, turn(_point(item["pos"])), turn((box.width, box.height)))
        elif name.startswith("d"):
            head = int(name[1:].partition("_")[0])
            slots[name] = _Slot(pic.boxes[head].scope, turn(_point(item["pos"])), (0.0, DOOR))
    _sort_leaves(pic, plan, slots)
    _sort_groups(pic, plan, groups, slots)
    _sort_later_columns(pic, slots)
    curves = {edge["id"]: edge for edge in answer.get("edges", ()) if "id" in edge}
    routes = _Router(pic, plan, slots, groups, curves, turn).routes
    return Layout(
        [turn((slots[f"n{i}"].u, slots[f"n{i}"].v)) for i in range(len(pic.boxes))],
        {scope: (turn(a), turn(b)) for scope, (a, b) in groups.items()},
        [
            Route([[turn(p) for p in stroke] for stroke in route.strokes], turn(route.tip), turn(route.label))
            for route in routes
        ],
    )


def _same(point: Point) -> Point:
    return point


def _transposed(point: Point) -> Point:
    return point[1], point[0]


def _point(text: str) -> Point:
    x, y = map(float, text.split(","))
    return x, -y


# Graphviz leaves the order within a column open, and often changes it. Where nothing else stands in between, the order
# is made that of the formula.


def _sort_leaves(pic: Picture, plan: Plan, slots: dict[str, _Slot]) -> None:
    """The leaves of each group, from top to bottom, with the doors evenly between them: w0 x0 w1 x1 b."""
    leaves: dict[Any, list[_Slot]] = defaultdict(list)
    doors: dict[Any, list[_Slot]] = defaultdict(list)
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
        top, bottom = min(slot.top for slot in stack), max(slot.bottom for slot in stack)
        inside = [slot for slot in slots.values() if slot.u == key[1] and top < slot.v < bottom]
        if len(inside) > len(stack):
            continue
        for slot, v in zip(stack, _stacked([slot.breadth for slot in stack], top, bottom)):
            slot.v = v


def _sort_groups(pic: Picture, plan: Plan, groups: Groups, slots: dict[str, _Slot]) -> None:
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
        elif _in_columns(pic, plan):
            half = (bottom - top) / 2
            top, bottom = -half, half
        else:
            continue
        breadths = [groups[scope][1][1] - groups[scope][0][1] for scope in scopes]
        for scope, breadth, v in zip(scopes, breadths, _stacked(breadths, top, bottom)):
            _shift(scope, v - breadth / 2 - groups[scope][0][1], groups, slots)


def _in_columns(pic: Picture, plan: Plan) -> bool:
    """Whether every box belongs to a column, and every arrow leads to the same column or to the next."""
    if not plan.columns or not all(box.scope for box in pic.boxes):
        return False
    column = [plan.columns[box.scope[0]] for box in pic.boxes]
    return all(column[arrow.head] - column[arrow.tail] <= 1 for arrow in pic.arrows)


def _shift(scope: tuple[str, ...], by: float, groups: Groups, slots: dict[str, _Slot]) -> None:
    """Move a group, and all that is in it, across the flow."""
    for slot in slots.values():
        if slot.scope[: len(scope)] == scope:
            slot.v += by
    for inner, ((u0, v0), (u1, v1)) in groups.items():
        if inner[: len(scope)] == scope:
            groups[inner] = (u0, v0 + by), (u1, v1 + by)


def _sort_later_columns(pic: Picture, slots: dict[str, _Slot]) -> None:
    """Within a group: boxes in the order of their operands, and centred on the first column."""
    operands: dict[_Slot, list[_Slot]] = defaultdict(list)
    for arrow in pic.arrows:
        operands[slots[f"n{arrow.head}"]].append(slots[f"n{arrow.tail}"])
    columns: dict[tuple[str, ...], dict[float, list[_Slot]]] = defaultdict(lambda: defaultdict(list))
    for slot in slots.values():
        columns[slot.scope][slot.u].append(slot)
    for scope, stacks in columns.items():
        if not scope or any(inner[:-1] == scope for inner in columns):
            continue
        first, *later = (stacks[u] for u in sorted(stacks))
        middle = (min(slot.top for slot in first) + max(slot.bottom for slot in first)) / 2
        for stack in later:
            if all(operands[slot] for slot in stack):
                stack.sort(key=lambda slot: fmean(operand.v for operand in operands[slot]))
                half = (max(slot.bottom for slot in stack) - min(slot.top for slot in stack)) / 2
                for slot, v in zip(stack, _stacked([slot.breadth for slot in stack], middle - half, middle + half)):
                    slot.v = v


def _stacked(breadths: list[float], top: float, bottom: float) -> list[float]:
    """The middles of things of these breadths that fill the room from `top` to `bottom`, evenly apart."""
    gap = (bottom - top - sum(breadths)) / max(1, len(breadths) - 1)
    middles = []
    top = top if len(breadths) > 1 else (top + bottom - breadths[0]) / 2
    for breadth in breadths:
        middles.append(top + breadth / 2)
        top += breadth + gap
    return middles


class _Hop(NamedTuple):
    """An arrow's way from one column to another: from `start` to `end`, free to bend between u = left and u = right,
    with `room` for its label at its tail or at its head."""

    curve: str  # the id of Graphviz's edge
    start: Point
    end: Point
    gap: float  # the u of the column where it starts
    head_u: float
    left: float
    right: float
    room: float
    at_tail: bool


class _Router:
    """Leads arrows from box to box. Between neighbouring columns that is an S, level where it begins and ends, with the
    label on a level part; farther apart it is the way that Graphviz found around what stands between."""

    def __init__(
        self,
        pic: Picture,
        plan: Plan,
        slots: dict[str, _Slot],
        groups: Groups,
        curves: dict[str, Any],
        turn: Callable[[Point], Point],
    ) -> None:
        self.pic, self.plan, self.slots, self.groups, self.curves, self.turn = pic, plan, slots, groups, curves, turn
        self.begin: dict[float, float] = {}
        self.end: dict[float, float] = {}
        for slot in slots.values():
            self.begin[slot.u] = min(self.begin.get(slot.u, math.inf), slot.u - slot.length / 2)
            self.end[slot.u] = max(self.end.get(slot.u, -math.inf), slot.u + slot.length / 2)
        self.next_column = dict(itertools.pairwise(sorted(self.begin)))
        self.leaving = self._spread("tail")
        self.arriving = self._spread("head")
        hops = {arrow.id: self._hops(arrow) for arrow in pic.arrows}
        # Arrows bend beside the labels that stand in the same gap between columns, not across them.
        self.bend_from: dict[float, float] = {}
        self.bend_to: dict[float, float] = {}
        for hop in itertools.chain.from_iterable(hops.values()):
            if hop.at_tail:
                self.bend_from[hop.gap] = max(self.bend_from.get(hop.gap, -math.inf), hop.left + hop.room)
            else:
                self.bend_to[hop.gap] = min(self.bend_to.get(hop.gap, math.inf), hop.right - hop.room)
        self.routes = [self._route(hops[arrow.id]) for arrow in pic.arrows]

    def _spread(self, end: str) -> dict[str, tuple[float, float]]:
        """Of each arrow: how far from the middle of the box at this end it is, and from the arrow next to it."""
        other = "head" if end == "tail" else "tail"
        arrows: dict[int, list[Arrow]] = defaultdict(list)
        for arrow in self.pic.arrows:
            arrows[getattr(arrow, end)].append(arrow)
        spread = {}
        for i, bundle in arrows.items():
            pitch = self.turn((SPREAD_DOWN, SPREAD_RIGHT))[0]
            if len(bundle) > 1:
                pitch = min(pitch, (self.slots[f"n{i}"].breadth - 12.0) / (len(bundle) - 1))
            bundle.sort(key=lambda a: self.slots[a.door if a.id in self.plan.doors else f"n{getattr(a, other)}"].v)
            for k, arrow in enumerate(bundle):
                spread[arrow.id] = (k - (len(bundle) - 1) / 2) * pitch, pitch if len(bundle) > 1 else math.inf
        return spread

    def _hops(self, arrow: Arrow) -> list[_Hop]:
        """The ways from column to column of which an arrow's way consists: two if it goes through a door."""
        tail, head = self.slots[f"n{arrow.tail}"], self.slots[f"n{arrow.head}"]
        (leaving, room_at_tail), (arriving, room_at_head) = self.leaving[arrow.id], self.arriving[arrow.id]
        edge = ROOT_EDGE if arrow.head == len(self.pic.boxes) - 1 else 0.0
        start = tail.u + tail.length / 2 - UNDER, tail.v + leaving
        end = head.u - head.length / 2 - edge - ARROWHEAD, head.v + arriving
        left, right = self.end[tail.u], self.begin[head.u] - ARROWHEAD
        if tail.scope[:1] != head.scope[:1]:
            left = max(left, self.groups[tail.scope[:1]][1][0] if tail.scope else left)
            right = min(right, self.groups[head.scope[:1]][0][0] if head.scope else right)
        room = self.turn((text_width(arrow.local, SMALL_SIZE), SMALL_SIZE))[0] + 2 * LABEL_GAP
        if arrow.id not in self.plan.doors:
            at_tail = room_at_tail >= room_at_head
            return [_Hop(arrow.id, start, end, tail.u, head.u, left, right, room if arrow.local else 0.0, at_tail)]
        door = self.slots[arrow.door]
        via = door.u, door.v
        right = min(self.begin[door.u], self.groups[head.scope[:1]][0][0])
        return [
            _Hop(arrow.id, start, via, tail.u, door.u, left, right, room if arrow.local else 0.0, False),
            _Hop(arrow.door, via, end, door.u, head.u, self.end[door.u], self.begin[head.u] - ARROWHEAD, 0.0, True),
        ]

    def _route(self, hops: list[_Hop]) -> Route:
        strokes, label = self._strokes(hops[0])
        for hop in hops[1:]:
            (onward,), _ = self._strokes(hop)
            strokes[-1] += onward[1:]
        u, v = hops[-1].end
        return Route(strokes, (u + ARROWHEAD, v), label)

    def _strokes(self, hop: _Hop) -> tuple[list[list[Point]], Point]:
        if self.next_column[hop.gap] != hop.head_u:
            return self._as_graphviz(hop)
        start, end = hop.start, hop.end
        left, right = (
            max(hop.left, self.bend_from.get(hop.gap, hop.left)),
            min(hop.right, self.bend_to.get(hop.gap, hop.right)),
        )
        if right - left < BEND:
            left, right = (hop.left + hop.room, hop.right) if hop.at_tail else (hop.left, hop.right - hop.room)
        if not hop.room or right - left < BEND:
            left, right = (left, right) if right - left >= BEND else (hop.left, hop.right)
            return [[start, *_bend(start, left, right, end)]], ((left + right) / 2, (start[1] + end[1]) / 2)
        if hop.at_tail:
            before, after = (hop.left, start[1]), (hop.left + hop.room, start[1])
            strokes = [[start, *_straight(start, before)], [after, *_bend(after, left, right, end)]]
            return strokes[hop.left - start[0] < UNDER + STUB :], (hop.left + hop.room / 2, start[1])
        before, after = (hop.right - hop.room, end[1]), (hop.right, end[1])
        strokes = [[start, *_bend(start, left, right, before)], [after, *_straight(after, end)]]
        return strokes, (hop.right - hop.room / 2, end[1])

    def _as_graphviz(self, hop: _Hop) -> tuple[list[list[Point]], Point]:
        """Graphviz's own curve, bent so that it begins and ends where the boxes stand now."""
        curve = self.curves[hop.curve]
        points = [self.turn(_point(text)) for text in curve["pos"].split() if not text.startswith("e,")]
        (u0, v0), (u1, v1) = points[0], points[-1]
        start, end = (hop.start[0] - u0, hop.start[1] - v0), (hop.end[0] - u1, hop.end[1] - v1)
        between = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        shifts = [start, start, *[between] * (len(points) - 4), end, end]
        moved = [(u + du, v + dv) for (u, v), (du, dv) in zip(points, shifts)]
        return [moved], self.turn(_point(curve["lp"])) if "lp" in curve else hop.start


def _bend(start: Point, left: float, right: float, end: Point) -> list[Point]:
    """From `start` to `end`, level as far as u = left and from u = right on."""
    middle = (left + right) / 2
    return [
        *_straight(start, (left, start[1])),
        *((middle, start[1]), (middle, end[1]), (right, end[1])),
        *_straight((right, end[1]), end),
    ]


def _straight(a: Point, b: Point) -> list[Point]:
    """The straight line from a to b, as a Bézier curve."""
    return [a, b, b]

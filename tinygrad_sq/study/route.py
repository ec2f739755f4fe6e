"""The ways of arrows from box to box, along the flow (u) and across it (v)."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from tinygrad_sq.study.picture import SMALL_SIZE, Arrow, Picture, text_width

Point: TypeAlias = tuple[float, float]
Groups: TypeAlias = dict[tuple[str, ...], tuple[Point, Point]]

ARROWHEAD = 7.0
SPREAD_DOWN, SPREAD_RIGHT = 13.0, 40.0  # between two arrows at one box, if there is room: as much as a label needs
CROWDED_DOWN, CROWDED_RIGHT = 9.0, 36.0  # arrows closer than this have no room for labels, which their tooltips say too
LABEL_GAP = 4.0
BEND = 14.0  # the least length in which an arrow may change its level
UNDER = 4.0  # arrows begin under their box, whose side may slant
STEPS = 16  # of each Bézier curve: where on it a label may stand
CELL = 32.0


class Slot:
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


class Columns:
    """The columns of boxes, by their u: where each begins and ends, and which is the next."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self.begin: dict[float, float] = {}
        self.end: dict[float, float] = {}
        for slot in slots:
            self.begin[slot.u] = min(self.begin.get(slot.u, math.inf), slot.u - slot.length / 2)
            self.end[slot.u] = max(self.end.get(slot.u, -math.inf), slot.u + slot.length / 2)
        self.next = dict(itertools.pairwise(sorted(self.begin)))


class Route(NamedTuple):
    """The way of an arrow: a point and then three more for each Bézier curve, up to the arrowhead; its tip; the middle
    of the label, a point of the curve, which goes on behind it; None if there is no label."""

    curve: list[Point]
    tip: Point
    label: Point | None

    def turned(self, turn: Callable[[Point], Point]) -> Route:
        return Route([turn(point) for point in self.curve], turn(self.tip), self.label and turn(self.label))


class _Hop(NamedTuple):
    """An arrow's way from one column to another: from `start` to `end`, free to bend between u = left and u = right,
    with `room` for its label (0: none) at its tail or at its head, if it leads to the next column."""

    curve: str  # the id of Graphviz's edge
    start: Point
    end: Point
    tail_u: float
    head_u: float
    left: float
    right: float
    room: float = 0.0
    at_tail: bool = True


class Router:
    """Leads arrows from box to box. To the next column that is an S, level where it begins and ends, with the label on
    a level part; farther it is the way that Graphviz found around what stands between. There, and on an S too short for
    a level part, the label is where it finds room."""

    def __init__(
        self,
        pic: Picture,
        doors: set[str],
        slots: dict[str, Slot],
        groups: Groups,
        columns: Columns,
        curves: dict[str, Any],
        turn: Callable[[Point], Point],
    ) -> None:
        self.pic, self.doors, self.slots, self.groups = pic, doors, slots, groups
        self.columns, self.curves, self.turn = columns, curves, turn
        self.leaving = self._spread(lambda arrow: arrow.tail, lambda arrow: arrow.head)
        self.arriving = self._spread(lambda arrow: arrow.head, lambda arrow: arrow.tail)
        ways = [self._hops(arrow) for arrow in pic.arrows]
        # Arrows bend beside the labels that stand in the same gap between columns, not across them.
        self.labels_end: dict[float, float] = {}
        self.labels_begin: dict[float, float] = {}
        for hop in itertools.chain.from_iterable(ways):
            if hop.room and columns.next.get(hop.tail_u) == hop.head_u:
                end, begin = self.labels_end, self.labels_begin
                if hop.at_tail:
                    end[hop.tail_u] = max(end.get(hop.tail_u, -math.inf), hop.left + hop.room)
                else:
                    begin[hop.tail_u] = min(begin.get(hop.tail_u, math.inf), hop.right - hop.room)
        self.routes = [self._route(hops) for hops in ways]
        self._label([k for k, (hop, *_) in enumerate(ways) if not self.routes[k].label and self._wants_label(k, hop)])

    def _spread(self, here: Callable[[Arrow], int], there: Callable[[Arrow], int]) -> dict[str, tuple[float, float]]:
        """Of each arrow: how far from the middle of the box at this end it is, and from the arrow next to it."""
        bundles: dict[int, list[tuple[float, Arrow]]] = defaultdict(list)
        for arrow in self.pic.arrows:
            other = self.slots[arrow.door if arrow.id in self.doors else f"n{there(arrow)}"]
            bundles[here(arrow)].append((other.v, arrow))
        widest, _ = self.turn((SPREAD_DOWN, SPREAD_RIGHT))
        spread = {}
        for i, bundle in bundles.items():
            gaps = len(bundle) - 1
            pitch = min(widest, (self.slots[f"n{i}"].breadth - 12.0) / gaps) if gaps else math.inf
            bundle.sort(key=lambda pair: pair[0])
            for k, (_, arrow) in enumerate(bundle):
                spread[arrow.id] = (k - gaps / 2) * pitch if gaps else 0.0, pitch
        return spread

    def _hops(self, arrow: Arrow) -> list[_Hop]:
        tail, head = self.slots[f"n{arrow.tail}"], self.slots[f"n{arrow.head}"]
        (leaving, pitch_at_tail), (arriving, pitch_at_head) = self.leaving[arrow.id], self.arriving[arrow.id]
        start = tail.u + tail.length / 2 - UNDER, tail.v + leaving
        end = head.u - head.length / 2 - ARROWHEAD, head.v + arriving
        extent, _ = self.turn((text_width(arrow.local, SMALL_SIZE), SMALL_SIZE))
        room = extent + 2 * LABEL_GAP if arrow.local else 0.0
        if arrow.id in self.doors:
            door = self.slots[arrow.door]
            via = door.u, door.v
            left, right = self._gap(tail, door)
            onward_left, onward_right = self._gap(door, head)
            return [
                _Hop(arrow.id, start, via, tail.u, door.u, left, right, room, at_tail=False),
                _Hop(arrow.door, via, end, door.u, head.u, onward_left, onward_right - ARROWHEAD),
            ]
        _, crowded = self.turn((CROWDED_RIGHT, CROWDED_DOWN))
        if max(pitch_at_tail, pitch_at_head) < crowded:
            room = 0.0
        left, right = self._gap(tail, head)
        at_tail = pitch_at_tail >= pitch_at_head
        return [_Hop(arrow.id, start, end, tail.u, head.u, left, right - ARROWHEAD, room, at_tail)]

    def _gap(self, tail: Slot, head: Slot) -> Point:
        """From where to where arrows may bend: between the two columns, and between the groups if they are apart."""
        left, right = self.columns.end[tail.u], self.columns.begin[head.u]
        if tail.scope[:1] != head.scope[:1]:
            _, (end, _) = self.groups.get(tail.scope[:1], ((0.0, 0.0), (left, 0.0)))
            (begin, _), _ = self.groups.get(head.scope[:1], ((right, 0.0), (0.0, 0.0)))
            if left <= end < begin <= right:
                return end, begin
        return left, right

    def _strays(self, hop: _Hop) -> bool:
        return self.columns.next.get(hop.tail_u) != hop.head_u

    def _wants_label(self, k: int, hop: _Hop) -> bool:
        return hop.room > 0.0 or (self._strays(hop) and bool(self.pic.arrows[k].local))

    def _route(self, hops: list[_Hop]) -> Route:
        curve, label = self._curve(hops[0])
        for hop in hops[1:]:
            onward, _ = self._curve(hop)
            curve += onward[1:]
        u, v = hops[-1].end
        return Route(curve, (u + ARROWHEAD, v), label)

    def _curve(self, hop: _Hop) -> tuple[list[Point], Point | None]:
        if self._strays(hop):
            return self._as_graphviz(hop), None
        start, end = hop.start, hop.end
        left = max(hop.left, self.labels_end.get(hop.tail_u, hop.left))
        right = min(hop.right, self.labels_begin.get(hop.tail_u, hop.right))
        if right - left < BEND:
            return [start, *_bend(start, hop.left, hop.right, end)], None
        label = (hop.left + hop.room / 2, start[1]) if hop.at_tail else (hop.right - hop.room / 2, end[1])
        return [start, *_bend(start, left, right, end)], label if hop.room else None

    def _as_graphviz(self, hop: _Hop) -> list[Point]:
        """Graphviz's own curve, moved at its ends to where this arrow begins and ends."""
        curve = self.curves[hop.curve]["pos"]
        points = [self.turn(position(text)) for text in curve.split() if not text.startswith("e,")]
        ends = [hop.start[k] - points[0][k] for k in (0, 1)], [hop.end[k] - points[-1][k] for k in (0, 1)]
        for i, (du, dv) in zip((0, 1, -2, -1), (ends[0], ends[0], ends[1], ends[1])):
            points[i] = points[i][0] + du, points[i][1] + dv
        return points

    def _label(self, wanted: list[int]) -> None:
        """The labels that have no place yet, each on its curve, where it covers no box, no arrowhead and no label; of
        such places, the one over the fewest other arrows, nearest to the middle. None where all is taken."""
        if not wanted:
            return
        taken, lines = _Taken(), _Taken()
        for i in range(len(self.pic.boxes)):
            slot = self.slots[f"n{i}"]
            taken.add((slot.u, slot.v), (slot.length, slot.breadth))
        sampled = [_samples(route.curve) for route in self.routes]
        extents = [
            self.turn((text_width(arrow.local, SMALL_SIZE) + LABEL_GAP, SMALL_SIZE)) for arrow in self.pic.arrows
        ]
        for k, (route, points) in enumerate(zip(self.routes, sampled)):
            taken.add(_middle(points[-1], route.tip), (ARROWHEAD, ARROWHEAD))
            if route.label:
                taken.add(route.label, extents[k])
            for point in points:
                lines.add(point, (0.0, 0.0), k)
        for k in wanted:
            points, extent = sampled[k], extents[k]
            lengths = list(itertools.accumulate(map(math.dist, points, points[1:]), initial=0.0))
            free = [
                (len(lines.covered(point, extent) - {k}), abs(length - lengths[-1] / 2), point)
                for point, length in zip(points, lengths)
                if not taken.covered(point, extent)
            ]
            if free:
                *_, label = min(free)
                self.routes[k] = self.routes[k]._replace(label=label)
                taken.add(label, extent)


class _Taken:
    """Rectangles, by the squares of a grid that they lie in, and what they belong to."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], list[tuple[Point, Point, int]]] = defaultdict(list)

    def add(self, middle: Point, extent: Point, owner: int = 0) -> None:
        for cell in _cells(middle, extent):
            self.cells[cell].append((middle, extent, owner))

    def covered(self, middle: Point, extent: Point) -> set[int]:
        """Whose rectangles have something in common with this one."""
        return {
            owner
            for cell in _cells(middle, extent)
            for (u, v), (length, breadth), owner in self.cells.get(cell, ())
            if abs(u - middle[0]) < (length + extent[0]) / 2 and abs(v - middle[1]) < (breadth + extent[1]) / 2
        }


def _cells(middle: Point, extent: Point) -> Iterable[tuple[int, int]]:
    us, vs = (range(int((x - size / 2) // CELL), int((x + size / 2) // CELL) + 1) for x, size in zip(middle, extent))
    return itertools.product(us, vs)


def _samples(curve: list[Point]) -> list[Point]:
    """Points of Bézier curves, from the beginning to the end."""
    points = [curve[0]]
    for i in range(0, len(curve) - 1, 3):
        a, b, c, d = curve[i : i + 4]
        for step in range(1, STEPS + 1):
            t = step / STEPS
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
            u, v = (sum(w * point[axis] for w, point in zip(weights, (a, b, c, d))) for axis in (0, 1))
            points.append((u, v))
    return points


def position(text: str) -> Point:
    """Graphviz's "x,y", with y up, as (x, y) with y down."""
    x, y = map(float, text.split(","))
    return x, -y


def _middle(a: Point, b: Point) -> Point:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _straight(a: Point, b: Point) -> list[Point]:
    """The straight line from a to b, as a Bézier curve."""
    return [a, b, b]


def _bend(start: Point, left: float, right: float, end: Point) -> list[Point]:
    """From `start` to `end`, level as far as u = left and from u = right on."""
    middle = (left + right) / 2
    return [
        *_straight(start, (left, start[1])),
        *((middle, start[1]), (middle, end[1]), (right, end[1])),
        *_straight((right, end[1]), end),
    ]

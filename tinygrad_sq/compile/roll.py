"""Roll: find the loops again in a tape of scalar instructions.

Instructions of one kind and depth form a group, whose results get consecutive places. Each is then a vector of places
(result, operands), and a run of vectors with constant differences is a loop; a run of loops with constant differences is
a loop around a loop, and so on until nothing changes. Groups without such a pattern become loops over a table of places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tinygrad_sq.compile.tape import INPUT, PARAMETER, PRODUCTS, Operand, Tape

# Where a value lives. ROW: one number per sample, computed or input. SCALAR: the same for all samples.
ROW, SCALAR = "row", "scalar"

Place: TypeAlias = "tuple[str, int]"
Vector: TypeAlias = "tuple[int, ...]"


class Segment(NamedTuple):
    """`count` terms w x of a sum of products: the spaces of w and x and the strides from one term to the next.

    `table`: the places have no stride; each term has its own pair in the program's table.
    """

    count: int
    spaces: tuple[str, str]
    strides: tuple[int, int]
    table: bool = False


class Loop(NamedTuple):
    """One dimension of a nest: how often, and by how much each place moves from one round to the next."""

    count: int
    strides: Vector


class Nest(NamedTuple):
    """Loops (outermost first) around one instruction.

    native     what it computes
    spaces     of the operands outside segments
    segments   of a sum of products; its bias is the last operand
    places     the result, the operands, then (w, x) of each segment, all at the loops' first round
    table      the loops' places are not patterns: round i takes the vector at table + i · len(places)
    sink       the result is not stored: it is summed over the samples into the output of that number
    uniform    the same for all samples: computed once, before them
    label      a name that one of the results has, for reading
    """

    native: str
    spaces: tuple[str, ...]
    segments: tuple[Segment, ...]
    places: Vector
    loops: tuple[Loop, ...]
    sink: bool
    uniform: bool
    table: bool
    label: str


class Rolled(NamedTuple):
    """The program: its nests in order, and the storage they use.

    rows      places of rows: the inputs, then the results
    scalars   places of scalars: the parameters, then constants, then uniform results
    """

    nests: list[Nest]
    rows: int
    scalars: int
    inputs: int
    parameters: int
    constants: list[float]
    table: list[int]
    outputs: int


# A loop is worth its overhead from this many runs of one group on; beyond, the places go to a table.
_MOST_NESTS = 8
_MOST_SEGMENTS = 4


def roll(tape: Tape, inputs: int, parameters: int) -> Rolled:
    """The loops of `tape`, whose roots are the program's outputs, each to be summed over the samples."""
    return _Roller(tape, inputs, parameters).rolled()


class _Roller:
    def __init__(self, tape: Tape, inputs: int, parameters: int) -> None:
        self.tape = tape
        self.inputs = inputs
        self.parameters = parameters
        self.place: dict[int, Place] = {}
        self.constants: dict[str, int] = {}
        self.table: list[int] = []

    def rolled(self) -> Rolled:
        tape, live = self.tape, self.tape.live()
        depth: dict[int, int] = {}
        uses: dict[int, int] = {}
        varies: set[int] = set()
        work: list[int] = []
        for i in live:
            native, operands, _ = tape.instructions[i]
            if native == INPUT:
                self.place[i] = (ROW, int(operands[0]))
                varies.add(i)
                depth[i] = 0
            elif native == PARAMETER:
                self.place[i] = (SCALAR, int(operands[0]))
                depth[i] = 0
            else:
                refers = [x for x in operands if isinstance(x, int)]
                for x in refers:
                    uses[x] = uses.get(x, 0) + 1
                depth[i] = 1 + max(depth[x] for x in refers)
                if not varies.isdisjoint(refers):
                    varies.add(i)
                work.append(i)
                for x in operands:
                    if not isinstance(x, int):
                        self.constants.setdefault(repr(x), len(self.constants))
        # An output that nothing else uses is summed as it is computed; the others are copied there in the end.
        sinks: dict[int, int] = {}
        copies: list[tuple[int, Operand]] = []
        for k, root in enumerate(tape.roots):
            if isinstance(root, int) and root in varies and root not in uses and root not in sinks and depth[root] > 0:
                sinks[root] = k
            else:
                copies.append((k, root))
                if not isinstance(root, int):
                    self.constants.setdefault(repr(root), len(self.constants))
        self.rows = self.inputs
        self.scalars = self.parameters + len(self.constants)
        nests: list[Nest] = []
        for uniform in (True, False):
            levels: dict[int, list[int]] = {}
            for i in work:
                if (i not in varies) == uniform:
                    levels.setdefault(depth[i], []).append(i)
            for level in sorted(levels):
                groups: dict[tuple[object, ...], list[tuple[int, Vector]]] = {}
                for i in levels[level]:
                    key, vector = self._describe(i)
                    groups.setdefault((*key, i in sinks), []).append((i, vector))
                for (native, spaces, segments, sink), members in groups.items():  # type: ignore[misc]
                    vectors = []
                    for i, vector in members:
                        if sink:
                            vectors.append((sinks[i], *vector))
                        elif uniform:
                            self.place[i] = (SCALAR, self.scalars)
                            self.scalars += 1
                            vectors.append((self.place[i][1], *vector))
                        else:
                            self.place[i] = (ROW, self.rows)
                            self.rows += 1
                            vectors.append((self.place[i][1], *vector))
                    label = next(
                        (self.tape.instructions[i].label for i, _ in members if self.tape.instructions[i].label), ""
                    )
                    nests += self._nests(native, spaces, segments, vectors, sink, uniform, label)  # type: ignore[arg-type]
        for space in (ROW, SCALAR):
            vectors = [(k, place) for k, root in copies for s, place in [self._place(root)] if s == space]
            if vectors:
                nests += self._nests("copy", (space,), (), vectors, True, False, "")
        return Rolled(
            nests,
            self.rows,
            self.scalars,
            self.inputs,
            self.parameters,
            [float(c) for c in self.constants],
            self.table,
            len(tape.roots),
        )

    def _place(self, x: Operand) -> Place:
        return self.place[x] if isinstance(x, int) else (SCALAR, self.parameters + self.constants[repr(x)])

    def _describe(self, i: int) -> tuple[tuple[object, ...], Vector]:
        """What must be alike for instructions to share a loop, and the places that may differ."""
        native, operands, _ = self.tape.instructions[i]
        places = [self._place(x) for x in operands]
        if native != PRODUCTS:
            return (native, tuple([s for s, _ in places]), ()), tuple([p for _, p in places])
        pairs = [
            ((ws, xs), (w, x)) if (ws, xs) != (ROW, SCALAR) else ((xs, ws), (x, w))
            for (ws, w), (xs, x) in zip(places[0:-1:2], places[1:-1:2])
        ]
        segments, starts = self._segments(pairs)
        space, bias = places[-1]
        return (native, (space,), tuple(segments)), (bias, *starts)

    def _segments(self, pairs: Sequence[tuple[tuple[str, str], tuple[int, int]]]) -> tuple[list[Segment], list[int]]:
        segments: list[Segment] = []
        starts: list[int] = []
        k = 0
        while k < len(pairs):
            spaces, (w, x) = pairs[k]
            end = k + 1
            strides = (0, 0)
            if end < len(pairs) and pairs[end][0] == spaces:
                strides = pairs[end][1][0] - w, pairs[end][1][1] - x
                while end < len(pairs) and pairs[end] == (
                    spaces, (w + (end - k) * strides[0], x + (end - k) * strides[1])
                ):  # fmt: skip
                    end += 1
            segments.append(Segment(end - k, spaces, strides))
            starts += [w, x]
            k = end
        if len(segments) <= _MOST_SEGMENTS:
            return segments, starts
        segments, starts = [], []
        for spaces in sorted({spaces for spaces, _ in pairs}):
            chosen = [places for s, places in pairs if s == spaces]
            segments.append(Segment(len(chosen), spaces, (0, 0), table=True))
            starts += [len(self.table), 0]
            self.table += [p for places in chosen for p in places]
        return segments, starts

    def _nests(
        self,
        native: str,
        spaces: tuple[str, ...],
        segments: tuple[Segment, ...],
        vectors: list[Vector],
        sink: bool,
        uniform: bool,
        label: str,
    ) -> list[Nest]:
        found = _loops(vectors)
        if len(found) > _MOST_NESTS:
            start = len(self.table)
            self.table += [p for vector in vectors for p in vector]
            loops = (Loop(len(vectors), (len(vectors[0]),)),)
            return [Nest(native, spaces, segments, (start,), loops, sink, uniform, True, label)]
        return [Nest(native, spaces, segments, places, loops, sink, uniform, False, label) for places, loops in found]


def _loops(vectors: list[Vector]) -> list[tuple[Vector, tuple[Loop, ...]]]:
    """Runs of vectors with constant differences, runs of such runs, and so on."""
    items: list[tuple[Vector, tuple[Loop, ...]]] = [(vector, ()) for vector in vectors]
    while True:
        merged: list[tuple[Vector, tuple[Loop, ...]]] = []
        k = 0
        while k < len(items):
            start, loops = items[k]
            end = k + 1
            if end < len(items) and items[end][1] == loops:
                step = tuple([b - a for a, b in zip(start, items[end][0])])
                last = start
                while end < len(items) and items[end][1] == loops:
                    if any(b - a != d for a, b, d in zip(last, items[end][0], step)):
                        break
                    last = items[end][0]
                    end += 1
                if end - k > 1:
                    loops = (Loop(end - k, step), *loops)
            merged.append((start, loops))
            k = end
        if len(merged) == len(items):
            return items
        items = merged

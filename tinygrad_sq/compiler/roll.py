"""Roll: find the loops again in a tape of scalar instructions.

Instructions of one kind and depth form a group, whose results get consecutive places. Each is then a vector of places
(result, operands), and a run of vectors with constant differences is a loop; a run of loops with constant differences
is a loop around a loop, and so on until nothing changes. A group without such a pattern is a loop over a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

from tinygrad_sq.compiler.tape import INPUT, PARAMETER, PRODUCTS, Operand, Tape

# Where a value lives. ROW: one number per sample, computed or input. SCALAR: the same for all samples.
ROW, SCALAR = "row", "scalar"

Place: TypeAlias = "tuple[str, int]"
Vector: TypeAlias = "tuple[int, ...]"


class Segment(NamedTuple):
    """`terms` terms w x of a sum of products: the spaces of w and x and the strides from one term to the next.

    `table`: the places have no stride; each term has its own pair in the program's table.
    """

    terms: int
    spaces: tuple[str, str]
    strides: tuple[int, int]
    table: bool = False

    @property
    def single(self) -> bool:
        """Whether it is one term, at a place of its own."""
        return self.terms == 1 and not self.table


class Loop(NamedTuple):
    """One dimension of a nest: how often, and by how much each place moves from one round to the next."""

    rounds: int
    strides: Vector


class Nest(NamedTuple):
    """Loops (outermost first) around one instruction.

    native     what it computes
    spaces     of the operands outside segments
    segments   of a sum of products; its bias is the last operand
    sink       the result is an output, of the number that is its place
    uniform    the same for all samples: computed once, before them
    places     the result, the operands, then (w, x) of each segment, all at the loops' first round
    table      the places have no pattern: places is where they start in the program's table, the stride their number
    """

    native: str
    spaces: tuple[str, ...]
    segments: tuple[Segment, ...]
    sink: bool
    uniform: bool
    places: Vector
    loops: tuple[Loop, ...]
    table: bool


class _Kind(NamedTuple):
    """What instructions in one loop have in common: the first columns of `Nest`."""

    native: str
    spaces: tuple[str, ...]
    segments: tuple[Segment, ...]
    sink: bool = False
    uniform: bool = False


class Rolled(NamedTuple):
    """The program: its nests in order, and the storage they use.

    rows      places of rows: the inputs, then the results
    scalars   places of scalars: the parameters, then constants, then uniform results
    outputs   their names
    labels    the names of places; results without one are t0[0], t0[1], ..., t1[0], ... by group
    """

    nests: list[Nest]
    rows: int
    scalars: int
    inputs: int
    parameters: int
    constants: list[float]
    table: list[int]
    outputs: list[str]
    labels: dict[Place, str]


# A loop is worth its overhead from this many runs of one group on; beyond, the places go to a table.
_MOST_NESTS = 8
_MOST_SEGMENTS = 4
# Of instructions of one depth; if they are in more groups, their sums of products are told apart by number of terms
# alone, and are loops over tables.
_MOST_GROUPS = 32


def roll(tape: Tape, inputs: int, parameters: int, outputs: list[str]) -> Rolled:
    """The loops of `tape`, whose roots are the program's outputs; `outputs` are their names."""
    return _Roller(tape, inputs, parameters, outputs).rolled()


class _Roller:
    def __init__(self, tape: Tape, inputs: int, parameters: int, outputs: list[str]) -> None:
        self.tape = tape
        self.outputs = outputs
        self.inputs = inputs
        self.parameters = parameters
        self.place: dict[int, Place] = {}
        self.constants: dict[str, int] = {}
        self.table: list[int] = []
        self.labels: dict[Place, str] = {}
        self.groups = 0  # that have no names of their own

    def rolled(self) -> Rolled:
        tape = self.tape
        depth: dict[int, int] = {}
        used: set[int] = set()
        varies: set[int] = set()
        work: list[int] = []
        for i in tape.live():
            native, operands, label = tape.instructions[i]
            depth[i] = 0
            if native in (INPUT, PARAMETER):
                self.place[i] = (ROW if native == INPUT else SCALAR, int(operands[0]))
                self.labels[self.place[i]] = label
                if native == INPUT:
                    varies.add(i)
                continue
            refers = [x for x in operands if isinstance(x, int)]
            used.update(refers)
            depth[i] = 1 + max(depth[x] for x in refers)
            if not varies.isdisjoint(refers):
                varies.add(i)
            work.append(i)
            self._remember(operands)
        self._remember(tape.roots)
        self.rows = self.inputs
        self.scalars = self.parameters + len(self.constants)

        # An output that nothing else uses leaves as it is computed; the others are copied out in the end.
        sinks: dict[int, int] = {}
        copies: list[tuple[int, Operand]] = []
        times = Counter(root for root in tape.roots if isinstance(root, int))
        for k, root in enumerate(tape.roots):
            if isinstance(root, int) and root in varies and root not in used and times[root] == 1 and depth[root]:
                sinks[root] = k
            else:
                copies.append((k, root))

        nests: list[Nest] = []
        work.sort(key=lambda i: (i in varies, depth[i]))  # stable: in the order of the tape otherwise
        for (varied, _), alike in groupby(work, key=lambda i: (i in varies, depth[i])):
            level = list(alike)
            table = len(self.table)
            groups = _groups([(i, *self._describe(i, sinks.get(i), _MOST_SEGMENTS)) for i in level])
            if len(groups) > _MOST_GROUPS:
                del self.table[table:]
                groups = _groups([(i, *self._describe(i, sinks.get(i), 0)) for i in level])
            for (kind, _), members in groups.items():
                kind = kind._replace(uniform=not varied)
                vectors = [(sinks[i] if kind.sink else self._new(i, varied), *places) for i, places in members]
                if not kind.sink:
                    self._label([i for i, _ in members])
                nests += self._nests(kind, vectors)
        for space in (ROW, SCALAR):
            vectors = [(k, place) for k, root in copies for s, place in [self._place(root)] if s == space]
            if vectors:
                nests += self._nests(_Kind("copy", (space,), (), sink=True, uniform=False), vectors)
        constants = [float(c) for c in self.constants]
        sizes = self.rows, self.scalars, self.inputs, self.parameters
        return Rolled(nests, *sizes, constants, self.table, self.outputs, self.labels)

    def _remember(self, operands: Iterable[Operand]) -> None:
        for x in operands:
            if not isinstance(x, int):
                self.constants.setdefault(repr(x), len(self.constants))

    def _label(self, group: list[int]) -> None:
        """Names for the places of a group: those of its values, or a letter of its own."""
        names = [self.tape.instructions[i].label for i in group]
        if not all(names):
            self.groups += 1
            names = [f"t{self.groups}[{k}]" for k in range(len(group))]
        for i, name in zip(group, names):
            self.labels[self.place[i]] = name

    def _new(self, i: int, varied: bool) -> int:
        """A place for the result of instruction i."""
        if varied:
            self.place[i] = (ROW, self.rows)
            self.rows += 1
        else:
            self.place[i] = (SCALAR, self.scalars)
            self.scalars += 1
        return self.place[i][1]

    def _place(self, x: Operand) -> Place:
        return self.place[x] if isinstance(x, int) else (SCALAR, self.parameters + self.constants[repr(x)])

    def _describe(self, i: int, output: int | None, most: int) -> tuple[_Kind, tuple[str, ...], Vector]:
        """What must be alike for instructions to share a loop, what had better be (names), and the operands' places.

        A sum of products that takes more than `most` segments has its terms in the table.
        """
        native, operands, label = self.tape.instructions[i]
        places = [self._place(x) for x in operands]
        stems = [_stem(self.labels.get(place, "")) for place in places]
        name = _stem(label if output is None else self.outputs[output])
        if native != PRODUCTS:
            kind = _Kind(native, tuple([s for s, _ in places]), (), output is not None)
            return kind, (name, *stems), tuple([p for _, p in places])
        pairs: dict[tuple[str, ...], list[tuple[tuple[str, str], tuple[int, int]]]] = {}
        for k in range(0, len(places) - 1, 2):
            w, x = (k, k + 1) if (places[k][0], places[k + 1][0]) != (ROW, SCALAR) else (k + 1, k)
            pair = (places[w][0], places[x][0]), (places[w][1], places[x][1])
            pairs.setdefault((*pair[0], stems[w], stems[x]), []).append(pair)
        segments, starts = self._segments([pair for alike in pairs.values() for pair in alike], most)
        space, bias = places[-1]
        kind = _Kind(native, (space,), tuple(segments), output is not None)
        return kind, (name, stems[-1], *(stem for key in pairs for stem in key)), (bias, *starts)

    def _segments(
        self, pairs: Sequence[tuple[tuple[str, str], tuple[int, int]]], most: int
    ) -> tuple[list[Segment], list[int]]:
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
        if len(segments) <= most:
            return segments, starts
        segments, starts = [], []
        for spaces in sorted({spaces for spaces, _ in pairs}):
            chosen = [places for s, places in pairs if s == spaces]
            segments.append(Segment(len(chosen), spaces, (0, 0), table=True))
            starts += [len(self.table), 0]
            self.table += [p for places in chosen for p in places]
        return segments, starts

    def _nests(self, kind: _Kind, vectors: list[Vector]) -> list[Nest]:
        found = _loops(vectors)
        if len(found) <= _MOST_NESTS:
            return [Nest(*kind, places, loops, False) for places, loops in found]
        start = len(self.table)
        self.table += [place for vector in vectors for place in vector]
        loop = Loop(len(vectors), (len(vectors[0]),))
        return [Nest(*kind, (start,), (loop,), True)]


_Described: TypeAlias = "tuple[int, _Kind, tuple[str, ...], Vector]"


def _groups(described: Sequence[_Described]) -> dict[tuple[_Kind, object], list[tuple[int, Vector]]]:
    """The instructions of one depth by kind and names: what has one name reads as one array. By kind alone if there are
    too many names for that to be so."""
    by_name: dict[tuple[_Kind, object], list[tuple[int, Vector]]] = {}
    by_kind: dict[tuple[_Kind, object], list[tuple[int, Vector]]] = {}
    for i, kind, names, places in described:
        by_name.setdefault((kind, names), []).append((i, places))
        by_kind.setdefault((kind, ()), []).append((i, places))
    return by_name if len(by_name) <= _MOST_NESTS * len(by_kind) else by_kind


def _stem(label: str) -> str:
    """W1 of W1[0,2]; nothing of a name without indices, which says nothing of what it could share a loop with."""
    return label.partition("[")[0] if label.endswith("]") else ""


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
                loops = (Loop(end - k, step), *loops)
            merged.append((start, loops))
            k = end
        if len(merged) == len(items):
            return items
        items = merged

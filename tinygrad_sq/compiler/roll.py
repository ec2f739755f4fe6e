"""Roll: find the loops again in a tape of scalar instructions.

Instructions of one kind and depth form a group, whose results get consecutive places. Depth counts the sums of several
products on the way there, then what stands behind the last of them: so the steps of a recurrence do not overlap. Each
instruction is then a vector of places (result, operands), and a run of vectors with constant differences is a loop; a
run of loops with constant differences is a loop around a loop, and so on until nothing changes. A group without such a
pattern is a loop over a table. series.py looks for loops around several groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from operator import itemgetter, sub
from typing import TypeAlias

from tinygrad_sq.compiler.nest import ROW, SCALAR, Loop, Nest, Place, Rolled, Segment, Vector
from tinygrad_sq.compiler.series import series
from tinygrad_sq.compiler.tape import PRODUCTS, Operand, Tape

# Of an operand: its space, its place, and what its name begins with.
_Found: TypeAlias = "tuple[str, int, str]"

# Of the two factors of a term: their spaces, what each one's name begins with, and, where the order of terms counts, in
# which run of such terms it stands.
_Names: TypeAlias = "tuple[tuple[str, str], str, str, int]"

# What instructions in one loop have in common: the first columns of `Nest`, native to sink.
_Kind: TypeAlias = "tuple[str, tuple[str, ...], tuple[Segment, ...], bool]"


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
        self.found: dict[int | str, _Found] = {}  # by number of the instruction, or the constant as text
        self.constants: list[float] = []
        self.table: list[int] = []
        self.labels: dict[Place, str] = {}
        self.unnamed: set[str] = set()

    def rolled(self) -> Rolled:
        varies, levels = self._levels()
        self._remember(self.tape.roots)
        sinks, copies = self._outputs(varies)
        constants = len(self.constants)
        rows = self.inputs - len(sinks) + sum(len(level) for (varied, _), level in levels.items() if varied)
        parameters = constants + sum(len(level) for (varied, _), level in levels.items() if not varied)
        self.free = {ROW: range(self.inputs, rows), SCALAR: range(constants, parameters)}
        leaves = [(ROW, k) for k in range(self.inputs)] + [(SCALAR, parameters + k) for k in range(self.parameters)]
        for i, (space, place) in enumerate(leaves):
            self._settle(i, space, place, self.tape.labels[i])

        nests: list[Nest] = []
        for (varied, _), level in sorted(levels.items()):
            table = len(self.table)
            groups = self._groups(level, sinks, _MOST_SEGMENTS)
            if len(groups) > _MOST_GROUPS:
                del self.table[table:]
                groups = self._groups(level, sinks, 0)
            for (kind, _), members in groups.items():
                group = [i for i, _ in members]
                *_, sink = kind
                results = [sinks[i] for i in group] if sink else self._places(group, varied)
                vectors = [(result, *places) for result, (_, places) in zip(results, members)]
                nests += self._nests(kind, not varied, vectors)
        for space in (ROW, SCALAR):
            roots = [(k, self.found[root if type(root) is int else repr(root)]) for k, root in copies]
            vectors = [(k, place) for k, (s, place, _) in roots if s == space]
            if vectors:
                nests += self._nests(("copy", (space,), (), True), False, vectors)
        return Rolled(
            series(nests, [self._names(nest) for nest in nests]),
            rows,
            parameters + self.parameters,
            self.inputs,
            self.parameters,
            self.constants,
            self.table,
            self.outputs,
            self.labels,
            self.unnamed,
        )

    def _levels(self) -> tuple[set[int], dict[tuple[bool, tuple[int, int]], list[int]]]:
        """What differs from sample to sample; the instructions by that and by depth."""
        leaves = self.inputs + self.parameters
        depth = dict.fromkeys(range(leaves), (0, 0))
        varies = set(range(self.inputs))
        levels: dict[tuple[bool, tuple[int, int]], list[int]] = {}
        for i in self.tape.live:
            if i < leaves:
                continue
            native, operands = self.tape.instructions[i]
            refers = self.tape.refers[i]
            sums, others = max(map(depth.__getitem__, refers))
            depth[i] = (sums + 1, 0) if native == PRODUCTS and len(operands) > 3 else (sums, others + 1)
            if not varies.isdisjoint(refers):
                varies.add(i)
            levels.setdefault((i in varies, depth[i]), []).append(i)
            if len(refers) < len(operands):
                self._remember(operands)
        return varies, levels

    def _outputs(self, varies: set[int]) -> tuple[dict[int, int], list[tuple[int, Operand]]]:
        """Outputs that nothing else uses, which leave as they are computed, and those to be copied out in the end."""
        sinks: dict[int, int] = {}
        copies: list[tuple[int, Operand]] = []
        for k, root in enumerate(self.tape.roots):
            if type(root) is int and root in varies and self.tape.uses[root] == 1 and self.tape.refers[root]:
                sinks[root] = k
            else:
                copies.append((k, root))
        return sinks, copies

    def _names(self, nest: Nest) -> tuple[str, ...]:
        """Of its places in the first round, but for the numbers: alike for W1[0,0] and W2[3,4]."""
        labels = [self.labels.get(at, "") for at in zip(nest.all_spaces, nest.places)]
        if nest.sink and not nest.table:
            labels[0] = self.outputs[nest.places[0]]
        return tuple([re.sub(r"\d+", "", label) for label in labels])

    def _remember(self, operands: Iterable[Operand]) -> None:
        for x in operands:
            if type(x) is float and repr(x) not in self.found:
                self.found[repr(x)] = SCALAR, len(self.constants), ""
                self.constants.append(x)

    def _settle(self, i: int, space: str, place: int, label: str) -> None:
        self.found[i] = space, place, _stem(label)
        self.labels[space, place] = label

    def _places(self, group: Sequence[int], varied: bool) -> range:
        """Places for the results of a group, with the names of its values, or a letter of its own."""
        names = [self.tape.labels.get(i, "") for i in group]
        if not all(names):
            name = f"t{len(self.unnamed) + 1}"
            self.unnamed.add(name)
            names = [f"{name}[{k}]" for k in range(len(group))]
        space = ROW if varied else SCALAR
        n, free = len(group), self.free[space]
        if n > 1:
            places, self.free[space] = free[:n], free[n:]
        else:  # from the other end: J alone must not stand between steps that would be as far apart as the others
            places, self.free[space] = free[-1:], free[:-1]
        for i, place, name in zip(group, places, names):
            self._settle(i, space, place, name)
        return places

    def _groups(
        self, level: Sequence[int], sinks: dict[int, int], most: int
    ) -> dict[tuple[_Kind, object], list[tuple[int, Vector]]]:
        """The instructions of one depth by kind and names: what has one name reads as one array. By kind alone if there
        are too many names for that to be so."""
        groups: dict[tuple[_Kind, object], list[tuple[int, Vector]]] = {}
        for i in level:
            kind, names, places = self._describe(i, sinks.get(i), most)
            groups.setdefault((kind, names), []).append((i, places))
        if len(groups) <= _MOST_NESTS * len({kind for kind, _ in groups}):
            return groups
        of_one_kind: dict[tuple[_Kind, object], list[tuple[int, Vector]]] = {}
        for (kind, _), members in groups.items():
            of_one_kind.setdefault((kind, ()), []).extend(members)
        return {key: sorted(members, key=itemgetter(0)) for key, members in of_one_kind.items()}

    def _describe(self, i: int, output: int | None, most: int) -> tuple[_Kind, tuple[str, ...], Vector]:
        """What must be alike for instructions to share a loop, what had better be (names), and the operands' places.

        A sum of products that takes more than `most` segments has its terms in the table.
        """
        native, operands = self.tape.instructions[i]
        found = [self.found[x if type(x) is int else repr(x)] for x in operands]
        name = _stem(self.tape.labels.get(i, "") if output is None else self.outputs[output])
        if native != PRODUCTS:
            spaces, places, stems = zip(*found)
            return (native, spaces, (), output is not None), (name, *stems), places
        *factors, (space, bias, stem) = found
        in_order = i in self.tape.in_order
        arrays: dict[_Names, list[tuple[int, int]]] = {}
        run, last = 0, None
        for w, x in zip(factors[::2], factors[1::2]):
            if w[0] == ROW and x[0] == SCALAR:
                w, x = x, w
            names = (w[0], x[0]), w[2], x[2]
            run += in_order and names != last
            arrays.setdefault((*names, run), []).append((w[1], x[1]))
            last = names
        segments, starts = self._segments(arrays, most, in_order)
        kind = native, (space,), tuple(segments), output is not None
        return kind, (name, stem, *(s for _, *stems, _ in arrays for s in stems)), (bias, *starts)

    def _segments(
        self, arrays: dict[_Names, list[tuple[int, int]]], most: int, in_order: bool
    ) -> tuple[list[Segment], list[int]]:
        """Runs of terms with constant differences, and where they start: within arrays, those without a name as one. If
        that makes more than `most`, across arrays, and then as tables."""

        def named(names: _Names) -> tuple[object, ...]:
            spaces, *stems, _ = names
            w, x = ["" if stem in self.unnamed else stem for stem in stems]
            return spaces, w, x

        ways: tuple[Callable[[_Names], object], ...] = named, itemgetter(0)
        for alike in ways:
            segments: list[Segment] = []
            starts: list[int] = []
            for _, group in groupby(arrays, alike):
                names = list(group)
                pairs = [pair for each in names for pair in arrays[each]]
                ends = set(accumulate(len(arrays[each]) for each in names)) if alike is named else set()
                for terms, strides, start in _runs(pairs, ends):
                    segments.append(Segment(terms, names[0][0], strides))
                    starts += start
            if len(segments) <= most:
                return segments, starts
        segments, starts = [], []
        for spaces, group in groupby(arrays if in_order else sorted(arrays, key=itemgetter(0)), itemgetter(0)):
            chosen = [pair for names in group for pair in arrays[names]]
            if len(chosen) == 1:
                segments.append(Segment(1, spaces, (0, 0)))
                starts += chosen[0]
            else:
                segments.append(Segment(len(chosen), spaces, (0, 0), table=True))
                starts += [len(self.table), 0]
                self.table += [place for pair in chosen for place in pair]
        return segments, starts

    def _nests(self, kind: _Kind, uniform: bool, vectors: Sequence[Vector]) -> list[Nest]:
        found = _loops(vectors)
        if len(found) <= _MOST_NESTS:
            return [Nest(*kind, uniform, places, loops, False) for places, loops in found]
        start = len(self.table)
        self.table += [place for vector in vectors for place in vector]
        loop = Loop(len(vectors), (len(vectors[0]),))
        return [Nest(*kind, uniform, (start,), (loop,), True)]


def _runs(
    pairs: Sequence[tuple[int, int]], ends: Container[int]
) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Runs with constant differences: how many pairs, the differences, the first pair. Two are no run where an array
    `ends` between them: there is a difference between any two."""
    k = 0
    while k < len(pairs):
        w, x = pairs[k]
        end = k + 1
        strides = (0, 0)
        if end < len(pairs):
            dw, dx = strides = pairs[end][0] - w, pairs[end][1] - x
            while end < len(pairs) and pairs[end] == (w + (end - k) * dw, x + (end - k) * dx):
                end += 1
            if end == k + 2 and k + 1 in ends:
                end, strides = k + 1, (0, 0)
        yield end - k, strides, (w, x)
        k = end


def _stem(label: str) -> str:
    """W1 of W1[0,2]; nothing of a name without indices, which says nothing of what it could share a loop with."""
    return label.partition("[")[0] if label.endswith("]") else ""


def _loops(vectors: Sequence[Vector]) -> list[tuple[Vector, tuple[Loop, ...]]]:
    """Runs of vectors with constant differences, runs of such runs, and so on."""
    items: list[tuple[Vector, tuple[Loop, ...]]] = [(vector, ()) for vector in vectors]
    while True:
        merged: list[tuple[Vector, tuple[Loop, ...]]] = []
        k = 0
        while k < len(items):
            start, loops = items[k]
            end = k + 1
            if end < len(items) and items[end][1] == loops:
                step = tuple(map(sub, items[end][0], start))
                last = start
                while end < len(items) and items[end][1] == loops and tuple(map(sub, items[end][0], last)) == step:
                    last = items[end][0]
                    end += 1
                loops = (Loop(end - k, step), *loops)
            merged.append((start, loops))
            k = end
        if len(merged) == len(items):
            return items
        items = merged

"""The rolled program as text: one line a nest, in the names of the values that it was rolled from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import product

from tinygrad_sq.compiler.nest import SCALAR, Nest, Place, Rolled, Segment
from tinygrad_sq.compiler.tape import PRODUCTS

_COUNTERS = "ijklmnopqrtuvw"
_OUTER = "s"  # of a series

# How LLVM's instructions are written on paper; what is not here is a function and written as one.
_WRITTEN = {
    "fadd": "{0} + {1}",
    "fsub": "{0} - {1}",
    "fmul": "{0} · {1}",
    "fdiv": "{0} / {1}",
    "fneg": "-{0}",
    "fcmp olt": "[{0} < {1}]",
    "fcmp oeq": "[{0} = {1}]",
    "select": "where({0}, {1}, {2})",
    "copy": "{0}",
    "llvm.fabs": "|{0}|",
}

_Terms = Sequence[tuple[str, int, int]]  # (counter, stride, rounds) of each loop around


def to_text(program: Rolled, per_sample: bool = False) -> str:
    """The nests in order: `for i < 16: z2[i] = b1[i] + Σ_{j < 2} W1[i,j] · x[j]` is E2.

    δ2[i] stands for ∂J/∂z2[i], and `sum` for the sum over the samples; there is none where results are `per_sample`.
    """
    program = program._replace(labels=_numbered(program, _labels(program)))
    lines = []
    for rounds, nests in program.series:
        outer = _OUTER if rounds > 1 else ""
        if outer:
            lines.append(f"for {outer} < {rounds}:")
        lines += [f"{'  ' * len(outer)}{_line(program, nest, per_sample, outer)}" for nest in nests]
    return "\n".join(lines)


def _line(program: Rolled, nest: Nest, per_sample: bool, outer: str) -> str:
    """`outer` is the counter of the loop that it shares with others."""
    counters = outer + _COUNTERS[: len(nest.loops) - len(outer)]
    counter = _COUNTERS[len(counters) - len(outer)]  # of terms
    head = ", ".join(f"{i} < {loop.rounds}" for i, loop in [*zip(counters, nest.loops)][len(outer) :])

    def name(k: int, *within: tuple[str, int, int]) -> str:
        """Of its k-th place."""
        if nest.table:
            return f"place[{k}]"
        terms = [*[(i, loop.strides[k], loop.rounds) for i, loop in zip(counters, nest.loops)], *within]
        if nest.sink and k == 0:
            return _pattern(lambda move: program.outputs[nest.places[0] + move], terms)
        return _name(program, nest.all_spaces[k], nest.places[k], terms)

    first = 1 + len(nest.spaces)
    operands = [name(k) for k in range(1, first)]
    if nest.native == PRODUCTS:
        formula = " + ".join(
            [
                *[bias for bias in operands if bias != "0"],
                *[_products(segment, counter, name, first + 2 * s) for s, segment in enumerate(nest.segments)],
            ]
        )
    elif nest.native in _WRITTEN:
        formula = _WRITTEN[nest.native].format(*operands)
    else:
        formula = f"{nest.native.removeprefix('llvm.')}({', '.join(operands)})"
    if nest.sink and not per_sample:
        formula = f"sum({formula})"
    return f"{f'for {head}: ' if head else ''}{name(0)} = {formula}"


def _products(segment: Segment, counter: str, name: Callable[..., str], at: int) -> str:
    """Its terms, whose first factors stand at the nest's places `at` and behind."""
    factors = [
        f"place[{counter}]" if segment.table else name(at + side, (counter, segment.strides[side], segment.terms))
        for side in (0, 1)
    ]
    product = " · ".join(factor for factor in factors if factor != "1") or "1"
    return product if segment.terms == 1 else f"Σ_{{{counter} < {segment.terms}}} {product}"


def _name(program: Rolled, space: str, place: int, terms: _Terms) -> str:
    if space == SCALAR and place < len(program.constants):
        moves = any(stride and rounds > 1 for _, stride, rounds in terms)
        return f"{program.constants[place]:g}{' and on' if moves else ''}"

    def label(move: int) -> str:
        given = program.labels.get((space, place + move), "")
        parameter = place + move - (program.scalars - program.parameters)
        return given or (f"p[{parameter}]" if space == SCALAR and parameter >= 0 else "")

    return _pattern(label, terms)


def _labels(program: Rolled) -> dict[Place, str]:
    """The names of places. Unnamed results of a series have their round as an index: t5[2,0] in place of t13[0].

    So do those that its first round reads where later rounds read these, and those of one more such nest behind it.
    """
    labels = dict(program.labels)

    def index(at: Place) -> str:
        """What follows the bracket in the name of something unnamed."""
        name, _, index = labels.get(at, "").partition("[")
        return index if name in program.unnamed else ""

    single = {nest for rounds, nests in program.series for nest in nests if rounds == 1}
    before = {at for nest in single for at in _results(nest, program.table)}
    for rounds, nests in program.series:
        if rounds == 1:
            continue
        read = {
            (space, place, move)
            for nest in nests
            for space, place, move in zip(nest.all_spaces[1:], nest.places[1:], nest.loops[0].strides[1:])
        }
        for nest in nests:
            moves, inner = nest.loops[0].strides, nest.loops[1:]
            results = _results(nest._replace(loops=inner), program.table)
            indices = [index(at) for at in results]
            if nest.sink or "" in indices:
                continue
            earlier = [(space, place - moves[0]) for space, place in results]
            ahead = (*earlier[0], moves[0]) in read and [index(at) for at in earlier if at in before] == indices
            again = nest._replace(places=tuple(p + rounds * m for p, m in zip(nest.places, moves)), loops=inner)
            name, _, _ = labels[results[0]].partition("[")
            for k in range(-ahead, rounds + (again in single)):
                for (space, place), rest in zip(results, indices):
                    labels[space, place + k * moves[0]] = f"{name}[{k + ahead},{rest}"
    return labels


def _numbered(program: Rolled, labels: dict[Place, str]) -> dict[Place, str]:
    """The labels, with t1, t2, ... in the order in which they are computed."""
    numbers: dict[str, int] = {}
    for at in [at for nest in program.nests for at in _results(nest, program.table)]:
        name, _, rest = labels[at].partition("[")
        if name in program.unnamed:
            labels[at] = f"t{numbers.setdefault(name, len(numbers) + 1)}[{rest}"
    return labels


def _results(nest: Nest, table: Sequence[int]) -> list[Place]:
    """Where its results are, in the order of its rounds."""
    if nest.sink:
        return []
    moves = product(*[[k * loop.strides[0] for k in range(loop.rounds)] for loop in nest.loops])
    places = [nest.places[0] + sum(move) for move in moves]
    return [(nest.all_spaces[0], table[place] if nest.table else place) for place in places]


_NUMBERS = re.compile(r"(\d+)")


def _pattern(label: Callable[[int], str], terms: _Terms) -> str:
    """The name with its numbers as functions of the counters, where `label` tells it so many places from the first one.

    W1[0,0] is W1[i,j] with W1[1,0] a step along i and W1[0,1] a step along j; W{s+1}[0,0] with W2[0,0] one along s.
    """

    def split(move: int) -> list[str]:
        return _NUMBERS.split(re.sub(r"∂J/∂z(\d+)", r"δ\1", label(move)))

    first = split(0)
    if not any(first):
        return "?"
    name = "".join(first)
    start = [int(n) for n in first[1::2]]
    moves: list[list[tuple[int, str]]] = [[] for _ in start]
    for counter, stride, rounds in terms:
        if stride == 0 or rounds == 1:
            continue
        names = [split(k * stride) for k in range(1, rounds)]
        changes = [int(n) - m for n, m in zip(names[0][1::2], start)]
        for k, other in enumerate(names, 1):
            if other[::2] != first[::2] or [int(n) for n in other[1::2]] != [m + k * c for m, c in zip(start, changes)]:
                return f"{name} and on"
        for move, change in zip(moves, changes):
            if change:
                move.append((change, counter))
    result = first[0]
    for n, move, text in zip(start, moves, first[2::2]):
        number = _sum(n, move)
        result += (f"{{{number}}}" if move and "[" not in result else number) + text
    return result


def _sum(start: int, moves: Sequence[tuple[int, str]]) -> str:
    """s+1 for 1 and (1, "s"), 3-2s for 3 and (-2, "s")."""
    terms = [(n > 0, f"{abs(n) if abs(n) > 1 else ''}{counter}") for n, counter in moves]
    if start or not moves:
        terms.append((True, str(start)))
    terms.sort(key=lambda term: not term[0])
    return "".join(f"{'+' if positive else '-'}{text}" for positive, text in terms).removeprefix("+")

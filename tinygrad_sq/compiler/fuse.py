"""Fuse: nests with the same loops as one loop around several instructions, whose results stay in registers.

Without it each nest would write its rows for the next one to read: half of the time of a small net.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

from tinygrad_sq.compiler.nest import ROW, Nest, Series
from tinygrad_sq.compiler.tape import is_instruction

Span: TypeAlias = "tuple[int, int]"  # the first and the last place that may be meant


class Body(NamedTuple):
    """Nests that one loop computes, in order, and which of them write their results for other bodies to read."""

    nests: list[Nest]
    written: list[bool]


Rounds: TypeAlias = "tuple[int, list[Body]]"  # bodies to compute in order, so many times


def single(series: Sequence[Series]) -> list[Rounds]:
    """Each nest as a body of its own."""
    return [(rounds, [Body([nest], [True]) for nest in nests]) for rounds, nests in series]


def fuse_series(series: Sequence[Series], readers: Sequence[Nest], rows: int) -> list[Rounds]:
    """The nests as bodies, those of a series with several rounds among themselves."""
    fused: list[Rounds] = []
    for once, alike in groupby(series, lambda each: each.rounds == 1):
        if once:
            fused += [(1, [body]) for body in fuse([nest for each in alike for nest in each.nests], readers, rows)]
        else:
            fused += [(rounds, fuse(nests, readers, rows, again=True)) for rounds, nests in alike]
    return fused


def fuse(nests: Sequence[Nest], readers: Sequence[Nest], rows: int, again: bool = False) -> list[Body]:
    """The nests as bodies: each in the first that has its loops and stands after what it reads.

    But what only calls of functions read is computed where they are: LLVM sees then what functions of one argument
    have in common. No two nests have one place for their results; `readers` are all that may read these. Where nests
    are computed `again` and again, one may read what it or a later one computed the time before.
    """
    bodies: list[list[Nest]] = []
    for nest in nests:
        home = None
        for body in reversed(bodies):
            if all(_fits(nest, other, rows) for other in body):
                home = body
            if any(_reads(nest, other, rows) for other in body):
                break
        if home is None:
            bodies.append([nest])
        else:
            home.append(nest)
    read = [(id(reader), _read(reader, rows)) for reader in readers]
    reading = {
        id(nest): {reader for reader, spans in read if _any_meets(spans, results)}
        for nest in nests
        for results in [_results(nest, rows)]
    }
    for body in reversed(bodies):
        for nest in [nest for nest in reversed(body) if not calls([nest])]:
            its_readers = reading[id(nest)]
            users = next((other for other in bodies if its_readers and its_readers <= {*map(id, other)}), body)
            if users is not body and calls(users) and all(_fits(reader, nest, rows) for reader in users):
                body.remove(nest)
                users.insert(0, nest)
    return [
        Body(body, [not reading[id(nest)] <= {*map(id, body[k if again else 0 :])} for k, nest in enumerate(body, 1)])
        for body in bodies
        if body
    ]


def calls(nests: Sequence[Nest]) -> bool:
    """Whether they call functions, and are not made of instructions alone."""
    return not all(is_instruction(nest.native) for nest in nests)


def _fits(nest: Nest, other: Nest, rows: int) -> bool:
    """Whether it has the loops of the other, and reads of its results only those of the same round."""
    if nest.table or other.table:
        return False
    for one, two in (nest, other), (other, nest):  # rounds of sums go together, and those of functions one by one
        if not is_instruction(one.native) and not all(segment.single for segment in two.segments):
            return False
    if [loop.rounds for loop in nest.loops] != [loop.rounds for loop in other.loops]:
        return False
    if _any_meets(_terms(nest, rows), _results(other, rows)):
        return False
    return all(
        not _meet(_span(nest, k), _results(other, rows))
        or (nest.places[k], [loop.strides[k] for loop in nest.loops])
        == (other.places[0], [loop.strides[0] for loop in other.loops])
        for k in _operands(nest)
    )


def _reads(nest: Nest, other: Nest, rows: int) -> bool:
    """Whether a nest may read results of the other."""
    return _any_meets(_read(nest, rows), _results(other, rows))


def _read(nest: Nest, rows: int) -> list[Span]:
    """The rows that it may read."""
    return [(0, rows)] if nest.table else [*_terms(nest, rows), *[_span(nest, k) for k in _operands(nest)]]


def _operands(nest: Nest) -> list[int]:
    """Which of its places are those of rows of which it reads one a round."""
    spaces = [*nest.spaces, *(s if segment.single else "" for segment in nest.segments for s in segment.spaces)]
    return [k for k, space in enumerate(spaces, 1) if space == ROW]


def _terms(nest: Nest, rows: int) -> list[Span]:
    """The rows of which its sums of products read several a round."""
    spans = []
    for s, segment in enumerate(nest.segments):
        for side in (0, 1):
            if segment.spaces[side] == ROW and not segment.single:
                k = 1 + len(nest.spaces) + 2 * s + side
                reach = (segment.terms - 1) * segment.strides[side]
                first, last = _span(nest, k)
                spans.append((0, rows) if segment.table else (first + min(0, reach), last + max(0, reach)))
    return spans


def _results(nest: Nest, rows: int) -> Span:
    """The rows that it may write."""
    return (-1, -1) if nest.sink else (0, rows) if nest.table else _span(nest, 0)


def _span(nest: Nest, k: int) -> Span:
    """Where its k-th place is, in all rounds."""
    first = last = nest.places[k]
    for loop in nest.loops:
        reach = (loop.rounds - 1) * loop.strides[k]
        if reach < 0:
            first += reach
        else:
            last += reach
    return first, last


def _any_meets(spans: Sequence[Span], other: Span) -> bool:
    return any(_meet(span, other) for span in spans)


def _meet(a: Span, b: Span) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]

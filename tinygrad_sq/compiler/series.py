"""Series: where nests return, one after the other, with constant differences between their places, they are a loop
around them all: over the steps of a recurrence, or the layers of one width."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter, sub

from tinygrad_sq.compiler.nest import Loop, Nest, Series, Vector

# A series is worth its own line from so many rounds on, and is looked for up to so many nests a round.
_FEWEST_ROUNDS = 4
_LONGEST_ROUND = 64


def series(nests: Sequence[Nest], names: Sequence[object]) -> list[Series]:
    """The nests, in an order in which they can be computed; those of a series have the same `names`.

    Outputs are looked at apart from what they are computed from, since nothing waits for them: a series of outputs
    stands where its last nest stood, another one where its first did.
    """
    placed: list[tuple[int, Series]] = []
    for sink in (False, True):
        numbers = [k for k, nest in enumerate(nests) if nest.sink == sink]
        start = 0
        for found in _in_order([nests[k] for k in numbers], [names[k] for k in numbers]):
            end = start + found.rounds * len(found.nests)
            placed.append((numbers[end - 1 if sink else start], found))
            start = end
    return [found for _, found in sorted(placed, key=itemgetter(0))]


def _in_order(nests: Sequence[Nest], names: Sequence[object]) -> list[Series]:
    """Rounds of nests that are alike and whose places move by the same strides; the other nests one by one."""
    kinds: dict[object, int] = {}
    kind = [
        kinds.setdefault(k if nest.table else (nest._replace(places=()), each), k)
        for k, (nest, each) in enumerate(zip(nests, names))
    ]
    found: list[Series] = []
    k = 0
    while k < len(nests):
        rounds, n, moves = _longest(nests, kind, k)
        loops = [(Loop(rounds, move),) if rounds > 1 else () for move in moves]
        found.append(Series(rounds, [nest._replace(loops=loop + nest.loops) for loop, nest in zip(loops, nests[k:])]))
        k += rounds * n
    return found


def _longest(nests: Sequence[Nest], kind: Sequence[int], k: int) -> tuple[int, int, list[Vector]]:
    """Of the series that begin with nest k, that of most nests: its rounds, the nests of one, their places' strides."""
    left = len(nests) - k
    longest: tuple[int, int, list[Vector]] = 1, 1, [()]
    for n in range(1, min(_LONGEST_ROUND, left // _FEWEST_ROUNDS) + 1):
        if kind[k : k + _FEWEST_ROUNDS * n : n].count(kind[k]) == _FEWEST_ROUNDS:
            rounds, moves = _rounds(nests, kind, k, n)
            if rounds >= _FEWEST_ROUNDS and rounds * n > longest[0] * longest[1]:
                longest = rounds, n, moves
                if 2 * rounds * n > left:
                    break
    return longest


def _rounds(nests: Sequence[Nest], kind: Sequence[int], k: int, n: int) -> tuple[int, list[Vector]]:
    """How many rounds of n nests begin with nest k, and by how much their places move from one to the next."""
    rounds = 1
    moves: list[Vector] = []
    while kind[k + rounds * n : k + (rounds + 1) * n] == kind[k : k + n]:
        end = k + rounds * n
        pairs = zip(nests[end : end + n], nests[end - n : end])
        now = [tuple(map(sub, nest.places, before.places)) for nest, before in pairs]
        if moves and now != moves:
            break
        rounds, moves = rounds + 1, now
    return rounds, moves

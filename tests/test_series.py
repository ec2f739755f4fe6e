"""Series: loops around several nests, which are the nests again, in an order in which they can be computed."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from test_roll import at, rounds, steps

from tinygrad_sq.compiler.nest import ROW, Loop, Nest, Series
from tinygrad_sq.compiler.series import series

KINDS = [("sin", ()), ("cos", ()), ("sin", (Loop(3, (1, 1)),))]


def series_of(nests: Sequence[Nest]) -> list[Series]:
    return series(nests, [""] * len(nests))


def make(kind: int, *places: int, sink: bool = False) -> Nest:
    native, loops = KINDS[kind]
    return Nest(native, (ROW,), (), sink, False, places, loops, False)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_series_are_the_nests_again(data: st.DataObject) -> None:
    """Run, the series found in a list of nests give the nests in their order."""
    kinds, small = st.integers(0, len(KINDS) - 1), st.integers(-3, 3)
    nests: list[Nest] = []
    for _ in range(data.draw(st.integers(1, 4))):
        members = data.draw(st.lists(st.tuples(kinds, small, small, small, small), min_size=1, max_size=3))
        for k in range(data.draw(st.integers(1, 6))):
            nests += [make(kind, a + k * da, b + k * db) for kind, a, b, da, db in members]
    found = series_of(nests)
    assert [(one.native, at(one, counters)) for one, counters in steps(found)] == [
        (one.native, at(one, counters)) for one in nests for counters in rounds(one.loops)
    ]


def test_a_series_is_as_long_as_it_can_be() -> None:
    """Four rounds are one, three are not; of several, the one of most nests, and its shortest round."""
    assert [s.rounds for s in series_of([make(0, k, 2 * k) for k in range(3)])] == [1, 1, 1]
    (four,) = series_of([make(0, k, 2 * k) for k in range(4)])
    assert four == Series(4, [make(0, 0, 0)._replace(loops=(Loop(4, (1, 2)),))])
    alternating = [make(kind, 10 * k + 5 * kind, 7 * k) for k in range(5) for kind in (0, 1)]
    (both,) = series_of(alternating)
    assert both.rounds == 5
    assert [one.places for one in both.nests] == [(0, 0), (5, 0)]
    assert [one.loops for one in both.nests] == [(Loop(5, (10, 7)),)] * 2
    runs = [make(kind, 100 * k + 10 * kind + j, j) for k in range(6) for kind, n in ((0, 4), (1, 1)) for j in range(n)]
    (longest,) = series_of(runs)
    assert (longest.rounds, len(longest.nests)) == (6, 5)
    inner = series_of([*runs[:9], make(2, 0, 0)])  # one round and four more: no round of five comes four times
    assert [(s.rounds, len(s.nests)) for s in inner] == [(4, 1), (1, 1), (4, 1), (1, 1)]
    others = [make(2, 100 * k * k, k) for k in range(12)]
    eight, *_ = series_of([*[make(0, k, 2 * k) for k in range(8)], *others])
    assert (eight.rounds, len(eight.nests)) == (8, 1)  # and not four rounds of two
    twelve, *_ = series_of([*[make(kind, 10 * k, 7 * k) for k in range(4) for kind in (0, 0, 1)], *others])
    assert (twelve.rounds, len(twelve.nests)) == (4, 3)
    six, *_ = series_of(
        [*[make(kind, 10 * k + j, 7 * k) for k in range(4) for j, kind in enumerate([0] * 5 + [1])], *others]
    )
    assert (six.rounds, len(six.nests)) == (4, 6)  # and not five rounds of one
    far = [make(2, 100 * k * k, k) for k in range(60)]
    twenty, *_ = series_of([*[make(kind, 10 * k, 7 * k) for k in range(20) for kind in (0, 1)], *far])
    assert (twenty.rounds, len(twenty.nests)) == (20, 2)  # and not six rounds of six
    moved = [make(0, k, 2 * k) for k in range(4)] + [make(0, k, 3 * k) for k in range(4, 8)]
    assert [s.rounds for s in series_of(moved)] == [4, 4]
    table = [make(0, 2 * k)._replace(table=True, loops=(Loop(5, (2,)),)) for k in range(6)]
    assert series_of(table) == [Series(1, [one]) for one in table]


def test_outputs_are_apart() -> None:
    """A series of outputs stands where its last nest stood, one of what they are computed from where its first did: so
    nothing is read before it is computed."""
    mixed = [nest for k in range(4) for nest in (make(0, 10 + k, k), make(1, k, 10 + k, sink=True))]
    before, behind = make(2, 50, 0), make(2, 60, 20)
    found = series_of([before, *mixed, behind])
    assert [(s.rounds, s.nests[0].native, s.nests[0].sink) for s in found] == [
        (1, "sin", False),
        (4, "sin", False),
        (4, "cos", True),
        (1, "sin", False),
    ]


def test_names_keep_nests_apart() -> None:
    """What has other names is no round of the same series."""
    nests = [make(0, k, 2 * k) for k in range(8)]
    assert [s.rounds for s in series(nests, list("aaaabbbb"))] == [4, 4]
    assert [s.rounds for s in series(nests, list("abababab"))] == [4]
    assert [s.rounds for s in series(nests, list("abbaabba"))] == [1] * 8


def test_a_round_has_up_to_sixty_four_nests() -> None:
    """Longer ones are not looked for."""
    for n, expected in ((64, [4]), (65, [1] * 260)):
        names = [f"{k % n}" for k in range(4 * n)]
        assert [s.rounds for s in series([make(0, k, 2 * k) for k in range(4 * n)], names)] == expected

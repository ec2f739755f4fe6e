"""Nest: what a rolled program is made of. roll.py finds it, fuse.py and lower.py read it."""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias

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

    @property
    def all_spaces(self) -> list[str]:
        """Of each of its places."""
        result = SCALAR if self.uniform else ROW
        return [result, *self.spaces, *[space for segment in self.segments for space in segment.spaces]]

    @property
    def flops(self) -> int:
        """Additions, multiplications, divisions and function calls in all rounds; a term of a sum is two."""
        terms = sum(segment.terms for segment in self.segments)
        return prod(loop.rounds for loop in self.loops) * (2 * terms or max(1, len(self.spaces) - 1))


class Series(NamedTuple):
    """Nests that are computed one after the other, and all of them `rounds` times: a round may read what those before
    it computed. With more than one round, this loop is the first of each nest's own."""

    rounds: int
    nests: list[Nest]


class Rolled(NamedTuple):
    """The program: its series of nests in order, and the storage they use.

    rows      places of rows: the inputs, then the results
    scalars   places of scalars: constants, then uniform results, then the parameters
    outputs   their names
    labels    the names of places; results without one are t1[0], t1[1], ..., t2[0], ... by group
    unnamed   t1, t2, ...
    """

    series: list[Series]
    rows: int
    scalars: int
    inputs: int
    parameters: int
    constants: list[float]
    table: list[int]
    outputs: list[str]
    labels: dict[Place, str]
    unnamed: set[str]

    @property
    def nests(self) -> list[Nest]:
        return [nest for series in self.series for nest in series.nests]

"""Every Hypothesis strategy of the tests: numbers, operands, nets, expressions; built in range, not filtered."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from math import inf
from typing import NamedTuple

from expressions import Expression, Step
from hypothesis import strategies as st

from tinygrad_sq.op import REALS, Op
from tinygrad_sq.table import rows

# Where random floats never land: zeros, ones, a subnormal, where sigmoid' and tanh' and exp lose their last bits.
SPECIAL = [
    s * x
    for x in (0.0, 5e-324, sys.float_info.min, 1e-9, 0.5, 1.0, 2.0, 6.0, 20.0, 20.5, 37.0, 40.0, 709.0, 710.0, 1e154)
    for s in (1.0, -1.0)
]

# Weights, biases, inputs, targets.
small = st.floats(-2.0, 2.0)


def floats_in(low: float = -inf, high: float = inf) -> st.SearchStrategy[float]:
    """Finite floats of the open interval (low, high), the special points in it included."""
    special = [x for x in SPECIAL if low < x < high]
    anywhere = st.floats(
        None if low == -inf else low,
        None if high == inf else high,
        exclude_min=low != -inf,
        exclude_max=high != inf,
        allow_nan=False,
        allow_infinity=False,
    )
    return anywhere | st.sampled_from(special) if special else anywhere


def vectors(size: int, elements: st.SearchStrategy[float] = small) -> st.SearchStrategy[list[float]]:
    return st.lists(elements, min_size=size, max_size=size)


def operand_counts(op: Op, most: int) -> list[int]:
    """How many operands `op` may take: one number, or several up to `most`."""
    return [op.arity] if isinstance(op.arity, int) else [n for n in op.arity[: most + 1] if 1 <= n <= most]


def operands(op: Op, largest: float = inf, away: float = 1e-3, most: int = 6) -> st.SearchStrategy[tuple[float, ...]]:
    """Operands of `op` in its domain, none beyond ±largest, at least `away` from its kinks; at most `most` of them if
    their number varies."""

    def of_size(size: int) -> st.SearchStrategy[tuple[float, ...]]:
        intervals = op.domain * size if len(op.domain) == 1 else op.domain
        return st.tuples(*[floats_in(max(low, -largest), min(high, largest)) for low, high in intervals])

    drawn = st.sampled_from(operand_counts(op, most)).flatmap(of_size)
    kink = op.kink
    return drawn if kink is None else drawn.filter(lambda xs: kink(*xs) >= away)


@cache
def magnitudes(low: int, high: int) -> st.SearchStrategy[float]:
    """Positive floats from 2**low to 2**high, their logarithms uniform; below 2**-1022 they are subnormal."""
    return st.builds(math.ldexp, st.floats(1.0, 2.0, exclude_max=True), st.integers(low, high))


@cache
def floats_across(interval: tuple[float, float], low: int, high: int) -> st.SearchStrategy[float]:
    """Floats of an open interval of magnitudes 2**low to 2**high, crowded where it is interesting: around 1, at its
    ends, out in the tails, and at the special points in it."""
    start, end = interval
    special = [x for x in SPECIAL if start < x < end and (x == 0.0 or 2.0**low <= abs(x) <= 2.0**high)]
    pieces = [st.sampled_from(special), magnitudes(-10, 9), magnitudes(low, high)]
    if start < 0.0:
        pieces += [piece.map(float.__neg__) for piece in pieces[1:]]
    if math.isfinite(start):
        pieces.append(magnitudes(-53, -2).map(start.__add__))
    if math.isfinite(end):
        pieces.append(magnitudes(-53, -2).map(end.__sub__))
    least, most = math.nextafter(start, inf), math.nextafter(end, -inf)
    return st.one_of(pieces).map(lambda x: min(max(x, least), most))


@cache
def operands_across(op: Op, low: int, high: int, most: int = 6) -> st.SearchStrategy[tuple[float, ...]]:
    """Operands of `op` in its domain, of magnitudes 2**low to 2**high, on its kinks too."""

    def of_size(size: int) -> st.SearchStrategy[tuple[float, ...]]:
        intervals = op.domain * size if len(op.domain) == 1 else op.domain
        return st.tuples(*[floats_across(interval, low, high) for interval in intervals])

    return st.sampled_from(operand_counts(op, most)).flatmap(of_size)


# --- activations ---


def operands_at(op: Op, z: float) -> tuple[float, ...]:
    """The operands of the call op(z): z, and what the row adds by default."""
    return (z,) if op.operands is None else op.operands(z)


def is_activation(op: Op) -> bool:
    """Whether op(z) is a function of any real z through which a gradient flows."""
    try:
        size = len(operands_at(op, 0.0))
    except TypeError:
        return False
    return op.arity == size and set(op.domain) == {REALS} and op.partials != (None,)


ACTIVATIONS = [op for op in rows.values() if is_activation(op)]
SMOOTH = [op for op in ACTIVATIONS if op.kink is None]


def distance_to_kink(op: Op, z: float) -> float:
    return inf if op.kink is None else op.kink(*operands_at(op, z))


# --- nets ---


class Net(NamedTuple):
    """A net, samples and λ as plain numbers. W and b are keyed by the derivation's l: W[l][i][j], b[l][i]."""

    W: dict[int, list[list[float]]]
    b: dict[int, list[float]]
    X: list[list[float]]
    Y: list[list[float]]
    lam: float
    hidden: str
    output: str

    @property
    def sizes(self) -> list[int]:
        """s_1, ..., s_{n_l}."""
        return [len(self.X[0])] + [len(b) for b in self.b.values()]

    @property
    def layers(self) -> range:
        """1, ..., n_l."""
        return range(1, len(self.W) + 2)

    def activation(self, l: int) -> str:
        """The name of layer l's f."""
        return self.output if l == self.layers[-1] else self.hidden


# |z| stays below this, so that five layers of exp or cosh do not overflow.
LARGEST_Z = 4.0
AWAY = 0.02


@st.composite
def nets(draw: st.DrawFn, activations: Sequence[Op] = ACTIVATIONS, min_layers: int = 1, max_samples: int = 8) -> Net:
    """Nets of `min_layers` to 5 layers of 1 to 8 units (all of one unit at times), 1 to `max_samples` samples, and λ.

    On every sample |z| is at most about LARGEST_Z, and at least AWAY from a kink of the activation.
    """
    depth = draw(st.integers(min_layers, 5))
    widest = draw(st.sampled_from([1, 8, 8, 8]))
    s = draw(st.lists(st.integers(1, widest), min_size=depth + 1, max_size=depth + 1))
    hidden, output = draw(st.sampled_from(activations)), draw(st.sampled_from(activations))
    m = draw(st.integers(1, max_samples))
    X = draw(st.lists(vectors(s[0]), min_size=m, max_size=m))
    Y = draw(st.lists(vectors(s[-1]), min_size=m, max_size=m))
    net = Net({}, {}, X, Y, draw(st.floats(0.0, 1.0)), hidden.name, output.name)

    layer = X  # the activations of all samples
    for l, size in enumerate(s[1:], 1):
        f = output if l == depth else hidden
        units = [_placed(draw(vectors(len(layer[0]))), draw(small), layer, f) for _ in range(size)]
        net.W[l] = [w for w, _ in units]
        net.b[l] = [b for _, b in units]
        layer = [[f(_z(w, a, b)) for w, b in units] for a in layer]
    return net


def _z(w: list[float], a: list[float], b: float) -> float:
    return sum(map(float.__mul__, w, a)) + b


def _placed(w: list[float], b: float, layer: list[list[float]], f: Op) -> tuple[list[float], float]:
    """w and b, scaled down until |z| <= LARGEST_Z on all samples; then b moved until no z is near a kink of f.

    A kink close to z rules out one of the moves, so that 33 of them always leave one: a sample has at most three
    kinks within their range, and there are at most eight samples.
    """
    scale = max(1.0, *(abs(_z(w, a, b)) / LARGEST_Z for a in layer))
    w, b = [x / scale for x in w], b / scale
    moves = sorted((0.08 * k for k in range(-16, 17)), key=abs)
    return next((w, b + d) for d in moves if all(distance_to_kink(f, _z(w, a, b + d)) >= AWAY for a in layer))


# Formulas of x, y, z in [0.5, 2], whose parentheses stand wherever Python's precedence may or may not need them.
formulas: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["x", "y", "z", "2", "0.5", "3e-1"]),
    lambda inner: (
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("-{}".format, inner)
        | st.builds("({}) {}".format, inner, st.sampled_from(["/ 3", "** 2", "** 2 ** 1"]))
    ),
    max_leaves=12,
)


# --- expressions ---

MODERATE = 3.0
MARGIN = 0.0625


def fits(op: Op, xs: Sequence[float]) -> bool:
    """Whether `xs` are operands of `op` of moderate size, well inside its domain and away from its kinks."""
    intervals = op.domain * len(xs) if len(op.domain) == 1 else op.domain
    inside = all(low + MARGIN <= x <= high - MARGIN and abs(x) <= MODERATE for x, (low, high) in zip(xs, intervals))
    return inside and (op.kink is None or op.kink(*xs) >= MARGIN)


def moderate(low: float = -MODERATE, high: float = MODERATE) -> st.SearchStrategy[float]:
    """Floats from low to high; those close to 0 are 0, so that 50 digits of anything made of them can be worked out."""
    return st.floats(low, high).map(lambda x: x if abs(x) >= 2.0**-20 else 0.0)


def fitting(op: Op, size: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Operands that `fits` accepts."""
    intervals = op.domain * size if len(op.domain) == 1 else op.domain
    drawn = st.tuples(*[moderate(max(a + MARGIN, -MODERATE), min(b - MARGIN, MODERATE)) for a, b in intervals])
    kink = op.kink
    return drawn if kink is None else drawn.filter(lambda xs: kink(*xs) >= MARGIN)


@st.composite
def expressions(
    draw: st.DrawFn, choice: Sequence[Op] = tuple(rows.values()), most_leaves: int = 2, most_steps: int = 5
) -> Expression:
    """Expressions of the rows of `choice`: with nodes used by several others, or by one of them twice, and constants.

    An operand is a constant or one of the latest nodes: as it is where it fits the row, else moved to a point that does
    by a multiplication and an addition, which belong to the expression.
    """
    leaves = draw(st.lists(moderate(), min_size=1, max_size=most_leaves))
    steps: list[Step] = []
    values = list(leaves)

    def do(op: Op, *args: int | float) -> int:
        steps.append(Step(op, args))
        values.append(op.forward(*[values[arg] if isinstance(arg, int) else arg for arg in args]))
        return len(values) - 1

    def moved(k: int, target: float) -> int:
        if abs(values[k]) > MODERATE:
            k = do(rows["mul"], k, 1.0 / values[k])
        return do(rows["add"], k, target - values[k])

    for op in draw(st.lists(st.sampled_from(choice), min_size=1, max_size=most_steps)):
        size = draw(st.sampled_from(operand_counts(op, 5)))
        targets = draw(fitting(op, size))
        latest = st.sampled_from(range(len(values))[:-5:-1])
        args: list[int | float] = [draw(latest | st.just(x)) for x in targets]
        if not any(isinstance(arg, int) for arg in args):
            args[-1] = draw(latest)
        if not fits(op, [values[arg] if isinstance(arg, int) else arg for arg in args]):
            args = [moved(arg, x) if isinstance(arg, int) else arg for arg, x in zip(args, targets)]
        do(op, *args)
    return Expression(tuple(leaves), tuple(steps))

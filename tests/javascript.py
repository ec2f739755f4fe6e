"""What the page's arithmetic must answer, from the engine, and a judge of it under node: one process for all.

JSON has no NaN, no infinities and no -0, hence strings: JavaScript reads what `written` gives with Number(), and
`number` reads what JavaScript shows.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import subprocess
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from compiled import call
from strategies import operand_counts
from test_compile import partial_scale
from test_table import AWKWARD, VALUE_SCALE, no_scale

from tinygrad_sq import table
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Interval, Op
from tinygrad_sq.study.javascript import graph_json, numeric_core
from tinygrad_sq.value import NOTHING, Value

# The functions of the C library and of V8 are right to an ulp or so; the largest difference seen in a row is 6.
ULPS = 8.0
TINY = 2.0**-1022  # below, digits are lost one by one

# The instructions of floating-point arithmetic, which have one answer, to the bit.
EXACT = [
    row
    for row in table.rows.values()
    if row.native in ("fadd", "fsub", "fmul", "fdiv", "fneg", "llvm.sqrt") or (row.native is None and row.products)
]

SHOW = """
const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const show = (key, x) => typeof x === 'number' && (!Number.isFinite(x) || Object.is(x, -0))
  ? (Object.is(x, -0) ? '-0' : String(x)) : ArrayBuffer.isView(x) ? [...x] : x;
"""

# What a core gets wrong of given.tapes, .trainers, .libm and .rows, each of them as the functions below give it.
JUDGE = """
const LARGE = 0.9999 * Number.MAX_VALUE;
function close(got, [expected, tolerance]) {
  const x = Number(expected);
  if (expected === null || got === null) return got === expected;
  if (tolerance === 0) return Object.is(got, x);
  if (Number.isFinite(x) && Number.isFinite(got)) return Math.abs(got - x) <= tolerance;
  return Object.is(got, x) || (got > LARGE && x > LARGE) || (got < -LARGE && x < -LARGE);
}
function same(got, expected) {
  if (expected === null) return got === null;
  if (!Array.isArray(expected)) return Object.is(got, Number(expected));
  return got.length === expected.length && expected.every((x, i) => same(got[i], x));
}
function readings(tape) {
  const events = tape.edges.map(({user, k, arg, n, of}, e) =>
    [user, k, arg, n, of, tape.upstream[e], tape.contribution[e], tape.before[e], tape.after[e]]);
  return [[...tape.data], tape.local, [...tape.grad], events];
}
function* faults(core) {
  for (const [graph, expected] of given.tapes) {
    const tape = new core.Tape(graph);
    if (!same(readings(tape), expected)) yield ['tape', graph, readings(tape), expected];
    tape.backward();
    if (!same(readings(tape), expected)) yield ['tape, backward twice', graph, readings(tape), expected];
  }
  for (const [data, batches, costs, parameters, [x0, x1], outputs] of given.trainers) {
    const trainer = new core.Trainer(data);
    const J = batches.map((batch) => trainer.step(batch ?? undefined));
    const got = [J, trainer.parameters, trainer.grid([0, x0], [0, 1, x1])[2][1]];
    for (const [i, list] of [costs, parameters, outputs].entries()) {
      if (!list.every((expected, k) => close(got[i][k], expected))) yield ['trainer', i, got[i], list];
    }
  }
  for (const [name, point, expected] of given.libm) {
    const got = core.libm[name](...point.map(Number));
    if (!close(got, expected)) yield ['libm', name, point, got, expected];
  }
  for (const [name, key, point, value, partials] of given.rows) {
    const xs = point.map(Number), y = core.f[key](...xs), local = core.d[key](y, ...xs);
    if (!close(y, value)) yield [name, 'value', point, y, value];
    for (const [k, d] of partials.entries()) {
      if (!close(local[k], d)) yield [name, `partial ${k}`, point, local[k], d];
    }
  }
}
"""


def node(program: str, given: Any = None) -> Any:
    """What the statements of `program` return."""
    script = f"{SHOW}process.stdout.write(JSON.stringify((() => {{ {program} }})(), show) ?? 'null');"
    command = ["node", "--stack-size=8000", "-e", script]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def number(x: Any) -> Any:
    """A number that JavaScript showed, or a list of them."""
    return [number(each) for each in x] if isinstance(x, list) else None if x is None else float(x)


def written(x: Any) -> Any:
    """A number, or a list of them, for JavaScript."""
    if isinstance(x, list | tuple):
        return [written(each) for each in x]
    if x is None or math.isfinite(x):
        return x
    return "NaN" if math.isnan(x) else f"{'-' if x < 0.0 else ''}Infinity"


def about(x: float | None, scale: float = 0.0, ulps: float = ULPS) -> list[Any]:
    """`x` and how far from it an answer may be: some ulp of it, or of `scale` where that is larger."""
    unit = math.ulp(max(abs(x), scale if math.isfinite(scale) else 0.0)) if x is not None and math.isfinite(x) else 0.0
    return [written(x), ulps and ulps * unit + 4.0 * TINY]


# --- rows ---


def key(row: Op) -> str:
    """Its name in the page's `f` and `d`, where rows of any number of operands have three or so."""
    return row.name if isinstance(row.arity, int) else f"{row.name}/{operand_counts(row, 3)[-1]}"


def core_of(rows: Sequence[Op], *graphs: dict[str, Any]) -> str:
    return numeric_core(*graphs, *[graph_json(call(row, [Value(1.0)] * operand_counts(row, 3)[-1])) for row in rows])


def points(row: Op, some: Sequence[float] = AWKWARD, many: int = 200) -> Iterator[tuple[float, ...]]:
    """All combinations of the awkward numbers, points just outside of the domain, and many all over it."""
    n = operand_counts(row, 3)[-1]
    few = (0.0, -0.0, 0.5, 1.0, -2.0, 1e308, math.inf, -math.inf, math.nan)
    yield from itertools.product(some if n < 3 else few, repeat=n)
    draw = random.Random(row.name)
    intervals = row.domain * n if len(row.domain) == 1 else row.domain
    for outwards in (-math.inf, math.inf):
        yield tuple([math.nextafter(low if outwards < 0.0 else high, outwards) for low, high in intervals])
    for _ in range(many):
        yield tuple([_within(interval, draw, 6 if row.name == "logsumexp" else 60) for interval in intervals])


def _within(interval: Interval, draw: random.Random, largest: int) -> float:
    """Around 1, anywhere, or close to an end of the interval."""
    low, high = interval
    sides = [1.0, -1.0]
    choices = [draw.choice(sides) * 2.0 ** draw.uniform(-8, min(9, largest)) for _ in range(4)]
    choices.append(draw.choice(sides) * 2.0 ** draw.uniform(-60, largest))
    choices += [
        end - side * 2.0 ** draw.uniform(-53, -2) for side, end in zip(sides, (high, low)) if math.isfinite(end)
    ]
    x: float = draw.choice(choices)
    return min(max(x, math.nextafter(low, math.inf)), math.nextafter(high, -math.inf))


def value_scale(row: Op, y: float, xs: Sequence[float]) -> float:
    """Where terms cancel, the row itself promises ulps of this and not of its value."""
    return VALUE_SCALE.get(row.name, no_scale)(y, *xs) if math.isfinite(y) else 0.0


def answers(row: Op, many: int = 200) -> Iterator[list[Any]]:
    """Name, key, point, value, partials."""
    ulps = 0.0 if row in EXACT else ULPS
    for point in points(row, many=many):
        made = call(row, [Value(x) for x in point])
        partials = [about(d, 0.0 if d is None else partial_scale(row, d, point), ulps) for d in made.partials]
        yield [row.name, key(row), written(point), about(made.data, value_scale(row, made.data, point), ulps), partials]


def library() -> Iterator[list[Any]]:
    """What core.js adds to Math: name, operands, result."""
    for name, row in {"pow": table.pow, "erf": table.erf, "erfc": table.erfc}.items():
        for point in points(row):
            yield [name, written(point), about(row.forward(*point))]
    for (x,) in [*points(table.round), (2.0**52 + 1.0,), (2.0**53 - 1.0,), (-(2.0**52) - 1.0,)]:
        yield ["rint", [written(x)], about(table.round(x), ulps=0.0)]
    draw = random.Random(0)
    for _ in range(200):
        x, y = draw.uniform(-2.0, 2.0), draw.uniform(-2.0, 2.0) * 2.0 ** draw.randint(-40, 40)
        for z in (-(x * y), draw.uniform(-2.0, 2.0), -(x * y) * (1.0 + 2.0**-40), 1e9 * y, 0.0):
            yield ["fma", [x, y, z], about(float(Fraction(x) * Fraction(y) + Fraction(z)), ulps=0.5)]
    for x, y, z in ((1e300, 1e300, -1.0), (math.inf, 0.0, 1.0), (1e300, 2.0, 3.0), (2.0, 3.0, math.inf)):
        yield ["fma", written([x, y, z]), about(x * y + z)]


# --- graphs ---


def readings(root: Value) -> list[Any]:
    """Data, partials and gradients of all nodes, and the backward pass event by event: user, k, arg, which contribution
    of how many, upstream, contribution, the sum before and after."""
    order = topological_order(root)
    for node in order:
        node.grad = 0.0
    root.backward()
    index = {node: i for i, node in enumerate(order)}
    sums = dict.fromkeys(order, NOTHING)
    counts = dict.fromkeys(order, 0)
    sums[root] = 1.0
    events: list[list[Any]] = []
    for user in reversed(order):
        if sums[user] is NOTHING:
            continue
        for k, (arg, local) in enumerate(zip(user.args, user.partials)):
            if isinstance(arg, Value) and local is not None:
                before, counts[arg] = sums[arg], counts[arg] + 1
                sums[arg] += sums[user] * local
                events.append(
                    [index[user], k, index[arg], counts[arg], 0, sums[user], sums[user] * local, before, sums[arg]]
                )
    for event in events:
        event[4] = counts[order[event[2]]]
    return [[node.data for node in order], [[*node.partials] for node in order], [node.grad for node in order], events]


def same(a: Any, b: Any) -> bool:
    """Bit by bit, but that NaN is NaN."""
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if a is None or b is None:
        return a is b
    return (a == b and math.copysign(1.0, a) == math.copysign(1.0, b)) or (a != a and b != b)

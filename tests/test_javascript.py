"""The page's arithmetic against the engine's: rows, libm, graphs, training, and mutants of all of them."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import pytest
from cases import CASES
from compiled import call
from expressions import Expression
from hypothesis import given, settings
from hypothesis import strategies as st
from javascript import (
    EXACT,
    JUDGE,
    about,
    answers,
    core_of,
    key,
    library,
    node,
    number,
    readings,
    same,
    value_scale,
    written,
)
from processes import output_under_any_hash_seed
from strategies import expressions
from test_compile import partial_scale
from test_semantics import names_of_formulas

from tinygrad_sq import MLP, Value, cross_entropy, dot, stop_gradient, table, tanh, total, where
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op
from tinygrad_sq.optim import SGD
from tinygrad_sq.study.javascript import LIBM, graph_json, numeric_core, trainer_json
from tinygrad_sq.train import fit

ALL = list(table.rows.values())
NOTHING_GIVEN: dict[str, list[Any]] = {"rows": [], "libm": [], "tapes": [], "trainers": []}


def faults(core: str, **given: Any) -> list[Any]:
    """What `core` gets wrong of that."""
    found: list[Any] = node(f"{JUDGE}{core}return [...faults(core)];", NOTHING_GIVEN | given)
    return found


# --- rows ---


@pytest.fixture(scope="module")
def wrong_rows() -> dict[str, list[Any]]:
    """What is wrong of each row."""
    found: dict[str, list[Any]] = {row.name: [] for row in ALL}
    for fault in faults(core_of(ALL), rows=[answer for row in ALL for answer in answers(row)]):
        found[fault[0]].append(fault)
    return found


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ALL])
def test_rows(row: Op, wrong_rows: dict[str, list[Any]]) -> None:
    """Value and partials are the engine's to 8 ulp, all over the domain and at every combination of awkward numbers;
    sums, differences, products, quotients and roots to the bit."""
    assert wrong_rows[row.name][:3] == []


def test_what_is_exact() -> None:
    """At least these rows have one answer, to the bit."""
    assert {row.name for row in EXACT} >= {"add", "sub", "mul", "div", "neg", "sqrt", "total", "dot"}


def test_libm() -> None:
    """erf, erfc, pow and rint are C's to 8 ulp; fma is right to an ulp where the sum cancels; none is missing."""
    core = core_of([table.row("tanh")])
    assert faults(core, libm=list(library()))[:3] == []
    assert node(f"{core}return given.filter((name) => typeof core.libm[name] !== 'function');", sorted(LIBM)) == []


def test_no_row_by_hand() -> None:
    """core.js knows of libm, not of rows: a script has the rows that its graphs use, those that they are written with,
    and no other."""
    x = Value(0.5)
    core = numeric_core(graph_json(tanh(x) + 1.0))
    assert node(f"{core}return [Object.keys(core.f), Object.keys(core.d)];") == [["add", "sech", "square", "tanh"]] * 2


# --- graphs ---


def exact_graphs() -> Iterator[Value]:
    """Graphs of which every number is exact: nodes used several times, constants, edges without a gradient."""
    a, b, c = Value(3.0, "a"), Value(-2.5, "b"), Value(0.1, "c")
    yield a
    yield a * b + c * a - b / a
    yield (a + a) * (a - b) * (a * a)
    yield dot([a, b, 2.0], [c, a, c], b) * total([a, b, c, a])
    yield where(a > 0.0, a * b, b / (a - a)) + c
    yield where(0.0, a / (a - a), b) * stop_gradient(a * b) + 0.0 * a
    yield -a + stop_gradient(b)
    yield (a - a) * b + (c * 0.0) * -b
    yield table.maximum([a, a, b]) * table.minimum([a, b, b]) + table.relu(b) * table.relu(a)
    yield 1.0 / (a - a) * b + (a - a) / (b - b) + (-0.0 * c)
    yield a * (c * -0.0)
    yield (a * b) * (c * -0.0) * 2.0
    yield table.minimum([a, math.inf, b]) + where(a, table.maximum([a, -math.inf]), math.nan) * c
    yield 2.0 - (1.0 - (a - (b - c))) / (a / (b / c)) - table.neg(-a)


def tapes(roots: Iterable[Value]) -> list[Any]:
    return [[graph_json(root), written(readings(root))] for root in roots]


def recorded(graph: dict[str, Any], expected: list[Any]) -> list[Any]:
    """The same, if JavaScript knew none of the rows."""
    numbers = {i: {"data": x, "local": d} for i, (x, d) in enumerate(zip(*expected[:2])) if graph["ops"][i]}
    return [graph | {"ops": [op and f"unknown {op}" for op in graph["ops"]], "recorded": numbers}, expected]


def exact_tapes() -> list[Any]:
    found = tapes(exact_graphs())
    return found + [recorded(*case) for case in found]


def test_exact_graphs() -> None:
    """Data, partials, gradients, and each event of the backward pass: to the bit, in the engine's order; of rows that
    JavaScript has, and of recorded numbers."""
    cases = exact_tapes()
    known = [graph for graph, _ in cases if not graph["recorded"]]
    assert faults(numeric_core(*known), tapes=cases) == []


@settings(max_examples=4, deadline=None)
@given(st.lists(expressions(EXACT, most_leaves=4, most_steps=8), min_size=20, max_size=20))
def test_exact_expressions(batch: list[Expression]) -> None:
    """Whatever is made of sums, products, quotients and roots is equal to the bit, numbers and events."""
    cases = tapes(e(*e.values()) for e in batch)
    assert faults(numeric_core(*[graph for graph, _ in cases]), tapes=cases) == []


def as_the_page(root: Value, data: list[Any], local: list[Any]) -> list[str]:
    """Give a graph the page's own numbers; where those are not near what the rows make of the page's operands."""
    faulty: list[str] = []
    for v, x, partials in zip(topological_order(root), data, local, strict=True):
        if v.op is None:
            faulty += [] if same(x, v.data) else [repr(v)]
            continue
        xs = [arg.data if isinstance(arg, Value) else arg for arg in v.args]  # the page's: operands come first
        expected = call(v.op, [Value(x) for x in xs])
        fine = near(x, expected.data, value_scale(v.op, expected.data, xs))
        for arg, d, e in zip(v.args, partials, expected.partials, strict=True):
            e = e if isinstance(arg, Value) else None
            fine &= near(d, e, 0.0 if e is None else partial_scale(v.op, e, xs))
        faulty += [] if fine else [repr(v)]
        v.data, v.partials = x, tuple(partials)
    return faulty


def near(got: float | None, expected: float | None, scale: float) -> bool:
    if got is None or expected is None or not math.isfinite(expected):
        return got is expected or (got is not None and expected is not None and same(got, expected))
    return bool(abs(got - expected) <= about(expected, scale)[1])


READINGS = f"{JUDGE}return given.map((graph) => readings(new core.Tape(graph)));"


@settings(max_examples=6, deadline=None)
@given(st.lists(expressions(most_leaves=3, most_steps=8), min_size=20, max_size=20))
def test_expressions_of_all_rows(batch: list[Expression]) -> None:
    """Each node is its row's value to 8 ulp (of its operands where they cancel, as in the row's own test), each partial
    too; the chain rule from there is equal to the bit."""
    roots = [e(*e.values()) for e in batch]
    graphs = [graph_json(root) for root in roots]
    for root, got in zip(roots, node(f"{numeric_core(*graphs)}{READINGS}", graphs), strict=True):
        data, local, gradients, events = number(got)
        assert as_the_page(root, data, local) == []
        _, _, expected_gradients, expected_events = readings(root)
        assert same(gradients, expected_gradients)
        assert same(events, expected_events)


def test_cases() -> None:
    """Every awkward case of the semantics: kinks, singular points, overflow."""
    variables = [{name: Value(x, name) for name, x in case.at.items()} for case in CASES]
    roots = [eval(case.expression, names_of_formulas(), at) for case, at in zip(CASES, variables)]
    graphs = [graph_json(root) for root in roots]
    answers = node(f"{numeric_core(*graphs)}{READINGS}", graphs)
    for case, at, root, got in zip(CASES, variables, roots, answers, strict=True):
        order = topological_order(root)
        gradients = dict(zip(order, number(got[2])))
        if case.value is not None:
            assert near(number(got[0][-1]), case.value, 0.0), case
        for name, expected in case.gradient.items():
            if expected is not None and at[name] in gradients:
                assert gradients[at[name]] == pytest.approx(expected, rel=1e-15, abs=0.0, nan_ok=True), case


def test_one_step_at_a_time() -> None:
    """forwardStep computes one node, of the operands as they are."""
    a = Value(3.0)
    graph = graph_json((a * a) + a)
    script = "const t = new core.Tape(given); t.set(0, 5); t.forwardStep(2); const before = [...t.data]; "
    script += "t.forwardStep(1); t.forwardStep(2); t.backward(); return [before, t.data, t.grad];"
    assert node(numeric_core(graph) + script, graph) == [[5, 9, 14], [5, 25, 30], [11, 1, 1]]


def test_another_branch() -> None:
    """After a change, edges are those of the branch that is taken now."""
    x = Value(1.0)
    graph = graph_json(where(table.less(0.0, x), x * 2.0, x * 3.0))
    script = "const t = new core.Tape(given); const events = () => t.edges.map(({user, arg, of}) => [user, arg, of]);"
    script += "const first = [events(), [...t.grad]]; t.set(0, -1); t.forward(); t.backward();"
    script += "return [first, [events(), t.grad]];"
    (first, gradients), (second, other) = node(numeric_core(graph) + script, graph)
    assert (gradients[0], other[0]) == (2, 3)
    assert first == [[4, 2, 1], [2, 0, 1]]
    assert second == [[4, 3, 1], [3, 0, 1]]


def test_deep_graph() -> None:
    """A chain of 50,000 nodes needs no stack, neither in Python nor in the page."""
    x = v = Value(1.0)
    for _ in range(50_000):
        v = v * 1.0
    graph = graph_json(v)
    script = "const t = new core.Tape(given); return [t.data.at(-1), t.grad[0]];"
    assert node(numeric_core(graph) + script, graph) == [1, 1]
    assert x.data == 1.0


def test_what_is_used_twice_is_written_once() -> None:
    """The text of a row grows with the number of its operands, not with its square."""
    xs = [Value(1.0) for _ in range(400)]
    half, whole = (len(core_of([], graph_json(table.logsumexp(xs[:n])))) - len(core_of([])) for n in (200, 400))
    assert whole < 2.5 * half


def test_the_same_bytes() -> None:
    """Graph and script are the same in every process."""
    text = output_under_any_hash_seed(
        "from tinygrad_sq import *\n"
        "from tinygrad_sq.study.javascript import *\n"
        "x, y = Value(1.0), Value(2.0)\n"
        "graph = graph_json(where(x > y, softplus(gelu(x)), logsumexp([x, y, x * y])) ** 0.5)\n"
        "print(graph, numeric_core(graph), trainer_json(MLP(2, [2, 1], seed=0), [[1.0, 2.0]], [1.0], lr=0.1))"
    )
    assert "class Tape" in text


# --- rows that JavaScript cannot say ---


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Op]:
    """A row of one's own with these columns."""
    yield Op(**request.param)
    del table.rows[request.param["name"]]


def cube(name: str = "cube", **columns: Any) -> dict[str, Any]:
    return {
        "name": name,
        "forward": lambda x: x * x * x,
        "partials": (lambda y, x: 3.0 * x * x,),
        "doc": "x³",
    } | columns


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (cube(), "'cube' has no native spelling"),
        (cube(native="tgamma"), "core.js has no function 'tgamma'"),
        (cube(native=lambda x: x * math.sqrt(x)), "takes its number out of the graph"),
        (cube(native="fneg", partials=(lambda y, x: 1.0 if x > 0.0 else 2.0,)), "branches on"),
    ],
    indirect=["row"],
)
def test_a_row_without_javascript(row: Op, reason: str) -> None:
    """The page shows its recorded numbers and says why it cannot be edited; its neighbours are computed."""
    x = Value(2.0, "x")
    root = row(x) * x
    graph = graph_json(root)
    assert not graph["editable"]
    assert reason in graph["reason"]
    script = f"{JUDGE}const t = new core.Tape(given); try {{ t.set(0, 3); return 0; }} "
    script += "catch (error) { return [readings(t), error.message]; }"
    got, message = node(numeric_core(graph) + script, graph)
    assert same(number(got), readings(root))
    assert message == graph["reason"]

    class Model(MLP):
        def __call__(self, x: Any) -> Any:
            return row(super().__call__(x))

    with pytest.raises(ValueError, match="a page cannot train this model: "):
        trainer_json(Model(1, [1]), [[1.0]], [1.0], lr=0.1)


@pytest.mark.parametrize(
    "row",
    [
        cube(native=lambda x: x * x * x),
        cube("</script>", native=lambda x: x * x * x),
        cube("__proto__", native=lambda x: x * x * x),
        cube("delete", native=lambda x: x * table.square(x)),
        cube("κύβος", native=lambda x: table.dot([x], [x * x])),
        cube("leaves", native=lambda x: table.neg(Value(-0.5)) * x * x * (x + x)),
    ],
    indirect=True,
)
def test_a_row_of_ones_own(row: Op) -> None:
    """With a native spelling it is a row like any other, whatever its name."""
    root = row(Value(2.0)) * 0.5
    graph = graph_json(root)
    core = numeric_core(graph)
    assert graph["editable"]
    assert "</script" not in core
    assert faults(core, tapes=tapes([root])) == []


def test_operators_bind_as_in_javascript() -> None:
    """Parentheses stand wherever JavaScript needs them: `--x` is not -(-x), nor is a ? b : c < d what it was."""
    neg, less, equal = table.neg, table.less, table.equal

    def awkward(x: Any, y: Any) -> Any:
        choice = where(where(x, 0.0, y), 5.0, where(y, x - y, 7.0))
        truth = less(where(less(x, y), 9.0, x), where(equal(x, y), x, 9.0))
        products = x * (y * 0.1) + (x / (3.0 * y) + (0.3 + y / 0.7) * 0.7)
        return truth * neg(-x) - (-(y * -2.0) / 2.0 - (x - y) / (x / (3.0 * x))) / 7.0 - choice - (2.0 - (y - products))

    row = Op("awkward", awkward, (1.0, 1.0), "any order of operations", arity=2, native=awkward)
    try:
        core = numeric_core(graph_json(row(Value(1.0), Value(1.0))))
    finally:
        del table.rows["awkward"]
    points = [[2.0, -3.0], [-2.0, 3.0], [3.0, 3.0], *POINTS]
    assert node(f"{core}return given.map((point) => core.f.awkward(...point));", points) == [
        awkward(*p) for p in points
    ]


# --- training ---

draw = random.Random(0).uniform
POINTS = [[draw(-1.0, 1.0), draw(-1.0, 1.0)] for _ in range(12)]
SIGNS = [float(x * y > 0.0) for x, y in POINTS]
QUADRANTS = [2 * (x > 0.0) + (y > 0.0) for x, y in POINTS]


def relative(x: float, tolerance: float = 1e-9) -> list[float]:
    return [x, tolerance * abs(x)]


def training(steps: int, lam: float, sizes: list[int], Y: list[Any], batch_size: int | None = None, **loss: Any) -> Any:
    """A trainer, its batches, and the costs, the parameters and the outputs at some x that they lead `fit` to."""
    model = MLP(2, sizes, "tanh", seed=3)
    trainer = trainer_json(model, POINTS, Y, lam=lam, lr=0.5, **loss)
    optimizer = SGD(model.parameters(), 0.5)
    size = batch_size or len(POINTS)
    batches = [list(range(start, len(POINTS)))[:size] for start in range(0, len(POINTS), size)] * steps
    costs = []
    for batch in batches:
        X, targets = [POINTS[s] for s in batch], [Y[s] for s in batch]
        costs += fit(model, X, targets, lam=lam, optimizer=optimizer, epochs=1, **loss).cost
    x = [0.25, -0.5]
    outputs = model(x)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    parameters = [relative(p.data) for p in model.parameters()]
    given = batches if batch_size else [None] * steps
    return [trainer, given, [*map(relative, costs)], parameters, x, [relative(a.data) for a in outputs]]


def core_of_trainer(trainer: dict[str, Any]) -> str:
    return numeric_core(*[graph["tape"] for graph in trainer["graphs"]])


@pytest.mark.parametrize(
    ("graphs", "arguments"),
    [
        (1, {"lam": 0.0, "sizes": [6, 1], "Y": SIGNS}),
        (1, {"lam": 0.01, "sizes": [6, 4, 1], "Y": SIGNS}),
        (1, {"lam": 0.01, "sizes": [4, 1], "Y": SIGNS, "batch_size": 5}),
        (1, {"lam": 0.01, "sizes": [4, 2], "Y": POINTS}),
        (4, {"lam": 0.01, "sizes": [4, 4], "Y": QUADRANTS, "loss": cross_entropy}),
    ],
)
def test_training_is_fit(graphs: int, arguments: dict[str, Any]) -> None:
    """100 epochs in the page are 100 epochs of `fit` with SGD, whole or in batches: costs, parameters and outputs, to
    1e-9."""
    case = training(100, **arguments)
    assert len(case[0]["graphs"]) == graphs
    assert faults(core_of_trainer(case[0]), trainers=[case]) == []


def test_grid() -> None:
    """Rows of the grid are along the first input."""
    model = MLP(2, [3, 1], "tanh", seed=0)
    trainer = trainer_json(model, POINTS, SIGNS, lr=0.5)
    got = node(f"{core_of_trainer(trainer)}return new core.Trainer(given).grid([-1, 0, 1], [2, 3]);", trainer)
    assert [[x for (x,) in line] for line in got] == [
        [pytest.approx(model([x0, x1]).data, rel=1e-14) for x0 in (-1.0, 0.0, 1.0)] for x1 in (2.0, 3.0)
    ]


def test_a_step_too_far() -> None:
    """A step that leaves the finite numbers is not taken, as in `fit`."""
    trainer = trainer_json(MLP(2, [1], seed=0), POINTS, SIGNS, lr=1e308)
    script = "const t = new core.Trainer(given); try { t.step(); t.step(); return 0; } "
    script += "catch (error) { return [error.message, [...t.parameters]]; }"
    message, parameters = node(core_of_trainer(trainer) + script, trainer)
    assert "a step left the finite numbers: try a smaller lr" in message
    assert all(isinstance(p, float | int) for p in parameters)


# --- mutants ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": [], "Y": []}, "expected at least one sample, got none"),
        ({"Y": [1.0]}, "expected one target for each of 12 samples, got 1"),
        ({"X": [[1.0]] * 12}, "expected 2 inputs, got 1"),
        ({"Y": [[1.0, 2.0]] * 12}, "expected 1 target, one for each output, got 2"),
        ({"lam": -1.0}, "expected a lam of 0 or more, got -1.0"),
        ({"lr": 0.0}, "expected lr to be above 0, got 0.0"),
    ],
)
def test_what_cannot_be_trained(changes: dict[str, Any], message: str) -> None:
    """The errors are those of `fit`."""
    arguments: dict[str, Any] = {"X": POINTS, "Y": SIGNS, "lr": 0.1} | changes
    with pytest.raises(ValueError, match=message):
        trainer_json(MLP(2, [1], seed=0), **arguments)


# --- mutants of the page's arithmetic ---

# Signs, operations, comparisons, sums, numbers, operands and functions, wherever they stand.
ANYWHERE = {
    r" \+ ": " - ",
    r" - ": " + ",
    r"(?<=[ (\[])-(?=[\w(])": "",
    r" \* ": " / ",
    r" / ": " * ",
    r" \+= ": " = ",
    r" < ": " > ",
    r" >= ": " < ",
    r" === ": " !== ",
    r" !== ": " === ",
    r"\b0\.0\b": "0.5",
    r"(?<![\w./])[1-9]\d*(\.\d+)?(?![\w.])": r"(2 * \g<0>)",
    r"\bx0\b(?!.*=>)": "x1",
    r"\blibm\.(?!cos\b)\w+(?=\(\w+\))": "libm.cos",
    r"\bmaximum\b": "minimum",
    r"\bminimum\b": "maximum",
}

# The chain rule and training, broken once each.
FAULTS = {
    "grad[arg] += grad": "grad[arg] = grad",
    "upstream.push(grad[user])": "upstream.push(local[user][k])",
    "contribution.push(grad[user]": "contribution.push(grad[arg]",
    "before.push(grad[arg])": "before.push(grad[user])",
    "edge.n = ++count[arg]": "edge.n = count[arg]++",
    "edge.of = count[edge.arg]": "edge.of = count[edge.user]",
    "{user, k, arg})": "{user, k: 0, arg})",
    "user = root;": "user = root - 1;",
    "user >= 0;": "user > 1;",
    "Tape.isNode(arg)) this": "Tape.isNode(arg) && k) this",
    "!count[user] || ": "",
    " || local[user][k] === null": "",
    "grad.fill(-0)": "",
    "list.length = 0": "list.length",
    "!count[i] || ": "",
    " || !args.length": "",
    "? partial : null": "? partial : 0",
    "(arg) ? arg : place++": "(arg) ? arg : place",
    "i <= last": "i < last",
    "f[row](...xs)": "f[row](...xs.reverse())",
    "(y, ...xs)": "(y, ...xs.reverse())",
    "tape.backward();": "",
    "tape.memory.set(y": "tape.memory.set(x",
    "let J = 0": "let J = 1",
    "this.parameters = next": "next",
    "this.tapes[this.which[s]]": "this.tapes[0]",
    "[...batch]": "[...batch, 0]",
}

# Where a change changes nothing.
EQUIVALENT = [
    r"1e-17 \* Math.abs\(sum\)",  # how much longer a series goes on that has come to its end
    r"x > 28|k < 14|x < 2 \* Math.PI",  # what follows is less than the last bit
    r"2 \*\* 27 \+ 1",  # any halves of less than 27 bits will do
    r"libm\.minimum\(libm\.fabs\(x\), 40.0\)|f\.clamp\(x, -40.0, 40.0\)",  # exp(-800) is 0 already
    r"x1 \* y / x0",  # x1 is 0 here
    r"(?<=x1 < 0\.0\) !== 0 \? )x0 \* (?=libm\.log)",  # the logarithm is NaN
]

# From where to where in the script; what stands there instead; the row that the line belongs to.
Mutant: TypeAlias = "tuple[int, int, str, str]"


def mutants(core: str, rows: set[str]) -> Iterator[Mutant]:
    """Those of core.js, and those of the generated lines of these rows."""
    for line in re.finditer(r"^ *(?!//)\S.*?(?= //|$)", core, re.MULTILINE):
        generated = re.match(r"""[fd](?:\.|\[")(.*?)(?:"\])? = """, line[0])
        row = generated[1] if generated else ""
        if row and row not in rows:
            continue
        exempt = [found.span() for pattern in EQUIVALENT for found in re.finditer(pattern, line[0])]
        for pattern, replacement in ANYWHERE.items():
            for found in re.finditer(pattern, line[0]):
                start, end = found.span()
                if not any(a <= start and end <= b for a, b in exempt):
                    yield line.start() + start, line.start() + end, found.expand(replacement), row
    for old, new in FAULTS.items():
        start = core.index(old)
        yield start, start + len(old), new, ""


# Runs each mutant by itself. That of a row is judged by this row.
SURVIVORS = """
const {core, judge, mutants} = given, vm = require('vm');
const none = {tapes: [], trainers: [], libm: [], rows: []};
const survives = ([from, to, instead, row]) => {
  const script = core.slice(0, from) + instead + core.slice(to);
  const judged = row ? {...none, rows: given.rows.filter((answer) => answer[1] === row)} : given;
  try {
    return vm.runInNewContext(`${judge}${script}faults(core).next().done`, {given: judged}, {timeout: 10000});
  } catch {
    return false;
  }
};
return mutants.filter(survives);
"""


def test_mutants_of_the_pages_arithmetic() -> None:
    """Every fault in core.js or in a row, made on purpose, is detected by these tests' own data."""
    cases = exact_tapes()
    trainers = [
        training(3, 0.1, [2, 1], SIGNS, batch_size=5),
        training(3, 0.1, [2, 4], QUADRANTS, loss=cross_entropy),
    ]
    graphs = [graph for graph, _ in cases if not graph["recorded"]]
    graphs += [graph["tape"] for case in trainers for graph in case[0]["graphs"]]
    core = core_of(ALL, *graphs)
    judged = {
        "tapes": cases,
        "trainers": trainers,
        "libm": list(library()),
        "rows": [answer for row in ALL for answer in answers(row, many=60)],
    }
    broken = list(mutants(core, {key(row) for row in ALL}))
    assert len(broken) > 500
    alive = node(SURVIVORS, {"core": core, "judge": JUDGE, "mutants": broken, **judged})
    assert [f"{core[:start].count(chr(10)) + 1}: {core[start:end]} -> {new}" for start, end, new, _ in alive] == []

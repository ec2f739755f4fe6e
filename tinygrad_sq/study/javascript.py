"""The arithmetic of the explorer page: graphs as JSON, and the rows of the derivative table that they use, in
JavaScript.

A row is called on Values that stand for its operands, as `compile` calls it, and what it records is written down. What
no row is, the chain rule and gradient descent, is core.js.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial, reduce
from importlib.resources import files
from typing import Any, TypeAlias

from tinygrad_sq.compiler.trace import tracing
from tinygrad_sq.context import no_grad
from tinygrad_sq.graph import topological_order
from tinygrad_sq.losses import cost, half_squared_error
from tinygrad_sq.nn import Module
from tinygrad_sq.op import Op
from tinygrad_sq.optim import SGD
from tinygrad_sq.table import Branch, row
from tinygrad_sq.tree import as_list
from tinygrad_sq.value import Value

Call: TypeAlias = "tuple[Op, int]"  # a row and how many operands it is called with


# --- graphs ---


def graph_json(root: Value) -> dict[str, Any]:
    """The graph of `root` as the page's `Tape` reads it, its nodes in topological order.

    ops       per node the name of its row; None for a leaf
    args      per node its operands: the number of a node, or {"c": "0.5"} for a constant
    data      per node: a leaf's value, None for the others, which the page computes
    root      the number of `root`
    editable  whether the page can compute all of them; if not, `reason` says which row cannot be
    recorded  value and partials of the nodes of such rows, by the nodes' numbers

    Leaves count with their present data. Numbers that are not finite are JavaScript's names of them.
    """
    return _graph(topological_order(root), root)


def _graph(order: list[Value], root: Value) -> dict[str, Any]:
    index = {node: i for i, node in enumerate(order)}
    reasons = {call: _reason(call) for call in dict.fromkeys((node.op, len(node.args)) for node in order if node.op)}
    recorded = {
        str(i): {"data": _json(node.data), "local": [None if d is None else _json(d) for d in node.partials]}
        for i, node in enumerate(order)
        if node.op and reasons[node.op, len(node.args)]
    }
    return {
        "ops": [node.op.name if node.op else None for node in order],
        "args": [[operand(arg, index) for arg in node.args] for node in order],
        "data": [None if node.op else _json(node.data) for node in order],
        "root": index[root],
        "editable": not recorded,
        "reason": next(filter(None, reasons.values()), None),
        "recorded": recorded,
    }


def trainer_json(
    model: Module,
    X: Collection[Sequence[float]],
    Y: Collection[Any],
    *,
    loss: Callable[[Any, Any], Any] = half_squared_error,
    lam: float = 0.0,
    lr: float,
) -> dict[str, Any]:
    """What the page's `Trainer` takes to do what `fit` does with SGD(model.parameters(), lr): J of E3 falls.

    The graph of one sample stands for all; if `loss` needs its target as a number, that of each different target.
    Raises ValueError for a row that has no JavaScript, and as `cost` and `SGD` do.
    """
    with no_grad():
        cost(model, X, Y, loss, lam)  # whose errors say what is wrong with them
    parameters, lr = model.parameters(), SGD(model.parameters(), lr).lr
    inputs = [Value(x, f"x[{j}]") for j, x in enumerate(next(iter(X)))]
    output = model(inputs)
    outputs = as_list(output)
    first = next(iter(Y))
    targets = [Value(t, f"y[{i}]") for i, t in enumerate(as_list(first))]
    try:
        costs = {"": loss(output, targets if isinstance(first, Iterable) else targets[0])}
        which = [""] * len(Y)
    except (TypeError, ValueError):
        which, targets = [repr(y) for y in Y], []
        costs = {key: loss(output, y) for key, y in dict(zip(which, Y)).items()}
    place = {p: i for i, p in enumerate(parameters)}
    graphs = []
    for J in costs.values():
        order = topological_order(*parameters, *inputs, *targets, *outputs, J)
        tape = _graph(order, J)
        if not tape["editable"]:
            raise ValueError(f"a page cannot train this model: {tape['reason']}")
        graphs.append({"tape": tape, "outputs": [order.index(a) for a in outputs]})
    return {
        "graphs": graphs,
        "which": [[*costs].index(key) for key in which],
        "parameters": [_json(p.data) for p in parameters],
        "weights": [place[w] for w in model.weights()] if lam else [],
        "X": [[*map(float, x)] for x in X],
        "Y": [[*map(float, as_list(y))] if targets else [] for y in Y],
        "lam": lam,
        "lr": lr,
    }


def operand(x: Value | float, index: Mapping[Value, int]) -> int | dict[str, str]:
    """The number of a node, or a constant."""
    return index[x] if isinstance(x, Value) else {"c": _literal(x)}


def _json(x: float) -> float | str:
    return x if math.isfinite(x) else _literal(x)


def _literal(x: float) -> str:
    """`x` in JavaScript."""
    return "NaN" if math.isnan(x) else repr(x).replace("inf", "Infinity")


# --- rows ---


def numeric_core(*graphs: dict[str, Any]) -> str:
    """A script that defines `const core = {Tape, Trainer, f, d, libm}`, with the rows that these graphs use.

    Takes what `graph_json` gives, and the graphs' "tape" of what `trainer_json` gives.
    """
    nodes = (node for graph in graphs for node in zip(graph["ops"], graph["args"]))
    texts: dict[str, str] = {}
    for call in dict.fromkeys((row(name), len(args)) for name, args in nodes if name):
        with suppress(TypeError):  # the graph has what the page shows instead
            texts |= _definitions(call)
    lines = [texts[key] for key in sorted(texts)]
    core = (files("tinygrad_sq.study") / "core.js").read_text(encoding="utf-8")
    return "\n".join([f"{core}{{", "const {f, d, libm} = core;", *lines, "}", ""])


def _reason(call: Call) -> str | None:
    """Why the row cannot be written in JavaScript; None if it can."""
    try:
        _definitions(call)
    except TypeError as error:
        return str(error)
    return None


def _definitions(call: Call) -> dict[str, str]:
    """The row, and the rows that it is written with, each by the key that it has in the page's `f` and `d`."""
    waiting, texts = [call], dict[str, str]()
    while waiting:
        op, n = waiting.pop()
        if _key(op, n) not in texts:
            texts[_key(op, n)] = _definition(op, n, waiting)
    return texts


def _definition(op: Op, n: int, used: list[Call]) -> str:
    """f.row = (x) => value; d.row = (y, x) => [partials]; the rows that they call are added to `used`."""
    y, xs = Value(math.nan), [Value(math.nan) for _ in range(n)]
    with tracing():
        native = op.native(*xs) if callable(op.native) else op.native
        partials = op.gradient(y, *xs)
    operands = [_Code("x" if n == 1 else f"x{k}") for k in range(n)]
    names = dict(zip([y, *xs], [_Code("y"), *operands]))
    if native is None or isinstance(native, str):
        value, steps = _instruction(op, native, operands), list[str]()
    else:
        (value,), steps = _write([native], names, used, fused=True)
    forward = _function(operands, value, steps)
    derivatives, steps = _write(partials, names, used)
    backward = _function([_Code("y"), *operands], f"[{', '.join(derivatives)}]", steps)
    return f"{_member('f', op, n)} = {forward};\n{_member('d', op, n)} = {backward};"


def _function(operands: list[_Code], result: str, steps: list[str]) -> str:
    body = f"{{ const {', '.join(steps)}; return {result}; }}" if steps else result
    return f"({', '.join(operands)}) => {body}"


def _key(op: Op, n: int) -> str:
    return op.name if isinstance(op.arity, int) else f"{op.name}/{n}"


def _member(of: str, op: Op, n: int) -> str:
    key = _key(op, n)
    if key.isidentifier():
        return f"{of}.{key}"
    return f"{of}[{json.dumps(key)}]".replace("<", r"\u003c")  # no name ends the page's <script>


class _Code(str):
    """JavaScript that knows how tightly it binds; `{code:2}` puts parentheses around what binds less tightly than 2."""

    precedence: int

    def __new__(cls, text: str, precedence: int = 5) -> _Code:
        self = super().__new__(cls, text)
        self.precedence = precedence
        return self

    def __format__(self, least: str) -> str:
        return f"({self!s})" if least and self.precedence < int(least) else str(self)


# LLVM's instructions in JavaScript, and how tightly they bind: 1 comparison, 2 sum, 3 product, 4 sign, 5 closed.
_INSTRUCTIONS = {
    "fadd": ("{0:2} + {1:3}", 2),
    "fsub": ("{0:2} - {1:3}", 2),
    "fmul": ("{0:3} * {1:4}", 3),
    "fdiv": ("{0:3} / {1:4}", 3),
    "fneg": ("-{0:5}", 4),
    "fcmp olt": ("Number({0:2} < {1:2})", 5),
    "fcmp oeq": ("Number({0:2} === {1:2})", 5),
    "select": ("{0:2} !== 0 ? {1:1} : {2:1}", 0),
}

# The functions that `libm` of core.js has: those of Math, and those that it adds to them.
# fmt: off
LIBM = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "erf", "erfc", "exp",
    "expm1", "fabs", "floor", "fma", "hypot", "log", "log10", "log1p", "log2", "maximum", "minimum", "pow", "rint",
    "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
})
# fmt: on


def _write(
    roots: Iterable[Any], names: dict[Value, _Code], used: list[Call], fused: bool = False
) -> tuple[list[_Code], list[str]]:
    """The roots as expressions, and the definitions `t0 = ...` of what is used in several places.

    Roots are Values, numbers, or what a partial may be besides. Unless `names` has it, a leaf is a number.
    """
    roots = list(roots)
    wanted = [r.condition if isinstance(r, Branch) else r for r in roots]
    order = topological_order(*[r for r in wanted if isinstance(r, Value)])
    uses = Counter(x for x in [*wanted, *(arg for node in order for arg in node.args)] if isinstance(x, Value))
    codes = dict(names)
    steps: list[str] = []

    def code(x: Value | float) -> _Code:
        return codes[x] if isinstance(x, Value) else _number(x)

    for node in order:
        if node.op is None:
            codes.setdefault(node, _number(node.data))
            continue
        args = [code(arg) for arg in node.args]
        if callable(node.op.native):
            used.append((node.op, len(args)))
            codes[node] = _Code(f"{_member('f', node.op, len(args))}({', '.join(args)})")
        else:
            codes[node] = _instruction(node.op, node.op.native, args, fused)
        if uses[node] > 1:
            steps.append(f"t{len(steps)} = {codes[node]}")
            codes[node] = _Code(f"t{len(steps) - 1}")
    return [
        _Code("null") if r is None else _apply("select", code(x), _Code("1"), _Code("null")) if r is not x else code(x)
        for r, x in zip(roots, wanted)
    ], steps


def _instruction(op: Op, native: str | None, args: Sequence[_Code], fused: bool = False) -> _Code:
    """One operation, as `compile` reads the columns: of two operands, one after the other where there may be more.

    A sum of products is fused where a native spelling says so, which counts on it, and else rounded as Python does.
    """
    if native is not None and (isinstance(op.arity, int) or len(args) == 2):
        return _apply(native, *args)
    if op.products is not None:
        terms, rest = op.products(*args)
        return reduce(lambda total, term: _plus(total, _code(term[0]), _code(term[1]), fused), terms, _code(rest))
    if native is None:
        raise TypeError(f"the row {op.name!r} has no native spelling (column `native`), and so none in JavaScript")
    return reduce(partial(_apply, native), args)


def _plus(total: _Code, w: _Code, x: _Code, fused: bool) -> _Code:
    if w == "1.0":
        return _apply("fadd", total, x)
    return _apply("fma", w, x, total) if fused else _apply("fadd", total, _apply("fmul", w, x))


def _apply(native: str, *args: _Code) -> _Code:
    if native in _INSTRUCTIONS:
        template, precedence = _INSTRUCTIONS[native]
        return _Code(template.format(*args), precedence)
    name = native.removeprefix("llvm.")
    if name not in LIBM:
        raise TypeError(f"core.js has no function {name!r}; it has {', '.join(sorted(LIBM))}")
    return _Code(f"libm.{name}({', '.join(args)})")


def _code(x: _Code | float) -> _Code:
    return x if isinstance(x, _Code) else _number(x)


def _number(x: float) -> _Code:
    return _Code(_literal(x), 4 if math.copysign(1.0, x) < 0.0 else 5)

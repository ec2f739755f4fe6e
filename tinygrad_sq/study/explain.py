"""`explain`: the chain rule for ∂y/∂w in words and numbers, step by step in the order of the backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from itertools import count, repeat
from typing import NamedTuple, overload

from tinygrad_sq.graph import topological_order
from tinygrad_sq.study.names import Formula, Names, again
from tinygrad_sq.study.sheet import Block, Grid, Item, Line, Sheet, definitions, excerpt, factor, number
from tinygrad_sq.value import NOTHING, Value, chain_rule

MOST_LISTED = 12  # results below the table
MOST_ADDED = 6  # contributions that are written out as a sum


class Step(NamedTuple):
    """One use of the chain rule, ∂y/∂arg += (∂y/∂node) (∂node/∂arg), where arg is the operand of that place.

    upstream        ∂y/∂node
    local           ∂node/∂arg; None where no gradient flows (the branch that `where` did not take)
    contribution    upstream · local; None with it
    before, after   ∂y/∂arg without it and with it: before + contribution = after
    place, of       it is contribution number `place` of the `of` that ∂y/∂arg is the sum of
    """

    node: Value
    operand: int
    arg: Value
    upstream: float
    local: float | None
    contribution: float | None
    before: float
    after: float
    place: int
    of: int
    names: Names

    @property
    def formula(self) -> Formula | None:
        """∂node/∂arg by the row's partial, in the names of its operands, as text and LaTeX; None as `local`."""
        return None if self.local is None else self.names.local(self.node, self.operand)

    def __repr__(self) -> str:
        what = self.names.derivative(self.node, self.arg).text
        if self.formula is None:
            return f"Step({what}: no gradient flows)"
        product = f"{self.upstream:.6g} × {self.local:.6g} = {self.contribution:.6g}"
        return f"Step({what} = {self.formula.text}: {product}, {self.place} of {self.of})"


class Explanation(Sequence[Step], Sheet):
    """The steps of the chain rule from `y` back to each value of `wrt`. It shows itself as a table.

    gradients  ∂y/∂w of each w of wrt, bit for bit what `y.backward()` adds to its grad
    """

    def __init__(self, y: Value, steps: Sequence[Step], gradients: dict[Value, float], names: Names) -> None:
        self.y = y
        self.steps = steps
        self.gradients = gradients
        self.names = names

    @property
    def gradient(self) -> float:
        """∂y/∂w of the only w. ValueError if there are several."""
        if len(self.gradients) != 1:
            raise ValueError(f"expected one value to differentiate by, got {len(self.gradients)}: see .gradients")
        return next(iter(self.gradients.values()))

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        return self.steps[index]

    def __len__(self) -> int:
        return len(self.steps)

    def blocks(self, limit: int | None) -> list[Block]:
        targets = list(self.gradients)
        blocks: list[Block] = []
        if self.steps:
            aim = self.names[targets[0]] if len(targets) == 1 else f"{len(targets)} values"
            title: list[Item] = ["The chain rule from ", self.names[self.y], " back to ", aim]
            title.append(": contribution = upstream × local derivative")
            said = {step.node for step in self.steps}
            told = [part for part in self.names.parts if part not in said]
            blocks = [Line(title), self._table(limit), *definitions(self.names, told)]
        blocks += [Line(self._result(w), heading=not k) for k, w in enumerate(targets[:MOST_LISTED])]
        if len(targets) > MOST_LISTED:
            blocks.append(Line([f"... and {len(targets) - MOST_LISTED} more"]))
        return blocks

    def _table(self, limit: int | None) -> Grid:
        first, last = excerpt(len(self.steps), limit)
        sums = any(step.of > 1 for step in self.steps)
        columns = COLUMNS if sums else COLUMNS[:-2]
        rows = [self._row(i)[: len(columns)] for i in (*first, *last)]
        if last:
            rows.insert(len(first), ["...", f"{last[0] - len(first)} steps more", *[""] * (len(columns) - 2)])
        return Grid(columns, rows)

    def _row(self, i: int) -> list[Item]:
        step = self.steps[i]
        names, node = self.names, step.node
        new = i == 0 or self.steps[i - 1].node is not node
        row: list[Item] = [str(i + 1), *([names.definition(node), node.data, step.upstream] if new else ["", "", ""])]
        row.append(names[step.arg])
        if step.formula is None:
            return [*row, "no gradient flows", "", "", "", ""]
        assert step.local is not None
        assert step.contribution is not None
        place = f"{step.place} of {step.of}" if step.of > 1 else ""
        return [*row, step.formula, step.local, step.contribution, place, step.after]

    def _result(self, w: Value) -> list[Item]:
        names = self.names
        terms = [step.contribution for step in self.steps if step.arg is w and step.contribution is not None]
        words: list[Item] = []
        if w is not self.y and not terms:
            flows = any(step.local is None for step in self.steps)
            words = ["No gradient flows from " if flows else "", names[self.y]]
            words += [" to " if flows else " does not depend on ", names[w], ": "]
        words += [names.derivative(self.y, w), " = "]
        if 1 < len(terms) <= MOST_ADDED:
            for k, term in enumerate(terms):
                words += [" + " if k else "", factor(term) if k else number(term, 6)]
            words.append(" = ")
        words.append(number(self.gradients[w]))
        if len(terms) > MOST_ADDED:
            words.append(f", the sum of {len(terms)} contributions")
        return words


COLUMNS = " step", "value", " data", " upstream", "operand", "local derivative", " =", " contribution", " part", " sum"


def explain(y: Value, wrt: Value | Iterable[Value] | None = None) -> Explanation:
    """The chain rule for ∂y/∂w: each product of an upstream gradient and a local derivative on the way from y to w.

    wrt  a Value w or several; None: all leaves, so that the steps are those of the whole backward pass

    Prints as a table; a notebook shows it with formulas; `.latex()`, `.html()` and `.text()` give each as a string. Its
    items are `Step`s, in the order in which `y.backward()` adds them up. No `.grad` is read or changed. A w that y
    does not depend on has no steps, and the gradient 0.

    Raises TypeError for what is not a Value, ValueError if data was changed after the forward pass (see `replay`).
    """
    if not isinstance(y, Value):
        raise TypeError(f"explain takes the Value to differentiate, got {type(y).__name__} {y!r:.60}")
    order = topological_order(y)
    targets = dict.fromkeys(_targets(wrt) if wrt is not None else [node for node in order if not node.args])
    on_the_way = leads_to(targets, order)
    users = [node for node in order if not on_the_way.keys().isdisjoint(node.args)]
    for node in users:
        check_unchanged(node)
    operands = [arg for node in users for arg in node.args if isinstance(arg, Value)]
    names = Names(topological_order(y, *targets), {*users, *operands}, y)
    steps, gradients = _run(y, order, on_the_way, names)
    return Explanation(y, steps, {w: gradients.get(w, 0.0) for w in targets}, names)


def _targets(wrt: Value | Iterable[Value]) -> list[Value]:
    targets = [wrt] if isinstance(wrt, Value) else list(wrt) if isinstance(wrt, Iterable) else [wrt]
    for w in targets:
        if not isinstance(w, Value):
            raise TypeError(f"wrt is a Value or several, got {type(w).__name__} {w!r:.60}")
    return targets


def leads_to(targets: Iterable[Value], order: Iterable[Value]) -> dict[Value, None]:
    """The values of `order` from which operands of operands lead to one of `targets`, and those themselves."""
    found = dict.fromkeys(targets)
    for node in order:
        if not found.keys().isdisjoint(node.args):
            found[node] = None
    return found


def check_unchanged(node: Value) -> None:
    """Raises ValueError if `node` is not what its operands would give now."""
    now = again(node)
    if repr((now.data, now.partials)) != repr((node.data, node.partials)):  # NaN is NaN, and -0.0 is not 0.0
        assert node.op
        name = f" {node.label}" if node.label else ""
        raise ValueError(
            f"the {node.op.name} node{name} is {node.data!r}, but its operands were changed after the forward pass and "
            f"would give {now.data!r} now; replay() evaluates the graph again"
        )


# --- the chain rule, on numbers that write down how they came about ---


class _Running:
    """∂y/∂v while it is being added up: what `chain_rule` works with when each of its steps is to be seen."""

    __slots__ = ("log", "total")

    def __init__(self, total: float, log: list[Step]) -> None:
        self.total = total
        self.log = log

    def __mul__(self, step: Step) -> Step:
        assert step.local is not None
        return step._replace(upstream=self.total, contribution=self.total * step.local)

    def __add__(self, step: Step) -> _Running:
        assert step.contribution is not None
        after = self.total + step.contribution
        self.log.append(step._replace(after=after))
        return _Running(after, self.log)


def _run(
    y: Value, order: list[Value], on_the_way: Container[Value], names: Names
) -> tuple[list[Step], dict[Value, float]]:
    """The steps to what is on the way, and ∂y/∂v of all that is."""
    log: list[Step] = []
    nothing = _Running(NOTHING, log)
    running = dict.fromkeys(order, nothing)
    running[y] = _Running(1.0, log)

    def look(node: Value, operand: int, arg: Value | float, local: float | None) -> Step | None:
        if not isinstance(arg, Value) or arg not in on_the_way:
            return None
        before = running[arg].total
        step = Step(node, operand, arg, running[node].total, local, None, before, before, 0, 0, names)
        if local is None:
            log.append(step)
            return None
        return step

    chain_rule(running, nothing, lambda node: map(look, repeat(node), count(), node.args, node.partials))
    parts = Counter(step.arg for step in log if step.contribution is not None)
    seen: Counter[Value] = Counter()
    for i, step in enumerate(log):
        seen[step.arg] += step.contribution is not None
        log[i] = step._replace(place=seen[step.arg], of=parts[step.arg])
    # A leaf's gradient is added to 0.0, which turns -0.0 into that.
    return log, {v: sum_.total if v.args else sum_.total + 0.0 for v, sum_ in running.items() if sum_ is not nothing}

"""What a picture of a collapsed graph says: a box for each part, an arrow for all operands from one part to another."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple, TypeAlias

from tinygrad_sq.nn import Parameter
from tinygrad_sq.study.collapse import Part, partition
from tinygrad_sq.study.picture import (
    FONT_SIZE,
    GLYPH_SIZE,
    ON_ARROWS,
    Arrow,
    Box,
    Cell,
    Picture,
    Tone,
    aligned,
    arrow,
    box,
    clusters,
    formula,
    glyph_of,
    gradient_cell,
    gradients_in_words,
    largest_gradient,
    reference,
    role_of,
    short,
    shown,
    signed,
    tone,
    value_box,
)
from tinygrad_sq.study.theme import ROLES
from tinygrad_sq.value import Value

ACROSS = "grey: several arrows, as wide as Σ |upstream × local|"


class Use(NamedTuple):
    """A value as an operand of another one."""

    arg: Value
    node: Value
    k: int


Links: TypeAlias = dict[tuple[int, int], list[Use]]  # by the parts (tail, head)


def overview(order: list[Value], depth: int) -> Picture:
    """The picture of a graph (`order`, the root last) with the values under each scope of that depth in one box."""
    root = order[-1]
    largest = largest_gradient(order, root)
    parts = partition(order, depth)
    links, facts = relations(order, parts, [root])
    boxes = aligned([_box(fact, largest, root) for fact in facts])
    names = [name_of(part) for part in parts]
    arrows = [_arrow(blank, uses, largest) for blank, uses in blanks(links, names)]
    name = reference(root)
    words = (
        f"{name} = {short(root.data)}, at the end of a graph of {len(order):,} values, drawn as {len(boxes)} boxes: "
        f"{'; '.join(names)}. {gradients_in_words(largest)}"
    )
    notes = [f"δ = ∂{name}/∂z"] if any(fact.units for fact in facts) else []
    notes += ON_ARROWS if any(a.local for a in arrows) else []
    notes += [ACROSS] if any(a.tone.sign == "many" for a in arrows) else []
    title = f"Overview of the computation graph of {name}"
    return Picture(boxes, arrows, clusters(boxes), largest, title, words, tuple(notes), stacks(parts, arrows))


def name_of(part: Part) -> str:
    """A part's name in a sentence."""
    return shown(", ".join([*part.scope, part.title]), 120) if part.title else reference(part.values[0])


def stacks(parts: list[Part], arrows: list[Arrow]) -> tuple[tuple[int, ...], ...]:
    """The parts that are alike and equally far from the leaves are to stand in line, in their order."""
    before: dict[int, set[int]] = {i: set() for i in range(len(parts))}
    for a in arrows:
        before[a.head].add(a.tail)
    depth: dict[int, int] = {}
    try:
        for i in TopologicalSorter(before).static_order():
            depth[i] = 1 + max((depth[k] for k in before[i]), default=0)
    except CycleError:
        return ()
    lines: dict[Hashable, list[int]] = defaultdict(list)
    for i, part in enumerate(parts):
        if part.alike is not None:
            lines[part.alike, depth[i]].append(i)
    return tuple([tuple(line) for line in lines.values() if len(line) > 1])


# --- what there is to say of a part ---


class Unit(NamedTuple):
    """a = f(z), the end of a neuron."""

    z: Value
    a: Value


class Facts(NamedTuple):
    """Of a part: its results (what another scope uses), how many values it takes from other parts and gives to them
    (parameters apart), its parameters, and its units, if each result is one."""

    part: Part
    results: list[Value]
    taken: int
    given: int
    parameters: list[Parameter]
    units: list[Unit]


def relations(order: list[Value], parts: list[Part], roots: list[Value]) -> tuple[Links, list[Facts]]:
    """The uses of values of one part in another, and the facts of each part."""
    home = {v: i for i, part in enumerate(parts) for v in part.values}
    links: Links = defaultdict(list)
    results = set(roots)
    for node in order:
        head = home[node]
        for k, arg in enumerate(node.args):
            if isinstance(arg, Value):
                tail = home[arg]
                if tail != head:
                    links[tail, head].append(Use(arg, node, k))
                if tail != head or arg.scope != node.scope:
                    results.add(arg)
    taken: list[set[Value]] = [set() for _ in parts]
    given: list[set[Value]] = [set() for _ in parts]
    for root in roots:
        given[home[root]].add(root)
    for (tail, head), uses in links.items():
        args = {use.arg for use in uses if not isinstance(use.arg, Parameter)}
        given[tail] |= args
        taken[head] |= args
    facts = []
    for part, ins, outs in zip(parts, taken, given):
        ends = [v for v in part.values if v in results]
        ends = [v for v in ends if v.op] or ends
        parameters = [v for v in part.values if isinstance(v, Parameter)]
        facts.append(Facts(part, ends, len(ins), len(outs), parameters, _units(ends, part, parameters)))
    return links, facts


def _units(results: list[Value], part: Part, parameters: list[Parameter]) -> list[Unit]:
    """The results as units: each a function of one value, that is computed in the part, beside parameters."""
    members, neurons = set(part.values), {p.scope for p in parameters}
    units = []
    for a in results:
        match [arg for arg in a.args if isinstance(arg, Value)]:
            case [z] if z.op and z in members and z.scope in neurons:
                units.append(Unit(z, a))
    # A z may be a result too: its gradient is a function of it.
    return units if {unit.a for unit in units}.union(unit.z for unit in units).issuperset(results) else []


def weights_of(values: list[Value]) -> list[Parameter]:
    """The parameters with which something is multiplied: the W of z = Σ w a + b, not the b."""
    weights = set()
    for node in values:
        if node.op and node.op.products:
            terms, _ = node.op.products(*node.args)
            for pair in terms:
                if not {1.0, -1.0}.intersection(pair):
                    weights.update(pair)
    return [v for v in values if isinstance(v, Parameter) and v in weights]


# --- boxes ---


def _box(facts: Facts, largest: float | None, root: Value) -> Box:
    part, units = facts.part, facts.units
    if not part.title:
        return value_box(part.values[0], largest)._replace(scope=part.scope)
    roles = {role_of(v) for v in part.values}
    role = "part" if len(roles) > 1 or "operation" in roles else roles.pop()
    tooltip = _tooltip(facts, largest, root)
    if len(units) == 1 and units[0].z.scope == (*part.scope, part.title):
        return box(role, glyph_of(units[0].a), _neuron(units[0], largest), part.scope, tooltip, GLYPH_SIZE)
    gradient = _delta([unit.z for unit in units], largest) if units else _nabla(facts.results, largest)
    weights = weights_of(part.values)
    W = "W" if weights else "θ"
    name = f"|∂{root.label}/∂{W}|" if root.label.isidentifier() else f"|∇{W}|"
    parameters = [_norm(name, weights or facts.parameters, largest)] if facts.parameters and role == "part" else []
    rows: tuple[tuple[Cell, ...], ...]
    if part.ends and parameters:
        rows = ((ends_of(part), Cell(counted(len(facts.parameters), "parameter"))), (gradient, *parameters))
    else:
        rows = tuple([(cell,) for cell in (*cells_of(facts), gradient, *parameters)])
    return box(role, shown(part.title), rows, part.scope, tooltip, FONT_SIZE)


def ends_of(part: Part) -> Cell:
    return Cell(f"{part.ends[0]} … {part.ends[1]}")


def _neuron(unit: Unit, largest: float | None) -> tuple[tuple[Cell, ...], ...]:
    """z and a, then δ and f'(z)."""
    z, a = unit
    (slope,) = [local for arg, local in zip(a.args, a.partials) if arg is z]
    return (
        (Cell(short(z.data), shown(z.label) or "z"), Cell(short(a.data), shown(a.label) or "a")),
        (_delta([z], largest), Cell("none" if slope is None else short(slope), "f′(z)")),
    )


def cells_of(facts: Facts) -> list[Cell]:
    """What a part is, before its gradients."""
    part, results, units = facts.part, facts.results, facts.units
    if part.ends:
        return [ends_of(part)]
    if part.alike is None or len({v.op or role_of(v) for v in part.values}) == 1:
        return [Cell(contents_of(part.values))]
    if units:
        kinds = "/".join(dict.fromkeys(glyph_of(unit.a) for unit in units))
        first = Cell(f"{facts.taken:,} → {facts.given:,} {kinds}" if facts.taken else f"{facts.given:,} {kinds}")
    elif len(results) == 1:
        first = Cell(short(results[0].data), shown(results[0].label))
    else:
        first = Cell(f"{facts.taken:,} → {facts.given:,}" if facts.taken else f"gives {facts.given:,}")
    parameters = [Cell(counted(len(facts.parameters), "parameter"))] if facts.parameters else []
    return [first, *parameters, Cell(counted(len(part.values), "value"))]


def counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n > 1)}"


def _delta(zs: list[Value], largest: float | None) -> Cell:
    if len(zs) > 1 or largest is None:
        return _norm("|δ|" if len(zs) > 1 else "δ", zs, largest)
    return Cell(signed(zs[0].grad), "δ", tone(zs[0].grad, largest))


def _nabla(values: list[Value], largest: float | None) -> Cell:
    return gradient_cell(values[0].grad, largest) if len(values) == 1 else _norm("|∇|", values, largest)


def _norm(name: str, values: Sequence[Value], largest: float | None) -> Cell:
    """The Euclidean norm of the gradients of these values."""
    if largest is None:
        return Cell(f"{name} not yet", tone=Tone("none"))
    size = math.hypot(*[v.grad for v in values])
    return Cell(short(size), name, tone(size, largest))


def contents_of(values: Iterable[Value]) -> str:
    """What of the values is most frequent: `600 +, 200 tanh, …`."""
    roles = Counter(v.op.symbol if v.op else role_of(v) for v in values)
    kinds = [(kind if n == 1 or kind not in ROLES else f"{kind}s", n) for kind, n in roles.most_common()]
    return ", ".join([f"{n:,} {kind}" for kind, n in kinds[:3]] + ["…"] * (len(kinds) > 3))


def _tooltip(facts: Facts, largest: float | None, root: Value) -> str:
    part = facts.part
    lines = [name_of(part)]
    if part.ends:
        lines.append(f"from {part.ends[0]} to {part.ends[1]}")
    lines.append(f"{counted(len(part.values), 'value')}: {contents_of(part.values)}")
    if facts.taken:
        lines.append(f"takes {counted(facts.taken, 'value')}, gives {facts.given:,}")
    if len(facts.units) == 1:
        ((z, a),) = facts.units
        lines += [f"{reference(z)} = {z.data!r}", f"{shown(a.label) or 'a'} = {formula(a)} = {a.data!r}"]
        lines += [f"δ = ∂{reference(root)}/∂{reference(z)} = {z.grad!r}"] if largest is not None else []
    for name, members in (("weight", weights_of(part.values)), ("parameter", facts.parameters)):
        if len(members) > 1 and largest is not None:
            size = math.hypot(*[p.grad for p in members])
            lines.append(f"norm of the gradients of {len(members):,} {name}s: {size!r}")
    if largest is None:
        lines.append("∇ not yet: backward has not run")
    return "\n".join(lines)


# --- arrows ---


def blanks(links: Links, names: list[str]) -> Iterator[tuple[Arrow, list[Use]]]:
    """An arrow for each link, of which only is known from where to where it leads."""
    count = Counter[int]()
    for (tail, head), uses in links.items():
        yield Arrow(tail, head, count[head], "", Tone("none"), f"{names[tail]} → {names[head]}"), uses
        count[head] += 1


def _arrow(blank: Arrow, uses: list[Use], largest: float | None) -> Arrow:
    """One arrow for these uses: the local derivative, where they have the same; else how much gradient they carry."""
    tail, head, k, *_ = blank
    if len(uses) == 1:
        ((arg, node, operand),) = uses
        return arrow(tail, head, operand, arg, node, node.partials[operand], largest)._replace(operand=k)
    flows = [(node.grad, local) for _, node, i in uses if (local := node.partials[i]) is not None]
    count = f"{blank.tooltip}: {len(uses):,} arrows"
    if not flows:
        return blank._replace(tooltip=f"{count}, no gradient flows")
    same = {d for _, d in flows}
    label = f"×{short(same.pop(), 3)}" if len(same) == 1 else ""
    if largest is None:
        return blank._replace(local=label, tone=Tone("zero"), tooltip=count)
    contributions = [upstream * d for upstream, d in flows]
    if label:
        carried = math.fsum(contributions)
        words = f"{count}, each {label}; Σ upstream × local = {short(carried)}"
        return blank._replace(local=label, tone=tone(carried, largest), tooltip=words)
    carried = math.fsum(map(abs, contributions))
    words = f"{count}; Σ |upstream × local| = {short(carried)}"
    return blank._replace(tone=tone(carried, largest)._replace(sign="many"), tooltip=words)

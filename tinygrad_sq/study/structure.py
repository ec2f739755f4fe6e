"""A net as a picture, before it has seen any sample: its units, its weights and its biases."""

from __future__ import annotations

import math

from tinygrad_sq.context import scope
from tinygrad_sq.graph import topological_order
from tinygrad_sq.nn import MLP, Layer, Module, Neuron, Parameter
from tinygrad_sq.study.collapse import partition
from tinygrad_sq.study.overview import (
    Facts,
    Use,
    blanks,
    cells_of,
    contents_of,
    counted,
    ends_of,
    name_of,
    relations,
    stacks,
    weights_of,
)
from tinygrad_sq.study.picture import (
    FONT_SIZE,
    GLYPH_SIZE,
    Arrow,
    Box,
    Cell,
    Picture,
    aligned,
    box,
    clusters,
    glyph_of,
    short,
    shown,
    signed,
    tone,
)
from tinygrad_sq.tree import as_list
from tinygrad_sq.value import Value

NOTES = ("on an arrow: × weight", "its colour and width: the weight")
LISTED = 12  # parameters of a neuron, in its tooltip
SEVERAL = "grey: several weights, as wide as their norm"


def structure(model: Module, depth: int) -> Picture:
    """The picture of a Neuron, Layer or MLP: on its arrows the weights, which are the derivatives ∂z/∂x.

    Raises TypeError for anything else.
    """
    if not isinstance(model, (Neuron, Layer, MLP)):
        raise TypeError(f"expected a Value, Neuron, Layer or MLP to draw, got {type(model).__name__} {model!r:.60}")
    with scope("input"):
        inputs = [Value(0.0, f"x[{j}]") for j in range(model.n_in)]
    roots: list[Value] = as_list(model(inputs))
    order = topological_order(*roots)
    parts = partition(order, depth)
    links, facts = relations(order, parts, roots)
    largest = max([0.0, *[abs(p.data) for p in model.parameters() if math.isfinite(p.data)]]) or 1.0
    boxes = aligned([_box(fact, largest) for fact in facts])
    names = [name_of(part) for part in parts]
    arrows = [_arrow(blank, uses, largest) for blank, uses in blanks(links, names)]
    words = (
        f"{model!r:.200} with {counted(len(model.parameters()), 'parameter')}, drawn as {len(boxes)} boxes: "
        f"{'; '.join(names)}. Each arrow shows a weight; the largest parameter is {short(largest)} in size."
    )
    notes = (*NOTES, SEVERAL) if any(a.tone.sign == "many" for a in arrows) else NOTES
    title = f"Structure of {model!r:.60}"
    lines = stacks(parts, arrows)
    return Picture(boxes, arrows, clusters(boxes), largest, title, words, notes, lines, root=False, scale="W, b")


def _box(facts: Facts, largest: float) -> Box:
    part, parameters = facts.part, facts.parameters
    if not part.title:
        name = shown(part.values[0].label)
        return box("input", name, ((Cell("input"),),), part.scope, f"{name}, an input", FONT_SIZE)
    lines = [name_of(part), f"{counted(len(part.values), 'value')}: {contents_of(part.values)}"]
    if not parameters:
        return box("input", part.title, (tuple(cells_of(facts)),), part.scope, "\n".join(lines), FONT_SIZE)
    weights = weights_of(part.values)
    heavy = set(weights)
    biases = [p for p in parameters if p not in heavy]
    if len(biases) == 1 and facts.units[0].z.scope == (*part.scope, part.title):
        ((z, a),), (b,) = facts.units, biases
        lines += [f"{p.label} = {p.data!r}" for p in parameters[:LISTED]]
        lines += ["…"] * (len(parameters) > LISTED)
        rows = ((Cell(glyph_of(z), z.label),), (Cell(signed(b.data), b.label, tone(b.data, largest)),))
        return box("part", glyph_of(a), rows, part.scope, "\n".join(lines), GLYPH_SIZE)
    norms = _norm("|W|", weights, largest), _norm("|b|", biases, largest)
    if part.ends:
        count = Cell(counted(len(parameters), "parameter"))
        return box("part", part.title, ((ends_of(part), count), norms), part.scope, "\n".join(lines), FONT_SIZE)
    column = tuple([(cell,) for cell in (*cells_of(facts), *norms)])
    return box("part", part.title, column, part.scope, "\n".join(lines), FONT_SIZE)


def _norm(name: str, parameters: list[Parameter], largest: float) -> Cell:
    size = math.hypot(*[p.data for p in parameters])
    return Cell(short(size), name, tone(size, largest))


def _arrow(blank: Arrow, uses: list[Use], largest: float) -> Arrow:
    """The weight; of several, their norm."""
    weights = [node.partials[k] or 0.0 for _, node, k in uses]
    size = math.hypot(*weights)
    words = f"{blank.tooltip}: {counted(len(weights), 'weight')}, "
    if len(weights) > 1:
        return blank._replace(tone=tone(size, largest)._replace(sign="many"), tooltip=f"{words}norm {short(size)}")
    (weight,) = weights
    return blank._replace(local=f"×{short(weight, 3)}", tone=tone(weight, largest), tooltip=words + short(weight))

"""The explorer page: a recorded graph in one HTML file, to be stepped through, changed and trained without a network.

Python lays the graph out and writes down what it is; the page computes every number itself, with the numeric core that
is generated from the derivative table.
"""

from __future__ import annotations

import json
import os
import re
import string
import zlib
from base64 import b64encode, b85encode
from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, TypeAlias

from tinygrad_sq.calculus import graph_partials
from tinygrad_sq.graph import topological_order
from tinygrad_sq.losses import half_squared_error
from tinygrad_sq.nn import Module, Parameter
from tinygrad_sq.saving import check_ending, write
from tinygrad_sq.study.draw import layout
from tinygrad_sq.study.formula import to_text
from tinygrad_sq.study.javascript import graph_json, numeric_core, operand, trainer_json
from tinygrad_sq.study.layout import Layout
from tinygrad_sq.study.names import Names
from tinygrad_sq.study.picture import (
    Atom,
    Cell,
    Picture,
    aligned,
    picture,
    short,
    shown,
)
from tinygrad_sq.study.route import Point, Route
from tinygrad_sq.study.svg import SIGNS
from tinygrad_sq.study.theme import FILL, KINDS, ROLES, STROKE, WIDTHS
from tinygrad_sq.tabular import Meanings
from tinygrad_sq.train import Loss
from tinygrad_sq.tree import as_list
from tinygrad_sq.value import Value, record

Samples: TypeAlias = "tuple[Collection[Any], Collection[Any]]"

ASSETS = files("tinygrad_sq.study") / "page"
SCRIPTS = ("explorer.js", "neurons.js", "train.js", "plane.js", "start.js")
EVERY_VALUE = 500  # a net of more values is shown by neurons, one of them open
WIDEST = "−8.888e−88"  # a number of the page: after a change it may be as wide as this
WIDEST_LOCAL = "×−0.0888"


def explore(
    root: Value,
    path: str | os.PathLike[str],
    *,
    model: Module | None = None,
    data: Samples | None = None,
    loss: Loss = half_squared_error,
    lam: float = 0.0,
    lr: float = 0.1,
    title: str = "",
    force: bool = False,
) -> None:
    """Write the explorer page of the graph of `root` to `path`: one HTML file that needs no network.

    model, data   the model in the graph, and samples (X, Y): the page trains it on them as `fit` does with SGD.
                  Without them, gradient descent on what was recorded: by the parameters, or by all leaves
    loss, lam     as for `cost`
    lr            the step size to start with
    title         the page's heading; by default, the formula
    force         lay out more than 3,000 values all the same

    Raises TypeError for what is not a Value; ValueError for a path that does not end in .html, for too large a graph,
    for a model without data, and for one of which the graph is no function; DotError if there is no Graphviz.
    """
    check_ending(path, ".html")
    write(path, page(root, model=model, data=data, loss=loss, lam=lam, lr=lr, title=title, force=force))


def page(
    root: Value,
    *,
    model: Module | None = None,
    data: Samples | None = None,
    loss: Loss = half_squared_error,
    lam: float = 0.0,
    lr: float = 0.1,
    title: str = "",
    force: bool = False,
    meanings: Meanings | None = None,
) -> str:
    """The HTML of `explore`: the same bytes for the same graph. `meanings` says what its labels stand for."""
    meanings = meanings or Meanings(title, {}, [])
    pic = picture(root, force)
    order = topological_order(root)
    names = Names(order, set(order), root)
    pic = roomy(pic, [_caption(node, names) for node in order])
    net = _net(order)
    by_neuron = net is not None and len(order) > EVERY_VALUE
    training = _training(model, data, loss, lam, lr)
    labels = [order[i].label for i in net[-1]["a"]] if net else []
    outputs = [shown(meanings.words.get(label, label), 60) for label in labels]
    graph = {
        "tape": graph_json(root),
        "names": [shown(names[node].text, 80) for node in order],
        "meanings": {
            i: shown(f"{node.label}: {meanings.words[node.label]}", 120)
            for i, node in enumerate(order)
            if node.label in meanings.words
        },
        "legend": [shown(text, 60) for text in meanings.legend],
        "loose": [i for i, node in enumerate(order) if names.binds_loosely(node)],
        **_written(order),
        "net": net,
        "train": training,
        "parameters": _parameters(order, model),
        "lr": lr,
        "plane": _plane(net, training["X"], data[1], outputs) if net and data and training else None,
        **_boxes(pic),
        **({} if by_neuron else _drawing(pic, layout(pic, "LR"))),
    }
    wanted = {"neurons.js": by_neuron, "plane.js": graph["plane"]}
    scripts = [name for name in SCRIPTS if wanted.get(name, True)]
    core = numeric_core(graph["tape"], *[each["tape"] for each in (training or {"graphs": ()})["graphs"]])
    style, loader = _style(), _dense(_asset("loader.js"))
    script = _dense(core + "".join(map(_asset, scripts)))
    parts = [_dense(_asset("body.html")), style, script, json.dumps(graph, **COMPACT)]
    packed = zlib.compress(json.dumps(parts, **COMPACT).encode(), 9)
    slots = {
        "title": escape(shown(meanings.title or _title(root, net), 80)),
        "styles": _hash(style),
        "scripts": f"{_hash(loader)}' '{_hash(script)}",
        "loader": loader,
        "parts": b85encode(packed, pad=True).decode().translate(IN_A_ROW),
        "bytes": str(len(packed)),
    }
    return re.sub(r"\{(\w+)\}", lambda slot: slots[slot[1]], _asset("page.html"))


# The digits of base 85 as characters in a row, without `<`: nothing can end the script element that they stand in.
BASE85 = f"{string.digits}{string.ascii_uppercase}{string.ascii_lowercase}!#$%&()*+-;<=>?@^_`{{|}}~"
IN_A_ROW = {ord(digit): 35 + k + (k > 24) for k, digit in enumerate(BASE85)}


def _title(root: Value, net: list[dict[str, Any]] | None) -> str:
    if net:
        sizes = "-".join(str(len(layer)) for layer in (net[0]["x"], *[layer["z"] for layer in net]))
        return f"{shown(root.label) or 'y'} of a {sizes} net"
    return to_text(root).splitlines()[0].rpartition(" = ")[0]


COMPACT: Any = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _dense(text: str) -> str:
    """Code without indentation and lines of comment, which the file has."""
    return "\n".join(line for line in map(str.strip, text.splitlines()) if line and not line.startswith("//"))


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls an inline script or style that may run."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _style() -> str:
    """The style sheet: both themes as variables, what is filled and drawn with them, and explorer.css."""
    colours = FILL | {f"{name}-line": pair for name, pair in STROKE.items()}
    colours |= {f"kind{k}": pair for k, pair in enumerate(KINDS)}
    variables = [f"--{name}:light-dark({light},{dark})" for name, (light, dark) in colours.items()]
    rules = [f":root{{color-scheme:light dark;{';'.join(variables)}}}"]
    rules += [f".{name}{{fill:var(--{name});stroke:var(--{name}-line)}}" for name in ("group", "subgroup", *ROLES)]
    rules += [f".{tone}{{fill:var(--{tone})}}" for tone in FILL if tone[:3] in STROKE or tone in STROKE]
    rules += [f".kind{k}{{fill:var(--kind{k})}}" for k in range(len(KINDS))]
    for sign in SIGNS:
        rules += [f".arrow.{sign}{{stroke:var(--{sign}-line);fill:var(--{sign}-line)}}"]
    rules += [f".w{step}{{stroke-width:{width}px}}" for step, width in enumerate(WIDTHS)]
    spaces = r"\s*([{};,])\s*|(?<=:)\s+"
    return re.sub(spaces, r"\1", "".join(rules) + _asset("explorer.css"))


# --- the formulas ---


def _caption(node: Value, names: Names) -> str:
    """What stands in a value's box as its name: nothing for an operation that is called by what it does."""
    return shown(names[node].text) if node.op and (node.label or names.is_given(node)) else ""


def _written(order: list[Value]) -> dict[str, Any]:
    """For each value its operation as a template of its operands, `{0} × {2} + {1} × {3} + {4}`, and templates of its
    partials, with the value itself as `{y}`; those of alike operations once."""
    templates: dict[Any, int] = {}
    written: list[Any] = []
    index = []
    for node in order:
        key = node.op, tuple([None if isinstance(arg, Value) else arg for arg in node.args])
        if node.op and key not in templates:
            templates[key] = len(written)
            written.append([_template(node), _partials(node)])
        index.append(templates.get(key, -1))
    return {"templates": written, "template": index}


def _partials(node: Value) -> list[str]:
    """By operand; empty where the formula depends on which side of a choice the operands are."""
    assert node.op
    args = [Value(arg.data, f"{{{k}}}") if isinstance(arg, Value) else arg for k, arg in enumerate(node.args)]
    copy = record(node.op, tuple(args))
    copy.label = "{y}"
    names = Names(topological_order(copy), (), copy)
    return [
        "" if partial is None or _chooses(partial) else names.local(copy, k).text
        for k, partial in enumerate(graph_partials(copy))
    ]


def _chooses(partial: Value | float) -> bool:
    nodes = topological_order(partial) if isinstance(partial, Value) else []
    return any(None in node.op.partials for node in nodes if node.op and isinstance(node.op.partials, tuple))


def _template(node: Value) -> str:
    assert node.op
    slots = [f"{{{k}}}" if isinstance(arg, Value) else short(arg) for k, arg in enumerate(node.args)]
    if node.op.products:
        return _sum_of_products(*node.op.products(*slots))
    text: str = node.op.text(*map(Atom, slots))
    return text


def _sum_of_products(terms: list[tuple[Any, Any]], rest: Any) -> str:
    text = ""
    for w, x in [*terms, *([(1.0, rest)] if rest not in (0.0, "0") else [])]:
        minus, factor = w == -1.0, x if w in (1.0, -1.0) else f"{w} × {x}"
        text += (" − " if minus else " + ") + factor if text else ("−" if minus else "") + factor
    return text


# --- the net, for the closed form ---


def _net(order: list[Value]) -> list[dict[str, Any]] | None:
    """The layers of an MLP among the values, found by the labels of the derivation: z, a, W, b and the layer's inputs,
    as positions in `order`. None where there is no net, or several samples of one, or if something else in the graph
    uses what is in it, so that E6 and E7 are not its whole gradient.

    The last layer has the targets y, too, if the root is ½ ‖h − y‖² (E1), so that E5 is its δ.
    """
    index = {node: i for i, node in enumerate(order)}
    labelled: dict[str, Value] = {}
    for node in order:
        if node.label in labelled and node.label:
            return None
        labelled[node.label] = node
    uses = Counter(arg for node in order for arg in node.args if isinstance(arg, Value))
    layers: list[dict[str, Any]] = []
    below: tuple[Any, ...] = ()
    while units := _units(labelled, len(layers) + 2):
        sums = [z.op.products(*z.args) for z, _ in units if z.op and z.op.products]
        inputs = [tuple([x for _, x in terms]) for terms, _ in sums]
        if len(set(inputs)) != 1 or len(sums) != len(units) or (layers and inputs[0] != below):
            return None
        parameters = [w for terms, _ in sums for w, _ in terms] + [b for _, b in sums]
        if not all(isinstance(p, Value) for p in parameters):
            return None
        if {uses[v] for v in (*parameters, *[z for z, _ in units])} != {1} or {uses[a] for a in below} - {len(units)}:
            return None
        layers.append(
            {
                "z": [index[z] for z, _ in units],
                "a": [index[a] for _, a in units],
                "W": [[index[w] for w, _ in terms] for terms, _ in sums],
                "b": [index[b] for _, b in sums],
                "x": [operand(x, index) for x in inputs[0]],
            }
        )
        below = tuple([a for _, a in units])
    if layers and (targets := _targets(order, below)) is not None:
        layers[-1]["y"] = [operand(t, index) for t in targets]
    return layers or None


def _units(labelled: dict[str, Value], l: int) -> list[tuple[Value, Value]]:
    """(z, a) of each unit of layer l."""
    units: list[tuple[Value, Value]] = []
    while (z := labelled.get(f"z{l}[{len(units)}]")) and (a := labelled.get(f"a{l}[{len(units)}]")):
        if a.args[:1] != (z,):
            break
        units.append((z, a))
    return units


def _targets(order: list[Value], outputs: tuple[Value, ...]) -> list[Value | float] | None:
    """y, if the root of the graph is what `half_squared_error` makes of the outputs and y."""
    users = {arg: node for node in order for arg in node.args if isinstance(arg, Value)}
    targets = [users[h].args[0] if h in users else h for h in outputs]
    expected = half_squared_error(outputs, targets)
    pairs: list[tuple[Any, Any]] = [(order[-1], expected)]
    while pairs:
        real, ideal = pairs.pop()
        if real is not ideal:
            if not (isinstance(real, Value) and isinstance(ideal, Value) and real.op is ideal.op and real.op):
                return None
            pairs += zip(real.args, ideal.args)
    return targets


# --- training ---


def _training(model: Module | None, data: Samples | None, loss: Loss, lam: float, lr: float) -> dict[str, Any] | None:
    if (model is None) != (data is None):
        raise ValueError("to train, the page takes both: the model and the data (X, Y)")
    return None if model is None or data is None else trainer_json(model, *data, loss=loss, lam=lam, lr=lr)


def _parameters(order: list[Value], model: Module | None) -> list[int]:
    """The positions of what training changes: the model's parameters, or those in the graph, or else all its leaves."""
    index = {node: i for i, node in enumerate(order)}
    if model is not None:
        if missing := [p for p in model.parameters() if p not in index]:
            raise ValueError(f"the graph does not depend on the model's parameter {missing[0]!r:.80}")
        return [index[p] for p in model.parameters()]
    leaves = [node for node in order if not node.op]
    return [index[p] for p in [p for p in leaves if isinstance(p, Parameter)] or leaves]


def _plane(
    net: list[dict[str, Any]], X: list[list[float]], Y: Collection[Any], names: list[str]
) -> dict[str, Any] | None:
    """The plane of the inputs, if there are two of them, with the samples, and what the outputs, of these names, are:

    several outputs                 one for each class, if the targets say so
    one, for two different targets  two classes, one on each side of the `level`
    one, for more                   a value, of which colours show at `most` so much above and below the level
    """
    if len(net[0]["x"]) != 2:
        return None
    targets = [[*map(float, as_list(y))] for y in Y]
    plane = {
        "x": net[0]["x"],
        "box": [end for xs in zip(*X) for end in _range(xs)],
        "hues": [f"--kind{k}" for k in range(len(KINDS))],
    }
    if len(names) > 1:
        classes = _classes(targets, len(names))
        return classes if classes is None else plane | {"level": None, "most": None, "of": classes, "names": names}
    values = [y for (y,) in targets]
    low, high = min(values), max(values)
    level = (low + high) / 2
    if len(set(values)) == 2:
        sides = [f"y[0] = {short(y)}" for y in (low, high)]
        return plane | {"level": level, "most": None, "of": [int(y > level) for y in values], "names": sides}
    return plane | {"level": level, "most": (high - low) / 2 or 1.0, "of": values, "names": names}


def _classes(targets: list[list[float]], n: int) -> list[int] | None:
    """The class of each sample, if targets are such of n: their numbers, or one-hot."""
    if all(len(y) == 1 and y[0] in range(n) for y in targets):
        return [int(k) for (k,) in targets]
    if len({t for y in targets for t in y}) == 2 and all(y.count(max(y)) == 1 for y in targets):
        return [y.index(max(y)) for y in targets]
    return None


def _range(xs: Sequence[float]) -> tuple[float, float]:
    margin = 0.15 * (max(xs) - min(xs)) or 1.0
    return min(xs) - margin, max(xs) + margin


# --- the drawing ---


def roomy(pic: Picture, captions: list[str]) -> Picture:
    """The picture with these names in its boxes, and with room for the numbers that may stand there after a change."""
    boxes = []
    for box, caption in zip(pic.boxes, captions):
        cells = Cell(WIDEST, caption), Cell(f"∇ {WIDEST}")
        rows = ((Cell(box.data, caption),), box.rows[1])
        boxes.append(box._replace(rows=rows, columns=(max(*box.columns, *(cell.width for cell in cells)),)))
    arrows = [arrow._replace(local=max(arrow.local, WIDEST_LOCAL, key=len)) for arrow in pic.arrows]
    return pic._replace(boxes=aligned(boxes), arrows=arrows)


def _boxes(pic: Picture) -> dict[str, Any]:
    """What the page draws for each value: its glyph, its name, its box as [role, width, width of the glyph]."""
    return {
        "glyphs": [box.glyph for box in pic.boxes],
        "labels": [box.name for box in pic.boxes],
        "boxes": [[ROLES.index(box.role), *_whole(box.width, box.glyph_width)] for box in pic.boxes],
        "fold": [shown(box.scope[0]) if box.scope else "" for box in pic.boxes],
    }


def _drawing(pic: Picture, where: Layout) -> dict[str, Any]:
    """Where it draws them; the groups; the arrows."""
    return {
        "places": [_whole(x, y) for x, y in where.boxes],
        "groups": [
            [shown(scope[-1]), len(scope), *_whole(a[0], a[1], b[0] - a[0], b[1] - a[1])]
            for scope, (a, b) in where.groups.items()
        ],
        "arrows": [
            _arrow(route, where.boxes[a.tail], where.boxes[a.head]) for a, route in zip(pic.arrows, where.routes)
        ],
    }


def _arrow(route: Route, tail: Point, head: Point) -> list[str | int]:
    """Path and label relative to the box at the tail, tip to that at the head: then alike neurons have alike arrows."""
    label = _steps(tail, route.label) if route.label else ()
    return [_path(route, tail), *_steps(head, route.tip), *label]


def _path(route: Route, tail: Point) -> str:
    """The way of an arrow in whole pixels, each point relative to the last."""
    here, *points = route.curve
    path = "m{} {}".format(*_steps(tail, here))
    for curve in zip(*[iter(points)] * 3):
        steps = [_steps(here, to) for to in curve]
        if any(dy for _, dy in steps):
            path += "c" + " ".join(f"{dx} {dy}" for dx, dy in steps)
        elif steps[-1][0]:
            path += f"h{steps[-1][0]}"
        here = curve[-1]
    return path.replace(" -", "-")


def _steps(a: Point, b: Point) -> tuple[int, int]:
    """From a to b, in whole pixels that never add up to another place."""
    return round(b[0]) - round(a[0]), round(b[1]) - round(a[1])


def _whole(*lengths: float) -> list[int]:
    return [round(x) for x in lengths]

"""The computation graph as a picture: DOT text by `draw_dot`, a finished SVG by `to_svg`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from html import escape

import graphviz

from tinygrad_sq.checks import checked
from tinygrad_sq.graph import topological_order
from tinygrad_sq.nn import Module
from tinygrad_sq.study import dot, svg
from tinygrad_sq.study.layout import DOOR, Layout, Plan, arrange, plan
from tinygrad_sq.study.overview import overview
from tinygrad_sq.study.picture import (
    FONT_SIZE,
    GLYPH_SIZE,
    SMALL_SIZE,
    Arrow,
    Box,
    Cell,
    Picture,
    picture,
    shown,
)
from tinygrad_sq.study.structure import structure
from tinygrad_sq.study.theme import FILL, STROKE, WIDTHS
from tinygrad_sq.value import Value

DETAILS = ("value", "neuron", "layer", "auto")
EVERY_VALUE = 150  # a graph of so many values can be read value by value
READABLE = 400
PORTS = {"LR": ("e", "w"), "TB": ("s", "n")}
SHAPES = {
    "operation": {"shape": "box"},
    "input": {"shape": "polygon", "sides": "4", "skew": "0.1"},
    "parameter": {"shape": "box", "style": "rounded,filled"},
    "target": {"shape": "note"},
    "part": {"shape": "box", "style": "rounded,filled"},
}


def to_svg(
    root: Value | Module,
    *,
    detail: str = "auto",
    rankdir: str = "LR",
    given: Iterable[Value] = (),
    force: bool = False,
) -> str:
    """The graph of `root` as one SVG file, light and dark, laid out by Graphviz; arguments and errors as `draw_dot`.

    Raises DotError if there is no Graphviz, or if it fails.
    """
    pic = picture_of(root, detail, given, force)
    return svg.render(pic, layout(pic, rankdir))


def picture_of(root: Value | Module, detail: str = "auto", given: Iterable[Value] = (), force: bool = False) -> Picture:
    """What the picture of a graph says; arguments and errors as `draw_dot`."""
    if detail not in DETAILS:
        raise ValueError(f"detail is one of {', '.join(map(repr, DETAILS))}, got {detail!r}")
    if isinstance(root, Module):
        return structure(root, 1 if detail == "layer" else 2)
    root = _cut(checked(root, Value, "a Value to draw"), set(given))
    order = topological_order(root)
    if detail == "value" or (detail == "auto" and len(order) <= EVERY_VALUE):
        return picture(root, force)
    return overview(order, 1 if detail == "layer" else 2)


def _cut(root: Value, given: set[Value]) -> Value:
    """A copy of the graph in which the given values are leaves; the graph itself if there are none."""
    if not given:
        return root
    copies: dict[Value | float, Value] = {}
    for v in topological_order(root):
        copies[v] = copy = object.__new__(type(v))
        copy.data, copy.grad, copy.label, copy.scope = v.data, v.grad, v.label, v.scope
        copy.op, copy.args, copy.partials = v.op, tuple([copies.get(arg, arg) for arg in v.args]), v.partials
        if v in given:
            copy.op, copy.args, copy.partials = None, (), ()
    return copies[root]


def layout(pic: Picture, rankdir: str) -> Layout:
    """Where the parts of a picture stand, laid out by Graphviz. Errors as `to_svg`."""
    where = plan(pic)
    answer = json.loads(dot.run(_digraph(pic, where, rankdir).source, "json"))
    return arrange(pic, where, answer, rankdir)


def notebook_svg(root: Value | Module) -> str | None:
    """`to_svg` for a notebook, which shows the repr instead where there is no Graphviz."""
    try:
        return to_svg(root)
    except dot.DotError:
        return None


def draw_dot(
    root: Value | Module,
    *,
    detail: str = "auto",
    rankdir: str = "LR",
    given: Iterable[Value] = (),
    force: bool = False,
) -> graphviz.Digraph:
    """The graph of `root`: boxes for its values, edges for their operands with the local derivatives.

    detail   "value": a box for each value
             "neuron": one for the values under each scope of depth 2, as ("layer 2", "neuron 0"), with z, a, δ, f'(z);
             an edge from one neuron to another has its weight, which is the local derivative
             "layer": one for the values under each scope of depth 1, with its sizes and the norms of its gradients
             "auto": "value" for up to 150 values, "neuron" for more
    rankdir  "LR": from left to right; "TB": from top to bottom
    given    values drawn as if they were leaves: what they are made of is left out
    force    at detail="value", draw more than 3,000 values all the same

    At "neuron" and "layer" there are at most 64 boxes, however large the graph: of more than eight neurons (or layers,
    or other values) that are alike, the first four and the last are shown, and "… 120 more" between; a graph that is
    still too large is drawn by coarser scopes, and in the end by the distance of its values from the root.

    Of a Neuron, Layer or MLP in place of a Value the picture shows the units, weights and biases.

    Its `.source` is DOT text, the same bytes for the same graph; it needs no Graphviz.
    Raises ValueError for another detail or rankdir, TooLargeError (a ValueError) for too large a graph.
    """
    pic = picture_of(root, detail, given, force)
    return _digraph(pic, plan(pic), rankdir)


def _digraph(pic: Picture, where: Plan, rankdir: str) -> graphviz.Digraph:
    if rankdir not in PORTS:
        raise ValueError(f"rankdir is 'LR' (left to right) or 'TB' (top to bottom), got {rankdir!r}")
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": rankdir,
            "newrank": "true",  # ranks are those of the whole graph, so that clusters line up in columns
            "nodesep": "0.12",
            "ranksep": "0.7" if any(box.role == "part" for box in pic.boxes) else "0.5",
            "fontname": "Arial",
            "fontsize": str(FONT_SIZE),
            "labeljust": "l",
            # What cannot be read anyway need not be laid out with care: 1,700 values in 3 s instead of 7.
            **({"nslimit": "0.1", "mclimit": "0.1"} if len(pic.boxes) > READABLE else {}),
        },
        node_attr={"fontname": "Arial", "fontsize": str(FONT_SIZE), "fixedsize": "true", "style": "filled"},
        edge_attr={"fontname": "Arial", "fontsize": str(SMALL_SIZE), "arrowsize": "0.6"},
    )
    _add_boxes(graph, pic, where, rankdir)
    for arrow in pic.arrows:
        _add_arrow(graph, pic, arrow, arrow.id in where.doors, *PORTS[rankdir])
    _add_gates(graph, pic, where)
    return graph


def _add_boxes(graph: graphviz.Digraph, pic: Picture, where: Plan, rankdir: str) -> None:
    """Each box into the cluster of its scope, each cluster into that of the scope around it."""
    clusters: dict[tuple[str, ...], graphviz.Digraph] = {(): graph}
    for name, scope in sorted(pic.groups.items(), key=lambda item: where.columns.get(item[1][0], 0)):
        style = "group" if len(scope) % 2 else "subgroup"
        clusters[scope] = graphviz.Digraph(
            name,
            graph_attr={
                "label": graphviz.escape(shown(scope[-1])),
                "style": "rounded,filled",
                "fillcolor": FILL[style][0],
                "color": STROKE[style][0],
            },
        )
    for i, box in enumerate(pic.boxes):
        clusters[box.scope].node(
            f"n{i}",
            _label(box),
            tooltip=graphviz.escape(box.tooltip),
            width=_inches(box.width),
            height=_inches(box.height),
            fillcolor=FILL[box.role][0],
            color=STROKE[box.role][0],
            peripheries="2" if pic.root and i == len(pic.boxes) - 1 else "1",
            **SHAPES[box.role],
        )
    thin, wide = ("height", "width") if rankdir == "TB" else ("width", "height")
    for arrow in pic.arrows:
        if arrow.id in where.doors:
            size = {thin: "0.01", wide: _inches(DOOR)}
            clusters[pic.boxes[arrow.head].scope].node(arrow.door, "", shape="box", style="invis", **size)
    for stack in pic.stacks:
        with clusters[pic.boxes[stack[0]].scope].subgraph(graph_attr={"rank": "same"}) as line:
            for above, below in itertools.pairwise(stack):
                line.edge(f"n{above}", f"n{below}", style="invis")
    _nest(clusters, ())


def _nest(clusters: dict[tuple[str, ...], graphviz.Digraph], scope: tuple[str, ...]) -> None:
    """Each cluster into the one around it, in order."""
    for inner, cluster in clusters.items():
        if inner and inner[:-1] == scope:
            _nest(clusters, inner)
            clusters[scope].subgraph(cluster)


def _label(box: Box) -> str:
    size = GLYPH_SIZE if box.role == "operation" else FONT_SIZE
    glyph = f'<font point-size="{size}"><b>{escape(box.glyph)}</b></font>'
    left = f'<td rowspan="{len(box.rows)}" width="{round(box.glyph_width)}">{glyph}</td>'
    rows = "</tr><tr>".join("".join(_cell(box, cell) for cell in row) for row in box.rows)
    return f'<<table border="0" cellborder="0" cellspacing="1" cellpadding="1"><tr>{left}{rows}</tr></table>>'


def _cell(box: Box, cell: Cell) -> str:
    name = f"<b>{escape(cell.name)}</b> = " if cell.name else ""
    fill = f' bgcolor="{FILL.get(cell.tone.name, FILL[box.role])[0]}"' if cell.tone else ""
    return f'<td align="left"{fill}>{name}{escape(cell.text)}</td>'


def _add_arrow(graph: graphviz.Digraph, pic: Picture, arrow: Arrow, door: bool, tailport: str, headport: str) -> None:
    tail, head = pic.boxes[arrow.tail], pic.boxes[arrow.head]
    common = {
        "color": STROKE[arrow.tone.sign][0],
        "penwidth": str(WIDTHS[arrow.tone.step]),
        "style": "dashed" if arrow.tone.sign == "none" else "solid",
        "tooltip": graphviz.escape(arrow.tooltip),
    }
    start, end = f"n{arrow.tail}:{tailport}", f"n{arrow.head}:{headport}"
    if door:
        # The heavier half is the shorter one: a door stands in the first column of its group, the label before that.
        first = {"id": arrow.id, "arrowhead": "none", "weight": "1", "minlen": "2"}
        graph.edge(start, f"{arrow.door}:{headport}", arrow.local, **first, **common)
        graph.edge(f"{arrow.door}:{tailport}", end, id=arrow.door, weight="2", **common)
    else:
        # Leaves stand close to their users, and operations of one group in a line.
        weight = "4" if tail.role != "operation" else "20" if tail.scope == head.scope else "1"
        graph.edge(start, end, arrow.local, id=arrow.id, weight=weight, **common)


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _add_gates(graph: graphviz.Digraph, pic: Picture, plan: Plan) -> None:
    """An invisible gate between columns of groups: all of one column stands before it, all of the next behind it."""
    # Leaves whose users all have doors are held behind these already; their edges would cost most of the time.
    led_through = {arrow.head for arrow in pic.arrows if arrow.id in plan.doors}
    loose = {arrow.tail for arrow in pic.arrows if arrow.head not in led_through}
    for i in plan.sources:
        column = plan.columns.get(pic.boxes[i].scope[0], 0)
        if column and (i in loose or pic.boxes[i].role == "operation"):
            graph.edge(f"gate{column}", f"n{i}", style="invis", weight="0")
    for i in plan.sinks:
        column = plan.columns.get(pic.boxes[i].scope[0], 0) + 1
        if column in plan.columns.values():
            graph.edge(f"n{i}", f"gate{column}", style="invis", weight="0")
    for column in sorted(set(plan.columns.values()) - {0}):
        graph.node(f"gate{column}", "", shape="point", width="0", height="0", style="invis")

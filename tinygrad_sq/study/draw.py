"""The computation graph as a picture: DOT text by `draw_dot`, a finished SVG by `to_svg`."""

from __future__ import annotations

import json
from graphlib import CycleError, TopologicalSorter
from html import escape

import graphviz

from tinygrad_sq.study import dot, svg
from tinygrad_sq.study.picture import (
    FONT_SIZE,
    GLYPH_SIZE,
    SMALL_SIZE,
    Arrow,
    Box,
    Picture,
    TooLargeError,
    picture,
    shown,
)
from tinygrad_sq.study.theme import FILL, STROKE, WIDTHS
from tinygrad_sq.value import Value

PORTS = {"LR": ("e", "w"), "TB": ("s", "n")}
SHAPES = {
    "operation": {"shape": "box"},
    "input": {"shape": "polygon", "sides": "4", "skew": "0.1"},
    "parameter": {"shape": "box", "style": "rounded,filled"},
    "target": {"shape": "note"},
}


def to_svg(root: Value, *, rankdir: str = "LR", force: bool = False) -> str:
    """The graph of `root` as one SVG file, light and dark, laid out by Graphviz; arguments and errors as `draw_dot`.

    Raises DotError if there is no Graphviz, or if it fails.
    """
    pic = picture(root, force)
    source = _digraph(pic, rankdir).source
    return svg.render(pic, json.loads(dot.run(source, "json")))


def notebook_svg(root: Value) -> str | None:
    """`to_svg` for a notebook, which shows the repr instead where there is no Graphviz or the graph is too large."""
    try:
        return to_svg(root)
    except (dot.DotError, TooLargeError):
        return None


def draw_dot(root: Value, *, rankdir: str = "LR", force: bool = False) -> graphviz.Digraph:
    """The graph of `root`: a box for each value, an edge for each operand with its local derivative.

    rankdir  "LR": from left to right; "TB": from top to bottom
    force    draw more than 3,000 values all the same

    Its `.source` is DOT text, the same bytes for the same graph; it needs no Graphviz.
    Raises ValueError for too large a graph and for another rankdir.
    """
    return _digraph(picture(root, force), rankdir)


def _digraph(pic: Picture, rankdir: str) -> graphviz.Digraph:
    if rankdir not in PORTS:
        raise ValueError(f"rankdir is 'LR' (left to right) or 'TB' (top to bottom), got {rankdir!r}")
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": rankdir,
            "newrank": "true",  # ranks are those of the whole graph, so that clusters line up in columns
            "nodesep": "0.12",
            "ranksep": "0.3",
            "fontname": "Arial",
            "fontsize": str(FONT_SIZE),
            "labeljust": "l",
        },
        node_attr={"fontname": "Arial", "fontsize": str(FONT_SIZE), "fixedsize": "true", "style": "filled"},
        edge_attr={"fontname": "Arial", "fontsize": str(SMALL_SIZE), "arrowsize": "0.6"},
    )
    _add_boxes(graph, pic)
    for arrow in pic.arrows:
        _add_arrow(graph, arrow, *PORTS[rankdir])
    _add_gates(graph, pic)
    return graph


def _add_boxes(graph: graphviz.Digraph, pic: Picture) -> None:
    """Each box into the cluster of its scope, each cluster into that of the scope around it."""
    clusters: dict[tuple[str, ...], graphviz.Digraph] = {(): graph}
    for name, scope in pic.groups.items():
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
            peripheries="2" if i == len(pic.boxes) - 1 else "1",
            **SHAPES[box.role],
        )
    for path in reversed(clusters):
        if path:
            clusters[path[:-1]].subgraph(clusters[path])


def _label(box: Box) -> str:
    name = f"<b>{escape(box.name)}</b> = " if box.name else ""
    size = GLYPH_SIZE if box.role == "operation" else FONT_SIZE
    width = round(box.glyph_width)
    fill = FILL.get(box.tone.name, FILL[box.role])[0]
    return (
        '<<table border="0" cellborder="0" cellspacing="1" cellpadding="1"><tr>'
        f'<td rowspan="2" width="{width}"><font point-size="{size}"><b>{escape(box.glyph)}</b></font></td>'
        f'<td align="left">{name}{escape(box.data)}</td></tr>'
        f'<tr><td align="left" bgcolor="{fill}">{escape(box.gradient)}</td></tr></table>>'
    )


def _add_arrow(graph: graphviz.Digraph, arrow: Arrow, tailport: str, headport: str) -> None:
    graph.edge(
        f"n{arrow.tail}:{tailport}",
        f"n{arrow.head}:{headport}",
        arrow.local,
        id=arrow.id,
        color=STROKE[arrow.tone.sign][0],
        penwidth=str(WIDTHS[arrow.tone.step]),
        style="dashed" if arrow.tone.sign == "none" else "solid",
        tooltip=graphviz.escape(arrow.tooltip),
    )


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


# --- columns ---


def _add_gates(graph: graphviz.Digraph, pic: Picture) -> None:
    """An invisible gate before each column of groups: all of one column stands before it, all of the next behind it.

    Its edges keep their order, and with it that of the neurons.
    """
    columns = _columns(pic)
    if not columns:
        return
    group = [box.scope[0] if box.scope else None for box in pic.boxes]
    inner = [arrow for arrow in pic.arrows if group[arrow.tail] == group[arrow.head]]
    has_operands = {arrow.head for arrow in inner}
    has_users = {arrow.tail for arrow in inner}
    for column in range(max(columns.values()) + 1):
        gate = f"gate{column}"
        graph.node(gate, "", shape="point", width="0", height="0", style="invis", ordering="out")
        for i, name in enumerate(group):
            if name is not None and columns[name] == column - 1 and i not in has_users:
                graph.edge(f"n{i}", gate, style="invis")
        for i, name in enumerate(group):
            if name is not None and columns[name] == column and i not in has_operands:
                graph.edge(gate, f"n{i}", style="invis")


def _columns(pic: Picture) -> dict[str, int]:
    """The column of each outermost scope: one after the last that it depends on. None if they depend on each other."""
    key = [box.scope[0] if box.scope else i for i, box in enumerate(pic.boxes)]
    before: dict[str | int, dict[str | int, None]] = {k: {} for k in key}
    for arrow in pic.arrows:
        if key[arrow.tail] != key[arrow.head]:
            before[key[arrow.head]][key[arrow.tail]] = None
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError:
        return {}
    column: dict[str | int, int] = {}
    for k in order:
        column[k] = max((column[p] for p in before[k]), default=-isinstance(k, str)) + isinstance(k, str)
    users: dict[str | int, list[int]] = {}
    for k in order:
        for p in before[k]:
            users.setdefault(p, []).append(column[k] - isinstance(k, str))
    # What depends on nothing stands just before its first user, as targets do before the loss.
    return {k: column[k] if before[k] else max(0, min(users.get(k, [0]))) for k in order if isinstance(k, str)}

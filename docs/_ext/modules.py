"""The directive `modules`: who imports whom in the package, drawn from its import statements."""

from __future__ import annotations

import ast
from pathlib import Path

import graphviz
from shown import Shown
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tinygrad_sq.study import dot
from tinygrad_sq.study.theme import FILL, STROKE

PACKAGE = Path(__file__).parents[2] / "tinygrad_sq"
FOLDED = ("compiler", "study")  # folders that are one box each


class Modules(Shown):
    """The picture, with the content as its caption."""

    required_arguments = 0

    def value(self) -> str:
        for file in PACKAGE.rglob("*.py"):
            self.env.note_dependency(file)
        return draw(reduced(imports()))


def imports() -> dict[str, set[str]]:
    """For each module, those that it imports when it is loaded. __init__ and __main__ are left out."""
    graph: dict[str, set[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        module = box(".".join(file.relative_to(PACKAGE).with_suffix("").parts))
        if not file.stem.startswith("__") or file.parent != PACKAGE:
            found = graph.setdefault(module, set())
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinygrad_sq"):
                    inside = (node.module or "").split(".")[1:]
                    found |= {box(".".join(inside))} if inside else {box(alias.name) for alias in node.names}
    return {module: (found & graph.keys()) - {module} for module, found in graph.items()}


def box(module: str) -> str:
    folder = module.partition(".")[0]
    return f"{folder}/" if folder in FOLDED else module


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the imports that follow from others: a picture of 100 arrows says less than one of 40."""
    below: dict[str, set[str]] = {}

    def all_below(module: str) -> set[str]:
        if module not in below:
            below[module] = set(graph[module]).union(*map(all_below, graph[module]))
        return below[module]

    return {
        module: {a for a in direct if not any(a in all_below(b) for b in direct)} for module, direct in graph.items()
    }


def draw(graph: dict[str, set[str]]) -> str:
    (light, dark), (line, dark_line), (ink, dark_ink) = FILL["group"], STROKE["operation"], FILL["ink"]
    digraph = graphviz.Digraph(
        graph_attr={"rankdir": "BT", "bgcolor": "transparent", "nodesep": "0.15", "ranksep": "0.35"},
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": "Arial",
            "fontsize": "12",
            "fixedsize": "true",
            "height": "0.3",
            "fillcolor": light,
            "color": line,
            "fontcolor": ink,
        },
        edge_attr={"arrowsize": "0.6", "color": line},
    )
    for module, direct in sorted(graph.items()):
        digraph.node(module, width=f"{0.09 * len(module) + 0.25:.2f}")
        for lower in sorted(direct):
            digraph.edge(lower, module)
    svg = dot.run(digraph.source, "svg").decode()
    swap = {("fill", light): dark, ("stroke", line): dark_line, ("fill", line): dark_line, ("fill", ink): dark_ink}
    rules = "".join(f'[{name}="{old}"]{{{name}:{new}}}' for (name, old), new in swap.items())
    start = svg.index("<g ")
    return f"{svg[:start]}<style>@media(prefers-color-scheme:dark){{{rules}}}</style>{svg[start:]}"


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

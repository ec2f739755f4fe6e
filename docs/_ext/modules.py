"""The directive `modules`: who imports whom in the package, drawn from its import statements."""

from __future__ import annotations

import ast
from functools import cache
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
        return draw(folded(reduced(imports())))


def imports() -> dict[str, set[str]]:
    """For each module, those that it imports when it is loaded. __init__ and __main__ are left out."""
    files = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in sorted(PACKAGE.rglob("*.py"))}
    graph: dict[str, set[str]] = {module: set() for module in files if not module.startswith("__")}
    for module, found in graph.items():
        for node in ast.parse(files[module].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tinygrad_sq":
                inside = (node.module or "").split(".")[1:]
                found |= {".".join([*inside, alias.name]) for alias in node.names} | {".".join(inside)}
    return {module: (found & graph.keys()) - {module} for module, found in graph.items()}


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the imports that follow from others: a picture of 100 arrows says less than one of 40."""

    @cache
    def all_below(module: str) -> set[str]:
        return graph[module].union(*map(all_below, graph[module]))

    return {
        module: {a for a in direct if not any(a in all_below(b) for b in direct)} for module, direct in graph.items()
    }


def folded(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """With one box for each of the folders."""
    boxes: dict[str, set[str]] = {}
    for module, direct in graph.items():
        boxes.setdefault(box(module), set()).update(map(box, direct))
    return {name: direct - {name} for name, direct in boxes.items()}


def box(module: str) -> str:
    folder = module.partition(".")[0]
    return f"{folder}/" if folder in FOLDED else module


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

"""Docstrings as they are written in the package, made into what Sphinx reads.

They are plain text: paragraphs, and columns (a name, two spaces or more, what it is) for parameters and equations.
Sphinx would take `x_i` and `|x|` for markup of its own.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

import tinygrad_sq

COLUMNS = re.compile(r"(\S.*?)\s{2,}(\S.*)")


def to_rst(lines: list[str]) -> list[str]:
    """The docstring as reStructuredText: columns become a list of definitions, paragraphs stay."""
    out: list[str] = []
    for paragraph in "\n".join(lines).strip().split("\n\n"):
        first, *rest = paragraph.split("\n")
        if COLUMNS.fullmatch(first):
            for line in (first, *rest):
                match = COLUMNS.fullmatch(line)
                out += [f"{inline(match[1])}", f"   {inline(match[2])}"] if match else [f"   {inline(line.strip())}"]
                if not match:
                    out[-2:] = [f"{out[-2]} {out[-1].strip()}"]
        else:
            out += [inline(line.strip()) for line in (first, *rest)]
        out.append("")
    return out


def inline(text: str) -> str:
    """Text in which code in backticks is code, or a link if it is a public name, and all else is as it stands."""
    return re.sub(r"`([^`]+)`|([*_|\\])", lambda m: _code(m[1]) if m[1] else rf"\{m[2]}", text)


def _code(text: str) -> str:
    name = text.removesuffix("()")
    return (
        f":py:obj:`{text} <tinygrad_sq.{name}>`"
        if name.isidentifier() and hasattr(tinygrad_sq, name)
        else f"``{text}``"
    )


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = to_rst(lines)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

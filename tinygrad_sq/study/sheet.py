"""Lines and tables with formulas in them, as aligned text, as HTML with MathML, and as LaTeX."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from html import escape
from typing import NamedTuple, TypeAlias
from unicodedata import combining, east_asian_width

from tinygrad_sq.study.formula import LATEX, from_latex_text
from tinygrad_sq.study.names import Formula, Names, rounded
from tinygrad_sq.study.picture import shown
from tinygrad_sq.value import Value

Item: TypeAlias = "str | float | Formula"
MOST_DEFINED = 12
WIDEST = 40  # of a cell of text, in characters


class Line(NamedTuple):
    """A sentence."""

    items: Sequence[Item]
    heading: bool = False


class Grid(NamedTuple):
    """A table. Numbers, and columns whose heading begins with a space, are set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Item]]


Block: TypeAlias = "Line | Grid"


class Sheet(ABC):
    """What is shown as text on a terminal, as HTML in a notebook, and as LaTeX in print."""

    @abstractmethod
    def blocks(self, limit: int | None) -> list[Block]:
        """Its lines and tables; tables with at most `limit` rows (None: all)."""

    def text(self, limit: int | None = 60) -> str:
        """As plain text, with at most `limit` rows in a table (None: all)."""
        parts = [_line_text(block) if isinstance(block, Line) else _grid_text(block) for block in self.blocks(limit)]
        return "\n".join(parts).lstrip("\n")

    def html(self, limit: int | None = 60) -> str:
        """As HTML with its formulas in MathML, which needs no script and no network."""
        parts = [_line_html(block) if isinstance(block, Line) else _grid_html(block) for block in self.blocks(limit)]
        return f'<div class="tinygrad-sq">{STYLE}{"".join(parts)}</div>'

    def latex(self, limit: int | None = 60) -> str:
        """As LaTeX, without dollar signs."""
        parts = [_line_latex(block) if isinstance(block, Line) else _grid_latex(block) for block in self.blocks(limit)]
        return "\\begin{array}{l}\n" + " \\\\\n".join(parts) + "\n\\end{array}"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def number(x: float, digits: int = 10) -> Formula:
    """A number with more digits than a cell has."""
    return Formula(f"{x:.{digits}g}", LATEX.number(rounded(x, digits)))


def definitions(names: Names, values: Container[Value]) -> list[Line]:
    """What the names t1, t2, ... of these values stand for, the first dozen."""
    parts = [part for part in names.parts if part in values][:MOST_DEFINED]
    return [Line(["where ", names.definition(part), " = ", part.data]) for part in parts]


def factor(x: float) -> Formula:
    """A number behind an operator: in parentheses if it has a sign."""
    text, latex = number(x, 6)
    return Formula(f"({text})", rf"\left({latex}\right)") if text.startswith("-") else Formula(text, latex)


def excerpt(count: int, limit: int | None) -> tuple[range, range]:
    """Which of `count` rows to show if at most `limit`: the first ones and the last ones."""
    if limit is None or count <= limit:
        return range(count), range(0)
    return range(limit - limit // 2), range(count - limit // 2, count)


# --- text ---


def _text(item: Item) -> str:
    return f"{item:.6g}" if isinstance(item, float) else item.text if isinstance(item, Formula) else item


def _line_text(line: Line) -> str:
    text = " ".join("".join(map(_text, line.items)).split())
    return f"\n{text}" if line.heading else text


def _grid_text(grid: Grid) -> str:
    rows = [[shown(_text(item), WIDEST) for item in row] for row in grid.rows]
    head = [name.strip() for name in grid.columns]
    columns = list(zip(head, *rows))
    right = [_to_the_right(grid, k) for k in range(len(columns))]
    widths = [max(map(_width, column)) for column in columns]
    lines = []
    for row in (head, *rows):
        cells = [
            " " * (width - _width(cell)) + cell if to_the_right else cell + " " * (width - _width(cell))
            for cell, width, to_the_right in zip(row, widths, right)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _to_the_right(grid: Grid, k: int) -> bool:
    return grid.columns[k].startswith(" ") or any(isinstance(row[k], float) for row in grid.rows)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


# --- HTML ---

STYLE = (
    "<style>.tinygrad-sq{font-family:Arial,'Liberation Sans',Helvetica,sans-serif;overflow-x:auto}"
    ".tinygrad-sq math{math-style:normal}.tinygrad-sq p{margin:.4em 0}.tinygrad-sq p.heading{margin-top:1em}"
    ".tinygrad-sq table{border-collapse:collapse;margin:.4em 0}"
    ".tinygrad-sq th,.tinygrad-sq td{padding:.2em .7em;text-align:left;vertical-align:middle;white-space:nowrap;"
    "border-bottom:1px solid color-mix(in srgb,currentcolor 18%,transparent)}"
    ".tinygrad-sq th{border-bottom-color:currentcolor}"
    ".tinygrad-sq .number{text-align:right;font-variant-numeric:tabular-nums}</style>"
)


def _html(item: Item) -> str:
    if isinstance(item, float):
        return f'<span title="{item!r}">{f"{item:.6g}".replace("-", "−")}</span>'
    return mathml(item.latex) if isinstance(item, Formula) else escape(item)


def _line_html(line: Line) -> str:
    kind = ' class="heading"' if line.heading else ""
    return f"<p{kind}>{''.join(map(_html, line.items))}</p>"


def _grid_html(grid: Grid) -> str:
    kinds = [' class="number"' if _to_the_right(grid, k) else "" for k in range(len(grid.columns))]
    head = "".join(f'<th scope="col"{kind}>{escape(name.strip())}</th>' for kind, name in zip(kinds, grid.columns))
    rows = [
        f"<tr>{''.join(f'<td{kind}>{_html(item)}</td>' for kind, item in zip(kinds, row))}</tr>" for row in grid.rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


_WORDS = re.compile(r"\\(text|operatorname)\{((?:\\[#$%&_{}]|\\text\w+\{\}|[^{}\\])*)\}")


def mathml(latex: str) -> str:
    """A formula in MathML, by latex2mathml, but for words: those it would put into the page as they are."""
    from latex2mathml.converter import convert

    words: list[tuple[str, str]] = []

    def keep(match: re.Match[str]) -> str:
        words.append(("mtext" if match[1] == "text" else "mi", escape(shown(from_latex_text(match[2]), 120))))
        return rf"\text{{{len(words) - 1}}}"

    def put_back(match: re.Match[str]) -> str:
        tag, word = words[int(match[1])]
        return f"<{tag}>{word}</{tag}>"

    return re.sub(r"<mtext>(\d+)</mtext>", put_back, convert(_WORDS.sub(keep, latex)))


# --- LaTeX ---


def _latex(item: Item) -> str:
    if isinstance(item, str):
        return item if item.isdigit() else LATEX.symbol(item) if item else ""
    return number(item, 6).latex if isinstance(item, float) else item.latex


def _line_latex(line: Line) -> str:
    words = [_latex(item) for item in line.items]
    return "".join(words)


def _grid_latex(grid: Grid) -> str:
    kinds = "".join("r" if _to_the_right(grid, k) else "l" for k in range(len(grid.columns)))
    rows = [" & ".join(map(_latex, row)) for row in ([name.strip() for name in grid.columns], *grid.rows)]
    return rf"\begin{{array}}{{{kinds}}} {rows[0]} \\ \hline " + r" \\ ".join(rows[1:]) + r" \end{array}"

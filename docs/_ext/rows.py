"""The directive `rows`: the derivative table itself, each row with its value and its partial derivatives."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from tinygrad_sq import Value, gradient, to_latex
from tinygrad_sq.op import Op
from tinygrad_sq.table import rows
from tinygrad_sq.value import record


class Rows(SphinxDirective):
    """A table of all rows: the function, its derivatives by the engine, what it is."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        body = nodes.tbody("", *[self.row(op) for op in rows.values()])
        head = nodes.row("", *[cell(nodes.Text(title)) for title in ("name", "value", "derivatives", "what it is")])
        group = nodes.tgroup("", *[nodes.colspec(colwidth=w) for w in (14, 26, 36, 24)], nodes.thead("", head), body)
        group["cols"] = 4
        return [nodes.table("", group, classes=["rows"])]

    def row(self, op: Op) -> nodes.row:
        name = f"tinygrad_sq.{op.name}"
        formula, partials = typeset(op)
        row = nodes.row(
            "",
            cell(nodes.literal(op.name, op.name)),
            cell(nodes.math(formula, formula)) if formula else cell(),
            nodes.entry("", *[nodes.paragraph("", "", nodes.math(latex, latex)) for latex in partials]),
            cell(nodes.Text((op.__doc__ or "").partition(": ")[2])),
            ids=[name],
        )
        domain = self.env.get_domain("py")
        assert isinstance(domain, PythonDomain)
        domain.note_object(name, "function", name, location=row)
        return row


def typeset(op: Op) -> tuple[str, list[str]]:
    """LaTeX for a row at a point inside its domain, and for its partials, as `gradient` writes them."""
    several = not isinstance(op.arity, int)
    n = op.arity[:3][-1] if isinstance(op.arity, range) else op.arity
    domain = op.domain if len(op.domain) == n else op.domain * n
    names = [f"x[{i}]" for i in range(n)] if several else ["x", "y", "z"][:n]
    operands = [Value(0.5 if low < 0.0 else low + 0.5, name) for (low, _), name in zip(domain, names)]
    y = record(op, tuple(operands))
    return to_latex(y), [to_latex(partial) for partial in gradient(y, operands[:1] if several else operands)]


def cell(*inline: nodes.Node) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", "", *inline))


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("rows", Rows)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

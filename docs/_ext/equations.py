"""The directive `equation`: a labelled equation, the lines of code that compute it, and the test that proves it.

    ```{equation} E5
    :code: deltas.deltas: delta = {n: ; losses.half_squared_error: return
    \\delta_i^{n_l} = ...
    ```

`code` names functions of the package and, after the colon, how the line begins that computes the equation. The test
is `test_E5` of tests/test_proofs.py. Both are looked up as the site is built: what is not there fails the build.
"""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from languages import words
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

ROOT = Path(__file__).parents[2]
PROOFS = "tests/test_proofs.py"


class Source(NamedTuple):
    """A function in a file, and the line of it that is meant."""

    file: str
    text: str
    first: int
    line: int


def find(file: str, name: str, start: str = "") -> Source:
    """What is called `name` ("f", "Class.f") in a file. LookupError unless one line of it begins with `start`."""
    text = (ROOT / file).read_text(encoding="utf-8")
    node: Any = ast.parse(text)
    for part in name.split("."):
        found = [inner for inner in node.body if part in (getattr(inner, "name", ""), _assigned(inner))]
        if not found:
            raise LookupError(f"{file} has no {name}")
        node = found[-1]  # the last, after overloads
    first = min([node.lineno, *[decorator.lineno for decorator in getattr(node, "decorator_list", [])]])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    meant = [i for i, line in enumerate(lines, first) if line.strip().startswith(start)]
    if start and len(meant) != 1:
        raise LookupError(f"{file}: {len(meant)} lines of {name} begin with {start!r}; expected one")
    return Source(file, "\n".join(lines), first, meant[0])


def _assigned(node: ast.stmt) -> str:
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else ""


class Equation(SphinxDirective):
    """A labelled equation with its evidence."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"code": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        label = self.arguments[0]
        formula = "\n".join(self.content)
        try:
            code = [self.code(part) for part in self.options.get("code", "").split(" ; ") if part]
            proof = find(PROOFS, f"test_{label}")
        except LookupError as error:
            raise self.error(str(error)) from None
        self.env.note_dependency(ROOT / PROOFS)
        math = nodes.math_block(formula, formula, number=None, nowrap=True, label=None)
        math["no-wrap"] = True
        equation = nodes.container(
            "",
            raw('<div class="formula">'),
            math,
            raw(f'</div><a class="label" href="#{label}">{label}</a>'),
            *self.evidence(label, code, proof),
            classes=["equation"],
            ids=[label],
            names=[label],
        )
        self.state.document.note_explicit_target(equation)
        return [equation]

    def code(self, part: str) -> Source:
        name, _, start = part.partition(": ")
        return in_package(self.env, name.strip(), start.strip())

    def evidence(self, label: str, code: list[Source], proof: Source) -> list[nodes.Node]:
        say = words(self.env.docname)
        places = [say["line"].format(file=source.file, line=source.line) for source in code]
        computed = f"{say['computed']} {', '.join(places)} · " if code else ""
        summary = escape(f"{computed}{say['proven']} test_{label}")
        return [
            raw(f'<details class="evidence"><summary>{summary}</summary>'),
            *[listing(source, hl_lines=[source.line - source.first + 1]) for source in code],
            listing(proof),
            raw("</details>"),
        ]


class FromPackage(SphinxDirective):
    """A function of the package, as it stands there today: `{source} value.chain_rule`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            return [listing(in_package(self.env, self.arguments[0]))]
        except LookupError as error:
            raise self.error(str(error)) from None


def in_package(env: BuildEnvironment, name: str, start: str = "") -> Source:
    module, _, function = name.partition(".")
    source = find(f"tinygrad_sq/{module}.py", function, start)
    env.note_dependency(ROOT / source.file)
    return source


def listing(source: Source, **highlight: object) -> nodes.Element:
    block = nodes.literal_block(source.text, source.text, language="python", linenos=True)
    block["highlight_args"] = {"linenostart": source.first, **highlight}
    wrapper = nodes.container("", literal_block=True, classes=["literal-block-wrapper"])
    wrapper += nodes.caption(source.file, "", nodes.literal(source.file, source.file))
    wrapper += block
    return wrapper


def raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("equation", Equation)
    app.add_directive("source", FromPackage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

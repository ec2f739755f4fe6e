"""The directives `shown` and `answer`: what the code of a page makes, and answers that open when they are asked for.

The Python blocks above a `shown` run in one session, as the tests run them. So a picture is that of the code that the
reader sees, and cannot be of another day.
"""

from __future__ import annotations

import contextlib
import doctest
import hashlib
import io
import re
import tempfile
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from languages import words
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from tinygrad_sq.saving import write
from tinygrad_sq.table import rows

BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"[\w-]+\.(svg|html)")
VIEW_BOX = re.compile(r'viewBox="\S+ \S+ (\S+) (\S+)"')
_ROWS = dict(rows)


class Session:
    """The Python of one page, run as far as it is needed, in a folder of its own."""

    def __init__(self, page: Path) -> None:
        self.text = page.read_text(encoding="utf-8")
        self.done = 0
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.folder = tempfile.TemporaryDirectory()
        rows.clear()
        rows.update(_ROWS)  # a page may have added rows of its own

    def value(self, expression: str, line: int) -> Any:
        """What an expression is worth, or what a file holds, after the blocks above the line."""
        with contextlib.chdir(self.folder.name), contextlib.redirect_stdout(io.StringIO()):
            self._run_to(line)
            file = Path(expression)
            return file.read_text(encoding="utf-8") if FILE.fullmatch(expression) else eval(expression, self.names)

    def _run_to(self, line: int) -> None:
        for block in BLOCK.finditer(self.text, self.done):
            if self.text.count("\n", 0, block.start()) >= line:
                break
            language, source = block.groups()
            examples = doctest.DocTestParser().get_examples(source) if language == "pycon" else []
            for part in [example.source for example in examples if not example.exc_msg] or [source]:
                exec(part, self.names)
            self.done = block.end()


class Shown(SphinxDirective):
    """An expression, and its value as a notebook shows it; or a file that the page has written: an SVG, a page.

    The content is the caption, and what a screen reader says of a picture.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the package may have changed where the page has not
        caption = nodes.caption("", "", *self.parse_inline(" ".join(self.content), lineno=self.lineno)[0])
        figure = nodes.figure(
            "", nodes.raw("", self.html(self.value(), caption.astext()), format="html"), classes=["shown"]
        )
        if self.content:
            figure += caption
        code = [nodes.literal_block(x, x, language="python") for x in self.arguments if not FILE.fullmatch(x)]
        return [*code, figure]

    def value(self) -> Any:
        document = self.env.current_document
        if "session" not in document:
            document["session"] = Session(Path(self.env.doc2path(self.env.docname)))
        try:
            value = document["session"].value(self.arguments[0], self.lineno)
            if "does not depend on" in str(value):
                raise ValueError(f"nothing is shown: {value}")
            return value
        except Exception as error:
            raise self.error(f"{type(error).__name__}: {error}") from error

    def html(self, value: Any, caption: str) -> str:
        if hasattr(value, "_repr_svg_"):
            value = value._repr_svg_()
        if isinstance(value, str) and value.lstrip().startswith("<!"):
            url = self.file(value, "html")
            link = f'<a href="{url}" target="_blank">{words(self.env.docname)["page"]}</a>'
            return f'<iframe src="{url}" title="{escape(caption)}" loading="lazy"></iframe><p>{link}</p>'
        if isinstance(value, str) and "<svg" in value[:400]:
            return self.picture(value, caption)
        if hasattr(value, "_repr_html_"):
            return f'<div class="scroll" tabindex="0">{value._repr_html_()}</div>'
        return f'<div class="scroll" tabindex="0"><pre>{escape(str(value))}</pre></div>'

    def picture(self, svg: str, caption: str) -> str:
        width, height = map(float, VIEW_BOX.findall(svg)[0])
        url = self.file(svg, "svg")
        return (
            f'<div class="scroll" tabindex="0"><a href="{url}"><img src="{url}" alt="{escape(caption)}" '
            f'width="{width:.0f}" height="{height:.0f}" style="min-width: {0.8 * width:.0f}px"></a></div>'
        )

    def file(self, text: str, kind: str) -> str:
        """The address of a file with this text, which is put beside the pages."""
        name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.{kind}"
        folder = Path(self.env.app.outdir) / "_made"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / name, text)
        return "../" * self.env.docname.count("/") + f"_made/{name}"


class Answer(SphinxDirective):
    """An answer that the reader opens."""

    has_content = True
    option_spec: ClassVar = {"title": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        title = self.options.get("title", words(self.env.docname)["answer"])
        start = nodes.raw("", f'<details class="answer"><summary>{escape(title)}</summary>', format="html")
        return [start, *self.parse_content_to_nodes(), nodes.raw("", "</details>", format="html")]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("shown", Shown)
    app.add_directive("answer", Answer)
    return {"parallel_read_safe": False, "parallel_write_safe": True}

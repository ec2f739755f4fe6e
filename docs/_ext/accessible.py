"""What Sphinx leaves out for readers without a mouse or sight: code scrolls by keyboard, headings have their level."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

MENDED = {
    "body": ("<pre>", '<pre tabindex="0">'),
    "furo_navigation_tree": ('role="heading"', 'role="heading" aria-level="2"'),
}


def _mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    for part, (old, new) in MENDED.items():
        if part in context:
            context[part] = context[part].replace(old, new)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("html-page-context", _mend, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Pages in the folder `zh` are in Chinese, all others in English: the browser is told, our own directives ask."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

WORDS = {
    "en": {
        "answer": "Answer",
        "page": "Open it in a page of its own",
        "computed": "computed in",
        "line": "{file}, line {line}",
        "proven": "proven by",
    },
    "zh-CN": {
        "answer": "答案",
        "page": "单独打开此页",
        "computed": "计算：",
        "line": "{file} 第 {line} 行",
        "proven": "证明：",
    },
}


def language(docname: str) -> str:
    return "zh-CN" if docname.startswith("zh/") else "en"


def words(docname: str) -> dict[str, str]:
    return WORDS[language(docname)]


def _tell_the_page(
    app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    context["language"] = language(docname)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("html-page-context", _tell_the_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

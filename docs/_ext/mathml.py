"""Formulas as MathML, made at build time: the reader's browser needs no script, no font and no network for them."""

from __future__ import annotations

import re

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

_convert = LatexToMathML(annotation=True).convert_with_local_state  # the LaTeX stays inside, for whoever copies it
_log = logging.getLogger(__name__)


# A prime as a superscript asks for a font with a lower one for scripts. DejaVu, the usual one on Linux, has none.
_PRIME = re.compile(r"<msup>((?:<mrow><mspace/>)?<mi>[^<]*</mi>(?:</mrow>)?)<mo>([′″])</mo></msup>")
_UNRAISED = r'<mrow>\1<mo class="prime" lspace="0" rspace="0">\2</mo></mrow>'


def _formula(node: nodes.math | nodes.math_block, display: bool) -> str:
    latex = node.astext()
    try:
        return _PRIME.sub(_UNRAISED, _convert(latex, displaystyle=display))
    except LatexError as error:
        _log.warning("a formula that cannot be typeset: %s\n%s", latex, error, location=node)
        return ""


def _visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(_formula(node, display=False))
    raise nodes.SkipNode


def _visit_display(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{_formula(node, display=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

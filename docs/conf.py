"""The documentation site: Sphinx and MyST, the theme Furo, formulas as MathML. `make docs` builds it to build/docs."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from tinygrad_sq import __version__  # noqa: E402  (after the path, as the extensions are)
from tinygrad_sq.study.theme import FILL  # noqa: E402

project = "tinygrad_sq"
author = "the authors of tinygrad_sq"
release = __version__
html_title = f"{project} {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "accessible",
    "docstrings",
    "equations",
    "languages",
    "mathml",
    "modules",
    "rows",
    "shown",
]
exclude_patterns = ["img", "_ext"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # a function by its name, and not by where it lies in memory
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

pygments_dark_style = "github-dark"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # a summary is fetched, which no browser allows from disk
html_use_index = html_domain_indices = False  # the reference is one page, and the search finds every name
html_show_sphinx = False
html_show_copyright = False
_SANS = (
    "Arial, 'Liberation Sans', Helvetica, 'PingFang SC', 'Hiragino Sans GB', 'Noto Sans CJK SC', 'Noto Sans SC', "
    "'Microsoft YaHei', 'WenQuanYi Micro Hei', sans-serif"
)
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace"
html_theme_options = {
    "light_css_variables": {
        "font-stack": _SANS,
        "font-stack--monospace": _MONO,
        "color-brand-primary": "#005b8f",
        "color-brand-content": "#005b8f",
        "color-brand-visited": "#005b8f",
    },
    "dark_css_variables": {
        "color-background-primary": FILL["page"][1],
        "color-background-secondary": FILL["group"][1],
        "color-foreground-primary": FILL["ink"][1],
        "color-brand-primary": "#6dbcea",
        "color-brand-content": "#6dbcea",
        "color-brand-visited": "#6dbcea",
    },
}

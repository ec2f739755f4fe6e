"""The documentation site builds without a warning, needs no network, and says the same in both languages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from sphinx.util.inventory import InventoryFile

from tinygrad_sq import table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))
import docstrings  # noqa: E402
import equations  # noqa: E402


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(out / "trees"), str(DOCS)]
    done = subprocess.run([*command, str(out / "html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "html"


# --- links ---


class Links(HTMLParser):
    """What a page refers to, and the places in it that can be referred to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids = {""}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if "href" in given:
            (self.links if tag == "a" else self.loaded).append(given["href"])
        self.loaded += [given[name] for name in ("src", "data", "poster") if name in given]


def faults(site: Path) -> Iterator[str]:
    """What is wrong with the links of a site, page by page."""
    pages = {path.resolve(): Links(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            where = f"{path.relative_to(site.resolve())}: {link}"
            if parts.scheme in ("http", "https") and link in page.links:
                if not re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc):
                    yield f"{where}: no address"
            elif parts.scheme != "data":
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                if parts.scheme or parts.netloc or not target.is_file():
                    yield f"{where}: not in the site"
                elif target in pages and unquote(parts.fragment) not in pages[target].ids:
                    yield f"{where}: no such place in the page"
    for path in site.rglob("*.css"):
        for url in re.findall(r"(?:url\(|@import\s*)[\"']?([^\"')]+)", path.read_text(encoding="utf-8")):
            if not url.startswith(("data:", "#")) and not (path.parent / url.partition("?")[0]).is_file():
                yield f"{path.name}: {url}: not in the site"


def test_no_link_is_broken(site: Path) -> None:
    """Every link leads to a page, and to a place in it, of the site; what a page loads is in the site."""
    assert [*faults(site)] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """The check above can fail, in each of its ways."""
    good = '<p id="here"><a href="#here"></a><a href="https://www.example.org/x"></a><img src="a.html">'
    bad = (
        '<a href="#there"></a><a href="b.html"></a><a href="http://x y"></a><script src="https://cdn.example.org/x.js">'
    )
    (tmp_path / "a.html").write_text(good + bad, encoding="utf-8")
    (tmp_path / "a.css").write_text('@import "https://fonts.example.org"; a { src: url(font.woff) }', encoding="utf-8")
    assert [fault.split(": ", 1)[1] for fault in faults(tmp_path)] == [
        "#there: no such place in the page",
        "b.html: not in the site",
        "http://x y: no address",
        "https://cdn.example.org/x.js: not in the site",
        "https://fonts.example.org: not in the site",
        "font.woff: not in the site",
    ]


# --- in the browser ---


@pytest.mark.xdist_group("browser")
def test_pages_need_no_network(site: Path, browser: Browser) -> None:
    """Every page opens from disk: no request, nothing on the console, and nothing wider than a phone."""
    seen: list[str] = []
    window = browser.new_context(offline=True, viewport={"width": 400, "height": 800}).new_page()
    window.on("request", lambda request: seen.append(request.url))
    window.on("console", lambda message: seen.append(f"console {message.text}"))
    window.on("pageerror", lambda error: seen.append(f"error {error}"))
    for page in sorted(site.rglob("*.html")):
        window.goto(page.as_uri())
        wide = window.evaluate(
            "[...document.querySelectorAll('html, body, .content')].some(e => e.scrollWidth > e.clientWidth)"
        )
        assert not wide, f"{page.relative_to(site)} is wider than a phone"
    assert [url for url in seen if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_by_everyone(site: Path, browser: Browser, scheme: Literal["light", "dark"]) -> None:
    """axe finds no serious fault, such as too faint a colour, in either theme."""
    window = browser.new_context(offline=True, color_scheme=scheme).new_page()
    for page in ("index", "inside"):
        window.goto((site / f"{page}.html").as_uri())
        found = Axe().run(window).response["violations"]
        assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []


# --- the reference ---


def public_names() -> set[str]:
    """What `tinygrad_sq` offers: what its __init__ imports by name, and the functions of the table."""
    init = ast.parse((ROOT / "tinygrad_sq" / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.asname for node in ast.walk(init) if isinstance(node, ast.ImportFrom) for alias in node.names}
    functions = {name for name, f in vars(table).items() if getattr(f, "__module__", "") == table.__name__}
    return {name for name in imported - {None} | table.rows.keys() | functions if name and name[0] != "_"} - {"Branch"}


def test_the_reference_is_complete(site: Path) -> None:
    """Every public name has its place in the reference."""
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    named = {name.removeprefix("tinygrad_sq.") for kind in inventory if kind[:3] == "py:" for name in inventory[kind]}
    assert public_names() - named == set()
    assert {"tanh", "Value", "to_svg", "softmax"} <= public_names()


def test_docstrings_become_markup() -> None:
    """Columns become definitions, public names links, and nothing in a docstring is taken for markup."""
    text = "W_ij |x| *y* of `fit` and `x_j`\n\nlr    the step,\n      above 0\nE7b   a_j δ_i"
    assert docstrings.to_rst(text.split("\n")) == [
        r"W\_ij \|x\| \*y\* of :py:obj:`fit <tinygrad_sq.fit>` and ``x_j``",
        "",
        "lr",
        "   the step, above 0",
        "E7b",
        r"   a\_j δ\_i",
        "",
    ]


# --- the tutorial ---

TUTORIALS = DOCS / "tutorial.md", DOCS / "zh" / "tutorial.md"
LABELS = {"E1", "E2", "E3", "E4W", "E4b", "E5a", "E5b", "E5c", "E5", "E6a", "E6b", "E6c", "E6d", "E6", "E7W", "E7b"}


def skeleton(text: str) -> list[str]:
    """A tutorial without its words: depth of headings, code, equations and what is shown, in their order."""
    blocks = re.compile(
        r"^(?:(#+) [^\n]*|(```(?:python|pycon)\n.*?^```$)|(```\{\w+\}[^\n]*)|(\$\$.*?\$\$)|(:::\{\w+\}))", re.M | re.S
    )
    return ["".join(filter(None, match.groups())) for match in blocks.finditer(text)]


def formulas(text: str) -> list[set[str]]:
    """The formulas within the text, section by section; languages may differ in their order."""
    return [set(re.findall(r"(?<!\$)\$[^$\n]+\$(?!\$)", section)) for section in text.split("\n## ")]


def equations_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"^```\{equation\} (\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def test_both_tutorials_are_one() -> None:
    """The tutorial in Chinese has the sections, the code, the equations and the pictures of that in English."""
    english, chinese = (page.read_text(encoding="utf-8") for page in TUTORIALS)
    assert skeleton(chinese) == skeleton(english)
    assert "##" in skeleton(english)
    assert "```{equation} E5" in skeleton(english)
    assert formulas(chinese) == formulas(english)
    assert equations_of(chinese) == equations_of(english)


def test_the_tutorial_has_every_equation() -> None:
    """E1 to E7 with the lines between, each with its formula; the rest is checked as the site is built."""
    assert equations_of(TUTORIALS[0].read_text(encoding="utf-8")).keys() == LABELS


def test_evidence_is_looked_up() -> None:
    """A function or a line that is not there, or not the only one, is an error."""
    found = equations.find("tinygrad_sq/deltas.py", "deltas", "delta = {n:")
    lines = (ROOT / found.file).read_text(encoding="utf-8").splitlines()
    assert lines[found.line - 1].strip().startswith("delta = {n: [-(y[i]")
    assert found.text.startswith("def deltas(")
    for name, start in (("no_such", ""), ("deltas", "no such line"), ("gradient", "d")):
        with pytest.raises(LookupError):
            equations.find("tinygrad_sq/deltas.py", name, start)

"""The documentation is true: every block of Python in it runs, what it prints is what it says, and the tables of
docs/semantics.md are those of cases.py.

After a case was added: `python tests/test_docs.py` writes the tables anew.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from math import isclose
from pathlib import Path
from typing import Any

import pytest
from cases import SECTIONS, Case

import tinygrad_sq
from tinygrad_sq import MLP, half_squared_error
from tinygrad_sq.table import rows

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+(?:e[-+]?\d+))")


def same_output(wanted: str, got: str) -> bool:
    """Whether the texts are equal but for the last digits of their floats, which belong to a machine's libm."""
    if NUMBER.split(wanted.rstrip()) != NUMBER.split(got.rstrip()):
        return False
    numbers = zip(map(float, NUMBER.findall(wanted)), map(float, NUMBER.findall(got)))
    return all(isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in numbers)


class Checker(doctest.OutputChecker):
    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return same_output(want, got)


@pytest.fixture
def table_as_it_was() -> Iterator[None]:
    """Pages may add rows of their own."""
    before = dict(rows)
    yield
    rows.clear()
    rows.update(before)


@pytest.mark.usefixtures("table_as_it_was")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks of a page run in one session, in an empty folder: `python` without an error, `pycon` and the commands
    after `$` in `console` with the output that the page shows."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {"__name__": "__main__"}
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        language, source = block.groups()
        line = text[: block.start(2)].count("\n")
        if language == "python":
            exec(compile("\n" * line + source, page, "exec"), session)
        elif language == "pycon":
            run_examples(source, session, page, line)
        elif language == "console":
            run_commands(source)
    assert "Traceback" not in capsys.readouterr().err


def run_examples(source: str, session: dict[str, Any], page: Path, line: int) -> None:
    test = doctest.DocTestParser().get_doctest(source, session, page.name, str(page), line)
    test.globs = session  # and not a copy: one session for the page
    report: list[str] = []
    runner = doctest.DocTestRunner(Checker(), verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)


def run_commands(source: str) -> None:
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", source, re.MULTILINE):
        program, *arguments = shlex.split(command)
        module = {"tinygrad-sq": ["-m", "tinygrad_sq"], "python": []}[program]
        done = subprocess.run([sys.executable, *module, *arguments], capture_output=True, text=True, check=True)
        if expected:
            assert same_output(expected, done.stdout), done.stdout


def test_a_wrong_page_is_found() -> None:
    """The checks above can fail: on a wrong digit, a wrong word, an exception."""
    assert same_output("x = 0.30000000000000004\n", "x = 0.3000000000000001\n")
    assert not same_output("x = 0.3\n", "x = 0.30001\n")
    assert not same_output("x = 0.3\n", "y = 0.3\n")
    for wrong in (">>> 1 + 1\n3\n", ">>> 1.5\n1.6\n", ">>> 1 // 0\n0\n", ">>> print('a')\nb\n"):
        with pytest.raises(AssertionError):
            run_examples(wrong, {}, Path("page.md"), 0)
    session: dict[str, Any] = {}
    run_examples(">>> x = 2\n>>> x + x\n4\n", session, Path("page.md"), 0)
    assert session["x"] == 2
    run_commands("$ python -c 'print(1.5)'\n1.5\n$ python -c 'print()'\n")
    with pytest.raises(AssertionError):
        run_commands("$ python -c 'print(1.5)'\n2.5\n")


# --- links ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file of the project."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


# --- the tables of semantics.md ---

SEMANTICS = ROOT / "docs" / "semantics.md"
START, END = "<!-- cases -->\n", "<!-- end of cases -->"


def test_the_program_in_the_readme() -> None:
    """Of so many lines as it says, these are some."""
    model = MLP(2, [16, 16, 1], activation="relu", seed=0)
    program = tinygrad_sq.compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters())
    program.value_and_grad([[0.5, -1.0]] * 2, [1.0] * 2)
    _, *lines = str(program).splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Of a 2-16-16-1 net's scalars it makes {len(lines)} lines" in readme
    (shown,) = [block for language, block in BLOCK.findall(readme) if language == "text"]
    assert set(shown.splitlines()) <= set(lines)


def row(case: Case) -> str:
    """One line: expression, point, value, gradient, and what the two others answer."""
    at = ", ".join(f"{name} = {x!r}" for name, x in case.at.items())
    value = "" if case.value is None else repr(case.value)
    gradient = ", ".join("any" if x is None else repr(x) for x in case.gradient.values())
    who, _, answer = case.others.partition(": ")
    peers = [answer if name in who else "same" for name in ("PyTorch", "JAX")]
    return f"| `{case.expression}` | {at} | {value} | {gradient} | {' | '.join(peers)} |\n"


def tables() -> str:
    head = "| expression | at | value | gradient | PyTorch | JAX |\n| --- | --- | --- | --- | --- | --- |\n"
    return "".join(f"\n## {title}\n\n{head}{''.join(map(row, cases))}" for title, cases in SECTIONS.items()) + "\n"


def test_the_tables_are_those_of_the_tests() -> None:
    """docs/semantics.md has every case of cases.py, with the answers that the tests demand, and no other."""
    page = SEMANTICS.read_text(encoding="utf-8")
    assert page.partition(START)[2].partition(END)[0] == tables(), "run `python tests/test_docs.py`"


if __name__ == "__main__":
    before, _, rest = SEMANTICS.read_text(encoding="utf-8").partition(START)
    new = SEMANTICS.with_suffix(".new")
    new.write_text(before + START + tables() + END + rest.partition(END)[2], encoding="utf-8")
    os.replace(new, SEMANTICS)

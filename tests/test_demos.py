"""The demos run, show what they claim, write their pictures, and stay short enough to read."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[[str], str]
DEMOS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "demos").glob("*.py"))}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a demo in an empty folder, as a user would: what it prints."""

    def run(name: str) -> str:
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(DEMOS[name]), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", DEMOS)
def test_short(name: str) -> None:
    """A demo is under 60 lines, and begins with what it shows."""
    lines = DEMOS[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60
    assert lines[0].startswith('"""')


def test_each_is_tested() -> None:
    """No demo without a test below."""
    assert set(DEMOS) == {"formula", "iris", "moons", "xor"}


def test_xor(run: Run, tmp_path: Path) -> None:
    """The net has learnt XOR: each output is on its target's side, and the cost has fallen by a factor of 100."""
    out = run("xor")
    rows = re.findall(r"^ +([01]) +([01]) +([01]) +([0-9.]+)$", out, re.MULTILINE)
    assert [(x0, x1) for x0, x1, _, _ in rows] == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    for x0, x1, target, h in rows:
        assert (x0 != x1) == (target == "1")
        assert abs(float(h) - float(target)) < 0.1
    costs = [float(J) for J in re.findall(r"J = ([0-9.]+)", out)]
    assert costs[-1] < costs[0] / 100.0
    assert "<svg" in (tmp_path / "out" / "xor.svg").read_text(encoding="utf-8")


def test_moons(run: Run, tmp_path: Path) -> None:
    """The boundary parts at least 98 of the 100 points, and is drawn."""
    right = re.search(r"(\d+) of 100 points", run("moons"))
    assert right
    assert int(right[1]) >= 98
    assert "class −1" in (tmp_path / "out" / "moons.svg").read_text(encoding="utf-8")


def test_iris(run: Run, tmp_path: Path) -> None:
    """At least 27 of 30 flowers are recognised; δ by the engine equals the closed form to the 15 decimals printed."""
    out = run("iris")
    right = re.search(r"(\d+) of 30 test flowers", out)
    assert right
    assert int(right[1]) >= 27
    rows = re.findall(r"^z\d\[\d\] +(\S+) +(\S+)$", out, re.MULTILINE)
    assert len(rows) == 8
    for engine, closed_form in rows:
        assert abs(float(engine) - float(closed_form)) < 2e-15
    assert (tmp_path / "out" / "iris.json").exists()


def test_formula(run: Run, tmp_path: Path) -> None:
    """The derivatives by the engine are those worked out by hand, and the uncertainty is that of the readings."""
    out = run("formula")
    difference = re.search(r"by hand: (\S+)", out)
    assert difference
    assert float(difference[1]) < 1e-14
    assert "g = 9.790 ± 0.044 m/s²" in out
    assert "<svg" in (tmp_path / "out" / "formula.svg").read_text(encoding="utf-8")

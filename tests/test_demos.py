"""The demos run, show what they claim, write their pictures, and stay short enough to read."""

import math
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinygrad_sq import table

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
    assert set(DEMOS) == {"curve_fit", "digits", "formula", "implicit", "iris", "moons", "newton", "xor"}


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


def test_newton(run: Run) -> None:
    """Rosenbrock's gradient and Hessian at (-1.2, 1) are those of the textbooks; the minimum, (1, ..., 1), is reached
    in 2 and in 20 dimensions."""
    out = run("newton")
    assert "f = 24.2, ∇f = [-215.59999999999997, -87.99999999999999]" in out
    assert out.split("Hessian is\n")[1].split()[:4] == ["1330", "480", "480", "200"]
    small, large = out.split("dimensions\n")[1:]
    for lines in (small, large):
        steps = re.findall(r"^ +\d+ +(\S+) +(\S+) +(.*)$", lines, re.MULTILINE)
        assert 5 < len(steps) < 20
        value, norm, x = steps[-1]
        assert float(value) < 1e-20
        assert float(norm) < 1e-12
        assert set(x.replace(", ...", "").split(", ")) == {"1.0000"}


def test_implicit(run: Run) -> None:
    """Kepler's equation is solved, and the derivatives of its root are those of the implicit function theorem."""
    try:
        out = run("implicit")
    finally:
        del table.rows["kepler"]
    E = float(re.search(r"E = (\S+),", out)[1])  # type: ignore[index]
    assert abs(E - 0.2056 * math.sin(E) - 1.0) < 1e-14
    slope = 1.0 / (1.0 - 0.2056 * math.cos(E))
    assert f"∂E/∂M = 1 / (1 - e * cos(kepler(M, e))) = {slope:.10g}" in out
    second = -0.2056 * math.sin(E) * slope**3
    assert float(re.search(r"Hessian: \(\((\S+),", out)[1]) == pytest.approx(second, rel=1e-13)  # type: ignore[index]


def test_curve_fit(run: Run, tmp_path: Path) -> None:
    """V, K and σ are those of the published fit: 212.7, 0.0641, 10.93 (Bates and Watts 1988)."""
    out = run("curve_fit")
    assert "V = 212.7 ± 7.2   K = 0.0641 ± 0.0087 ppm   σ = 10.93" in out
    assert "<svg" in (tmp_path / "out" / "curve_fit.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "missing"), [("curve_fit", "scipy.optimize"), ("digits", "sklearn.datasets")])
def test_what_is_not_installed_is_said(name: str, missing: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names it and says how to install it, as the docstring does too."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit, match=rf"^[^\n]*{missing}[^\n]*; this demo needs: pip install [^\n]*$") as ended:
        run(name)
    _, _, command = str(ended.value).partition("needs: ")
    assert command in DEMOS[name].read_text(encoding="utf-8").split('"""')[1]


def test_digits(run: Run, tmp_path: Path) -> None:
    """At least 95 % of the test images are read, and the others are drawn."""
    out = run("digits")
    right = re.search(r"^accuracy (\d+\.\d)%: (\d+) of 360", out, re.MULTILINE)
    assert right
    assert float(right[1]) >= 95.0
    assert (tmp_path / "out" / "digits.svg").read_text(encoding="utf-8").count("<image") == int(right[2])

"""The tour: on a real terminal, as a pipe, in ASCII; each number is the engine's, and each screen fits."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tinygrad_sq import MLP, Adam, Value, fit, tanh
from tinygrad_sq.cli import main
from tinygrad_sq.graph import topological_order
from tinygrad_sq.job import sample_graph
from tinygrad_sq.study.picture import short
from tinygrad_sq.study.tour import CLEAR, SCREENS, X, Y, tour

ESCAPES = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


class Stream(io.TextIOWrapper):
    """Text in memory, of an encoding, that says it is a terminal or not."""

    def __init__(self, text: str = "", encoding: str = "utf-8", terminal: bool = True) -> None:
        super().__init__(io.BytesIO(text.encode()), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def written(self) -> str:
        self.flush()
        self.seek(0)
        return self.read()


def shown(typed: str, encoding: str = "utf-8") -> list[str]:
    """What each screen looks like when this is typed, without escapes."""
    out = Stream(encoding=encoding)
    tour(Stream(typed), out)
    return [ESCAPES.sub("", screen) for screen in out.written().split(CLEAR)[1:]]


def numbers(screens: list[str]) -> list[int]:
    return [int(place) for screen in screens for place in re.findall(rf"(\d+)/{len(SCREENS)}$", screen, re.MULTILINE)]


def everything(encoding: str = "utf-8") -> str:
    out = Stream(encoding=encoding, terminal=False)
    tour(Stream(), out)
    return out.written()


# --- what is shown ---


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_every_screen_fits(encoding: str) -> None:
    """80 columns and 24 lines hold it, the prompt included, in Unicode as in ASCII."""
    screens = shown("\n" * len(SCREENS), encoding)
    assert numbers(screens) == list(range(1, len(SCREENS) + 1))
    for screen in screens:
        lines = screen.split("\n")
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80
    assert encoding == "utf-8" or "\n".join(screens).isascii()


def test_order_of_the_derivation() -> None:
    """The equations come in the derivation's order, once each is needed, but for the cost, which stands after E2."""
    assert re.findall(r"^(E\d)  ", everything(), re.MULTILINE) == ["E2", "E1", "E3", "E4", "E5", "E6", "E7"]


def test_numbers_of_the_formula() -> None:
    """y = tanh(w x + b): its values, w's gradient in full, both answers."""
    w, x, b = Value(0.5, "w"), Value(2.0, "x"), Value(-0.4, "b")
    y = tanh(w * x + b)
    y.backward()
    text = everything()
    assert f"y = tanh(z)       {short(y.data)}\n" in text
    assert f">>> w.grad\n{w.grad!r}\n" in text
    assert f"? What is ∂y/∂x? {short(x.grad)}. " in text
    assert f"? y = a * a * a at a = 2. What is ∂y/∂a? {short(3 * 2.0**2)}. The paths bring 4 + 4 + 4.\n" in text
    assert f"{2.0**60!r}." in text


def test_numbers_of_the_net() -> None:
    """z, a, δ and every gradient of the net, as a graph made here has them; both columns of E6 and of E7 agree."""
    J = sample_graph(MLP(2, [2, 1], "tanh", "tanh", seed=4), X, Y)
    text = everything()
    nodes = {node.label: node for node in topological_order(J)}
    for i in range(2):
        assert f" = {short(nodes[f'z2[{i}]'].data)}\n    a2[{i}] = tanh(" in text
        delta = short(nodes[f"z2[{i}]"].grad)
        assert re.search(rf"z2\[{i}\] .* {delta} +{delta}\n", text)
        for name in (f"W1[{i},0]", f"W1[{i},1]", f"b1[{i}]"):
            grad = short(nodes[name].grad)
            assert re.search(rf"{re.escape(name)} .* {delta} +{grad} +{grad}\n", text)
    assert f">>> z3.grad\n{nodes['z3[0]'].grad!r}\n" in text
    assert f"? What is ∂J/∂x[0]? {short(nodes['x[0]'].grad)}. " in text
    assert f"= {short(J.data)}\n" in text


def test_numbers_of_the_cost() -> None:
    """E4 worked out is what backward gives; the step makes J fall."""
    text = everything()
    together, by_backward = re.findall(r"together {8}(\S+)\n    by backward {5}(\S+)\n", text)[0]
    assert together == by_backward
    before, after = re.findall(r"J falls from\s(\S+)\sto\s(\S+)\.", text)[0]
    assert float(after) < float(before)


def test_numbers_of_the_training() -> None:
    """The chart and the answers are those of the `fit` that is written above them."""
    X, Y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]
    model = MLP(2, [4, 1], "tanh", "sigmoid", seed=1)
    cost = fit(model, X, Y, optimizer=Adam(model.parameters(), lr=0.1), epochs=120).cost
    text = everything()
    assert f"J by epoch: {short(cost[0])} in the first, {short(cost[-1])} in the last" in text
    for x, y in zip(X, Y):
        assert re.search(rf"{x[0]:g} xor {x[1]:g} +{y:g} +\S+ +{short(model(x).data)}\n", text)
    chart = [line.split("│")[1].ljust(60) for line in text.split("\n") if "│" in line and "xor" not in line][-5:]
    heights = [sum(" ▁▂▃▄▅▆▇█".index(row[k]) for row in chart) for k in range(60)]
    assert heights[0] == 40
    assert heights == [round(40 * cost[k * 119 // 59] / cost[0]) for k in range(60)]


def test_engine_and_formulas() -> None:
    """Ten units, and no difference beyond rounding."""
    rows = re.findall(r"z\d\[\d\] +(-?0\.\d+) +(-?0\.\d+) +(\S+)\n", everything())
    assert len(rows) == 10
    for engine, formulas, difference in rows:
        assert abs(float(engine) - float(formulas)) <= 1e-15
        assert float(difference) <= 1e-15


# --- how one goes through it ---


@pytest.mark.parametrize(
    ("typed", "places"),
    [
        ("", [1]),
        ("q\n", [1]),
        ("\n\nq\n", [1, 2, 3]),
        ("b\nq\n", [1, 1]),
        ("5\nb\n\n14\n\n", [1, 5, 4, 5, 14]),
        ("0\n15\nx\n=1\n", [1, 1, 1, 1, 1]),
    ],
)
def test_keys(typed: str, places: list[int]) -> None:
    """Enter next, b back, a number goes there, q or the end of input leaves; the rest says what is expected."""
    assert numbers(shown(typed)) == places


def test_what_is_not_understood() -> None:
    """One line says what was expected, and the next screen begins anew."""
    screens = shown("zzz\n\n")
    assert "'zzz': expected Enter, b, q or a number from 1 to 14\n" in screens[1]
    assert "expected" not in screens[2]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("= 12", "Yes: 12. The paths bring 4 + 4 + 4."),
        ("=12.05", "Yes: 12."),
        ("=11", "Not quite: 12."),
        ("=−12", "Not quite: 12."),
        ("=twelve", "'twelve' is no number. Type = and a number, such as =1.5"),
    ],
)
def test_answers(answer: str, verdict: str) -> None:
    """An answer is checked against the engine, to half a percent."""
    screen = shown(f"4\n{answer}\n")[2]
    assert numbers([screen]) == [4]
    assert f"\n{verdict}" in screen


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours on a terminal, unless NO_COLOR is set."""

    def escapes() -> set[str]:
        out = Stream()
        tour(Stream("q\n"), out)
        return set(ESCAPES.findall(out.written()))

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[36m" in escapes()
    monkeypatch.setenv("NO_COLOR", "1")
    assert escapes() == {"\x1b[H", "\x1b[2J"}


# --- as a command ---


def test_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Where stdout is no terminal, everything is printed, without escapes and without waiting."""
    assert main(["tour"]) == 0
    out = capsys.readouterr().out
    assert numbers([out]) == list(range(1, len(SCREENS) + 1))
    assert "\x1b" not in out
    assert "Enter next" not in out


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def read_until(end: int, text: str) -> str:
    """What comes out of the terminal until `text` does."""
    found = b""
    deadline = time.monotonic() + 60.0
    while text.encode() not in found:
        assert select.select([end], [], [], deadline - time.monotonic())[0], found.decode(errors="replace")
        found += os.read(end, 65536)
    return found.decode()


def test_on_a_terminal(terminal: tuple[int, int]) -> None:
    """Started in a pseudo-terminal it shows a screen, waits, goes on, answers, and leaves with exit code 0."""
    ours, theirs = terminal
    env = {**os.environ, "PYTHONUTF8": "1", "NO_COLOR": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_sq", "tour"], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    try:
        assert "1/14" in read_until(ours, "quit > ")
        os.write(ours, b"\n")
        assert "2/14" in read_until(ours, "quit > ")
        os.write(ours, b"3\n")
        assert "What is ∂y/∂x?" in read_until(ours, "quit > ")
        os.write(ours, b"=0.356\n")
        assert "Yes: 0.3558" in read_until(ours, "quit > ")
        os.write(ours, b"q\n")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()

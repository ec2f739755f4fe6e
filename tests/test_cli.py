"""The command: what it prints, writes and refuses. Every refusal is one line on stderr and exit code 2."""

import csv
import io
import json
import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from tinygrad_sq import MLP, SGD, Adam, save
from tinygrad_sq.cli import IRIS, main
from tinygrad_sq.job import Job, Options, compiler_installed, sample_graph
from tinygrad_sq.tabular import read_csv
from tinygrad_sq.train import History

REGRESSION = "a,b,y\n" + "".join(f"{a},{b},{3 * a - b + 100}\n" for a in range(5) for b in range(4))
CLASSES = "a,b,y\n" + "".join(f"{a},{b},{'u' if a > b else 'v'}\n" for a in range(5) for b in range(4))


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Result(code, *capsys.readouterr())

    return run


def refused(result: Result) -> str:
    """The line that says why."""
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("tinygrad-sq: error: ")
    assert result.err.count("\n") == 1
    return result.err


def residual_table(out: str) -> list[tuple[float, float, float]]:
    rows = re.findall(r"^z\d+\[\d+\] +(\S+) +(\S+) +(\S+)$", out, re.MULTILINE)
    return [(float(engine), float(closed), float(difference)) for engine, closed, difference in rows]


# --- demo ---


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What `tinygrad-sq demo` prints, and its folder."""
    out = tmp_path_factory.mktemp("demo") / "deep" / "out"
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["demo", "--out", str(out)]) == 0
    return printed.getvalue(), out


def test_demo_recognises_iris(demo: tuple[str, Path]) -> None:
    """At least 90 % of the test flowers, which were kept out of the training."""
    accuracy = re.search(r"^test +accuracy ([0-9.]+)% \((\d+) of 30\)", demo[0], re.MULTILINE)
    assert accuracy
    assert float(accuracy[1]) >= 90.0
    assert float(accuracy[1]) == pytest.approx(100 * int(accuracy[2]) / 30, abs=0.05)
    assert "120 rows to train, 30 to test" in demo[0]


def test_demo_shows_the_residuals(demo: tuple[str, Path]) -> None:
    """δ of all 8 units, none of them zero, the same from the engine and in closed form, and the largest difference."""
    rows = residual_table(demo[0])
    assert len(rows) == 8
    for engine, closed_form, difference in rows:
        assert engine != 0.0
        assert engine == pytest.approx(closed_form, rel=1e-12)
        assert difference == pytest.approx(abs(engine - closed_form), rel=0.1)
    largest = re.search(r"largest difference: (\S+)", demo[0])
    assert largest
    assert float(largest[1]) == max(difference for _, _, difference in rows)


def test_demo_writes_pictures_and_the_net(demo: tuple[str, Path]) -> None:
    """graph.svg, loss.svg and net.json, nothing else, no half-written file."""
    printed, out = demo
    assert {path.name for path in out.iterdir()} == {"graph.svg", "loss.svg", "net.json"}
    for name in "graph.svg", "loss.svg":
        assert ElementTree.parse(out / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert f"wrote {out / name}" in printed
    graph = (out / "graph.svg").read_text(encoding="utf-8")
    for label in "x[0]", "W1[4,3]", "z2[0]", "a3[2]", "y[1]", "J":
        assert label in graph


def test_demo_is_reproducible(demo: tuple[str, Path], command: Command, tmp_path: Path) -> None:
    """The same seed gives the same three files, byte for byte, and another seed another net."""
    command("demo", "--epochs", "3", "--out", "one")
    command("demo", "--epochs", "3", "-o", "two")
    command("demo", "--epochs", "3", "--out", "three", "--seed", "1")
    for name in "graph.svg", "loss.svg", "net.json":
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert (tmp_path / "one" / name).read_bytes() != (tmp_path / "three" / name).read_bytes()


def test_the_nets_predictions_are_those_of_the_demo(demo: tuple[str, Path], command: Command) -> None:
    """`predict` with the demo's net.json gives each flower a species, as often right as the demo says."""
    printed, out = demo
    result = command("predict", str(out / "net.json"), str(IRIS))
    header, *predicted = csv.reader(io.StringIO(result.out))
    assert header == ["species"]
    right = sum(cell == truth for (cell,), truth in zip(predicted, read_csv(IRIS).column("species"), strict=True))
    assert right == sum(map(int, re.findall(r"\((\d+) of \d+\)", printed)))


def test_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tinygrad_sq --version` answers as `tinygrad-sq --version`."""
    monkeypatch.setattr(sys, "argv", ["tinygrad_sq", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("tinygrad_sq", run_name="__main__")
    assert stop.value.code == 0
    assert re.fullmatch(r"tinygrad-sq \d+\.\d+\.\d+\n", capsys.readouterr().out)


# --- train and predict ---


def test_train_classification(command: Command, tmp_path: Path) -> None:
    """A target of text: a sigmoid for each class, accuracy, a net that predicts the names."""
    (tmp_path / "t.csv").write_text(CLASSES)
    result = command("train", "t.csv", "--target", "y", "--hidden", "6", "--epochs", "150", "--lam", "0")
    assert result.code == 0
    assert result.err == ""
    assert "2-6-2, 32 parameters; tanh, sigmoid at the output" in result.out
    assert "train  accuracy 100.0% (16 of 16)" in result.out
    predicted = command("predict", "out/net.json", "t.csv").out.split()
    assert predicted[0] == "y"
    assert set(predicted[1:]) == {"u", "v"}
    graph = (tmp_path / "out" / "graph.svg").read_text(encoding="utf-8")
    assert re.search(r">t\.csv, row \d+: y [uv]<", graph)
    assert ">x[1] = b<" in graph
    assert "<title>x[1]: b, standardised: (value − " in graph


def test_train_regression(command: Command, tmp_path: Path) -> None:
    """A target of numbers: the identity at the output, the error in the target's unit, predictions in it too."""
    (tmp_path / "t.csv").write_text(REGRESSION)
    options = ["--activation", "leaky_relu", "--optimizer", "adamw", "--lr", "0.02", "--lam", "0", "--epochs", "300"]
    result = command("train", "t.csv", "--target", "y", "--hidden", "8", "--batch-size", "4", *options)
    assert result.code == 0
    assert "2-8-1, 33 parameters; leaky_relu, identity at the output" in result.out
    errors = re.search(r"^train +root mean square error (\S+) \(predicting the mean: (\S+)\)", result.out, re.MULTILINE)
    assert errors
    assert float(errors[1]) < 0.5 < 3.0 < float(errors[2])
    predicted = [float(cell) for cell in command("predict", "out/net.json", "t.csv").out.split()[1:]]
    squares = [(p - y) ** 2 for p, y in zip(predicted, read_csv("t.csv").numbers("y"), strict=True)]
    scores = re.findall(r"error (\S+) \(", result.out)
    assert sum(squares) == pytest.approx(16 * float(scores[0]) ** 2 + 4 * float(scores[1]) ** 2, rel=1e-2)


def test_train_without_a_test(command: Command, tmp_path: Path) -> None:
    """With no rows kept for the test all are trained on, and the residuals are those of one of them."""
    (tmp_path / "t.csv").write_text(CLASSES)
    result = command("train", "t.csv", "--target", "y", "--test-fraction", "0", "--epochs", "2", "--ignore", "b")
    assert "inputs a\n" in result.out
    assert "20 rows to train, 0 to test" in result.out
    assert "test   no rows" in result.out
    assert "none to test" not in result.out  # as was asked for
    assert "test set" not in (tmp_path / "out" / "loss.svg").read_text(encoding="utf-8")


def test_numbers_as_classes(command: Command, tmp_path: Path) -> None:
    """--task classification takes numbers as names."""
    (tmp_path / "t.csv").write_text("a,y\n1,0\n2,1\n3,0\n4,1\n")
    result = command("train", "t.csv", "--target", "y", "--task", "classification", "--epochs", "1")
    assert "predict y, one of 0, 1\n" in result.out


def test_a_number_for_every_row_as_class(command: Command, tmp_path: Path) -> None:
    """Many classes are not all listed, and where none has a row for the test, a line says so."""
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{x},{x}\n" for x in range(10, 70)))
    result = command("train", "t.csv", "--target", "y", "--task", "classification", "--epochs", "1")
    assert "predict y, one of 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, ... and 48 more\n" in result.out
    assert "0 to test; seed 0\n       none to test: too few rows, or too few of each class\n" in result.out


def test_wide_net_shows_some_residuals(command: Command, tmp_path: Path) -> None:
    """The table of residuals stops at 24 units, and says how many more there are."""
    (tmp_path / "t.csv").write_text(CLASSES)
    result = command("train", "t.csv", "--target", "y", "--hidden", "30", "--epochs", "1")
    assert len(residual_table(result.out)) == 24
    assert "... and 8 units more" in result.out


def test_without_matplotlib(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says that loss.svg is not drawn and how to get it; everything else is done."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = command("demo", "--epochs", "1")
    assert result.code == 0
    assert result.err == "loss.svg is not drawn: plots need matplotlib: pip install matplotlib\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"graph.svg", "net.json"}


def test_without_graphviz(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing `dot` costs the demo its graph alone; `draw`, which has nothing else to do, fails."""
    monkeypatch.setenv("TINYGRAD_SQ_DOT", "no-such-dot")
    result = command("demo", "--epochs", "1")
    assert result.code == 0
    assert result.err.startswith("graph.svg is not drawn: TINYGRAD_SQ_DOT is 'no-such-dot'")
    assert result.err.count("\n") == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"loss.svg", "net.json"}
    assert "no-such-dot" in refused(command("draw", "x*x", "x=1"))


def test_large_net(command: Command, tmp_path: Path) -> None:
    """A graph too large to read value by value is drawn neuron by neuron."""
    (tmp_path / "t.csv").write_text(CLASSES)
    result = command("train", "t.csv", "--target", "y", "--hidden", "60,60", "--epochs", "1", "--batch-size", "20")
    assert result.code == 0
    assert "… 55 more" in (tmp_path / "out" / "graph.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("epochs", [0, 2])
def test_interrupted(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """After Ctrl-C in the training the net as it was then is written; a curve only if an epoch was finished."""
    monkeypatch.setattr("tinygrad_sq.job.fit", lambda *args, **kwargs: History([0.5] * epochs, [], True))
    result = command("demo")
    assert result.code == 0
    assert f"interrupted after {epochs} of 150 epochs" in result.out
    assert (tmp_path / "out" / "net.json").exists()
    assert (tmp_path / "out" / "loss.svg").exists() == (epochs > 0)


def test_interrupted_elsewhere(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at any other time ends the command as shells expect, without a traceback."""

    def interrupt(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_sq.cli.read_csv", interrupt)
    assert command("demo").code == 130


def test_reader_that_has_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`predict ... | head -1` ends quietly."""
    (tmp_path / "t.csv").write_text("a\n" + "1\n" * 100)
    save(MLP(1, [1], seed=0), tmp_path / "net.json", ENCODING)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["predict", str(tmp_path / "net.json"), str(tmp_path / "t.csv")]) == 0


def test_a_reader_that_has_enough_keeps_the_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train ... | head -7` ends early, but not without the net."""
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{k},{2 * k}\n" for k in range(20)))
    reader, writer = os.pipe()

    def head() -> None:
        with open(reader) as lines:
            next(line for line in lines if line.startswith("fit"))

    thread = threading.Thread(target=head)
    monkeypatch.setattr("tinygrad_sq.cli._print_residuals", lambda *args: thread.join())
    thread.start()
    with open(writer, "w", buffering=1) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        how = ["--target", "y", "--epochs", "3", "--out", str(tmp_path / "out")]
        assert main(["train", str(tmp_path / "t.csv"), *how]) == 0
    assert (tmp_path / "out" / "net.json").exists()
    assert not (tmp_path / "out" / "graph.svg").exists()


ENCODING = {
    "inputs": [{"column": "a", "mean": 0.0, "deviation": 1.0}],
    "target": {"column": "y", "classes": [], "mean": 0.0, "deviation": 1.0},
}


# --- refusals ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "t.csv: No such file or directory"),
        ("", "t.csv: the file is empty"),
        ("a,y\n", "t.csv: the file has no rows"),
        ("a,b\n1,2\n", "t.csv: no column 'y'; the columns are a, b"),
        ("a,y\n1,u\nx,v\n", "t.csv, row 2 (line 3), column 'a': expected a number (up to 1e+150), got 'x'"),
        ("a,y\n1,u\nnan,v\n", "t.csv, row 2 (line 3), column 'a': expected a number (up to 1e+150), got 'nan'"),
        ("a,y\n1,u\n2,\n", "t.csv, row 2 (line 3), column 'y': expected a target, got ''"),
        ("a,y\n1,u\n2,u\n", "t.csv, column 'y': every row is 'u'; expected at least two classes"),
        ("a,y\n1,u\n2\n", "t.csv, row 2 (line 3): no cell for column 'y'"),
        ("y,y\n1,u\n2,v\n", "t.csv, line 1, columns 1 and 2: the name 'y' stands there twice"),
    ],
)
def test_refuses_data(command: Command, tmp_path: Path, text: str | None, message: str) -> None:
    """Data that cannot be trained on: what is wrong, in which row and column; no folder is made for it."""
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    assert message in refused(command("train", "t.csv", "--target", "y"))
    assert not (tmp_path / "out").exists()


def test_refuses_a_folder_as_file(command: Command, tmp_path: Path) -> None:
    """A folder in place of a file."""
    (tmp_path / "d").mkdir()
    assert "d: Is a directory" in refused(command("train", "d", "--target", "y"))
    assert "d: Is a directory" in refused(command("predict", "d", str(IRIS)))
    (tmp_path / "d.svg").mkdir()
    assert "d.svg: cannot write there: Is a directory" in refused(command("draw", "x*x", "x=1", "-o", "d.svg"))


def test_refuses_to_lose_the_training(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be written to is found out before the training."""
    monkeypatch.setattr(Job, "fit", lambda self: pytest.fail("trained for nothing"))
    (tmp_path / "file").write_text("")
    assert "file: is a file; expected a folder" in refused(
        command("train", str(IRIS), "--target", "species", "--out", "file")
    )
    assert "cannot write there: Not a directory" in refused(
        command("train", str(IRIS), "--target", "species", "--out", "file/out")
    )


def test_refuses_a_folder_without_permission(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there, but in which no file can be made."""

    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir / "x"))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert refused(command("train", str(IRIS), "--target", "species")).endswith(
        "out: cannot write there: Permission denied\n"
    )


def test_refuses_a_step_size_that_diverges(command: Command, tmp_path: Path) -> None:
    """Training that leaves the finite numbers is an error that names the remedy."""
    (tmp_path / "t.csv").write_text(REGRESSION)
    result = command("train", "t.csv", "--target", "y", "--lr", "1e200", "--optimizer", "sgd")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "smaller --lr" in result.err


def test_refuses_a_net_without_a_cost(command: Command, tmp_path: Path) -> None:
    """Where the cost is no number from the beginning, no step size is to blame, and none is proposed."""
    (tmp_path / "t.csv").write_text(REGRESSION)
    result = command("train", "t.csv", "--target", "y", "--activation", "log")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "the cost is nan before the first step, so that no --lr helps: a function in it, perhaps" in result.err


def test_says_that_the_cost_has_grown(command: Command, tmp_path: Path) -> None:
    """Steps that lead uphill, to a cost that is still finite, are no error; a line says so, and there is none else."""
    (tmp_path / "t.csv").write_text(REGRESSION)
    how = ["train", "t.csv", "--target", "y", "--optimizer", "sgd", "--epochs", "3"]
    assert "J has grown: try a smaller --lr" in command(*how, "--lr", "100").out
    assert "J has grown" not in command(*how, "--lr", "0.01").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["train", "t.csv"], "the following arguments are required: --target"),
        (["demo", "--hidden", "8,x"], "argument --hidden: expected whole numbers above 0 with commas between"),
        (["demo", "--hidden", "0"], "argument --hidden: expected whole numbers above 0"),
        (["demo", "--activation", "tahn"], "the table has no primitive 'tahn'"),
        (["demo", "--activation", "atan2"], "atan2 is not"),
        (["demo", "--lam", "-1"], "argument --lam: expected a number of 0 or more, got '-1'"),
        (["demo", "--lr", "nan"], "argument --lr: expected a number above 0, got 'nan'"),
        (["demo", "--epochs", "0"], "argument --epochs: expected a whole number above 0, got '0'"),
        (["demo", "--batch-size", "2.5"], "argument --batch-size: expected a whole number above 0, got '2.5'"),
        (["demo", "--seed", "x"], "argument --seed: expected a whole number, got 'x'"),
        (["demo", "--test-fraction", "1"], "argument --test-fraction: expected a number from 0 to below 1, got '1'"),
        (["demo", "--optimizer", "lbfgs"], "argument --optimizer: invalid choice: 'lbfgs'"),
        (["draw", "x", "x"], "expected NAME=NUMBER, got 'x'"),
        (["draw", "x", "2=x"], "expected NAME=NUMBER, got '2=x'"),
        (["draw", "x", "x=y"], "expected a number for x, got 'y'"),
        (["draw", "-x", "x=1"], "-x; a formula that begins with a minus sign goes in parentheses (see"),
        (["draw", "x", "x=1", "-o", "x"], "expected a name that ends in .svg, which is what it holds, got 'x'"),
        (["draw", "x", "x=1", "-o", "x.png"], "-o/--output: expected a name that ends in .svg, which is what it holds"),
        (
            ["explore", "x", "x=1", "-o", "x.svg"],
            "expected a name that ends in .html, which is what it holds, got 'x.svg'",
        ),
    ],
)
def test_refuses_arguments(command: Command, arguments: list[str], message: str) -> None:
    """An argument that is missing or out of range: which, and what is accepted."""
    error = refused(command(*arguments))
    assert message in error
    assert ("parentheses" in error) == ("parentheses" in message)


def test_a_net_is_explored_with_its_data(command: Command, tmp_path: Path) -> None:
    """Its file alone is no formula."""
    net = tmp_path / "net.json"
    net.write_text("{}", encoding="utf-8")
    message = "net.json is a file: a net is explored with its data, --data FILE.csv"
    assert message in refused(command("explore", str(net)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "net.json: No such file or directory"),
        ("{", "net.json: not JSON, or cut short"),
        ("[]", "net.json: expected an object"),
    ],
)
def test_refuses_nets(command: Command, tmp_path: Path, content: str | None, message: str) -> None:
    """A file that holds no net."""
    if content is not None:
        (tmp_path / "net.json").write_text(content)
    assert message in refused(command("predict", "net.json", str(IRIS)))


def test_refuses_nets_without_columns(command: Command, tmp_path: Path) -> None:
    """A net that was saved alone, or with the columns of another one."""
    save(MLP(1, [1], seed=0), tmp_path / "net.json")
    assert "net.json: the net does not say which columns it was trained on; expected one that `train` wrote" in refused(
        command("predict", "net.json", str(IRIS))
    )
    save(MLP(2, [1], seed=0), tmp_path / "net.json", ENCODING)
    assert "those of a net with 1 input and 1 output, and it has 2 inputs and 1 output" in refused(
        command("predict", "net.json", str(IRIS))
    )


def test_refuses_tables_of_other_columns(command: Command, tmp_path: Path) -> None:
    """`predict` on a table without a column that the net reads, or with text in it."""
    save(MLP(1, [1], seed=0), tmp_path / "net.json", ENCODING)
    (tmp_path / "t.csv").write_text("b\n1\n")
    assert "t.csv: no column 'a'; the columns are b" in refused(command("predict", "net.json", "t.csv"))
    (tmp_path / "t.csv").write_text("a\n1\nx\n")
    assert "t.csv, row 2 (line 3), column 'a': expected a number" in refused(command("predict", "net.json", "t.csv"))
    assert json.loads((tmp_path / "net.json").read_text())["about"] == ENCODING


# --- draw ---


def test_draw(command: Command, tmp_path: Path) -> None:
    """The value, each derivative, and the graph."""
    result = command("draw", "tanh(w*x + b)", "w=0.5", "x=1", "b=-0.2", "-o", "f.svg")
    assert result.code == 0
    assert result.out.splitlines() == [
        "tanh(w*x + b) = 0.2913126124515909",
        "∂/∂w = 0.9151369618266291",
        "∂/∂x = 0.45756848091331453",
        "∂/∂b = 0.9151369618266291",
        "wrote f.svg",
    ]
    svg = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert "tanh" in svg
    assert ">b<" in svg
    assert list(tmp_path.iterdir()) == [tmp_path / "f.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["w*x", "w=1"], "formula, column 3, 'x': a name without a value; x=1 gives it one"),
        (["w", "w=1", "x=1"], "'x' has a value but does not stand in the formula"),
        (["open('f', 'w')"], "the table has no function 'open'"),
        (["w*2", "w=1", "w=2"], "w has two values: 1.0 and 2.0"),
        (["1+2"], "1+2 is the number 3.0: there is no variable to differentiate it by"),
        (["w*2", "w=1", "-o", "no/f.svg"], "no/f.svg: cannot write there: No such file or directory"),
    ],
)
def test_refuses_formulas(command: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
    """A formula that cannot be drawn, and a place that cannot be written to; nothing is written."""
    assert message in refused(command("draw", *arguments))
    assert not list(tmp_path.iterdir())


def test_terminal_without_greek(tmp_path: Path) -> None:
    """On a terminal that has no δ the output is escaped; it is no error."""
    result = subprocess.run(
        [sys.executable, "-m", "tinygrad_sq", "draw", "2*σ", "σ=1.5"],
        cwd=tmp_path,
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert result.stderr == b""
    assert rb"\u2202/\u2202\u03c3 = 2.0" in result.stdout


# --- the job ---


def test_output_that_cannot_be_written() -> None:
    """A full disk behind standard output has no file's name."""
    code = "import sys; from tinygrad_sq.cli import main; sys.exit(main(['explain', 'x*x', 'x=3']))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "tinygrad-sq: error: standard output: No space left on device\n")


def test_options_reach_the_training(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen on the command line is what the net and `fit` are given."""
    calls = []

    def fit(model: MLP, X: object, Y: object, **options: Any) -> History:
        calls.append((model, options))
        return History([1.0], [], False)

    monkeypatch.setattr("tinygrad_sq.job.fit", fit)
    many = "--hidden 2 --activation sin --lam 0.5 --epochs 7 --batch-size 9 --seed 3 --lr 0.25"
    for options in "", many, "--optimizer sgd --seed 4":
        command("demo", *options.split())
    (_, defaults), (model, chosen), (other, sgd) = calls
    assert (defaults["lam"], defaults["epochs"], defaults["batch_size"], defaults["seed"]) == (0.001, 150, 16, 0)
    assert (chosen["lam"], chosen["epochs"], chosen["batch_size"], chosen["seed"]) == (0.5, 7, 9, 3)
    assert [(type(o["optimizer"]), o["optimizer"].lr) for _, o in calls] == [(Adam, 0.01), (Adam, 0.25), (SGD, 0.3)]
    again = MLP(4, [2, 3], activation="sin", output_activation="sigmoid", seed=3, init="glorot")
    assert repr(model) == repr(again)
    assert [p.data for p in model.parameters()] == [p.data for p in again.parameters()]
    assert chosen["optimizer"].parameters == model.parameters()
    assert other.parameters()[0].data != MLP(4, [5, 3], seed=0, init="glorot").parameters()[0].data
    assert sgd["validation"] is not None
    assert sgd["compiled"]


@pytest.mark.parametrize("missing", [None, "llvmlite", "numpy"])
def test_steps_in_native_code(command: Command, monkeypatch: pytest.MonkeyPatch, missing: str | None) -> None:
    """The training is compiled where llvmlite and NumPy are installed, and a line says which; the cost is the same."""
    plain = command("demo").out
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    assert compiler_installed() == (missing is None)
    out = command("demo").out
    line = (
        "in Python; faster with the extra `compile`: pip install llvmlite numpy"
        if missing
        else "compiled to native code"
    )
    assert f"\nsteps  {line}\n" in out
    costs = [re.findall(r"^fit .*$", text, re.MULTILINE) for text in (plain, out)]
    assert costs[0] == costs[1] != []


def test_hardest() -> None:
    """The row shown is the one of the test (without a test, of the training) of the largest E1."""
    for fraction in 0.2, 0.0:
        job = Job(read_csv(IRIS), "species", Options(test_fraction=fraction))
        rows = job.test or job.train
        costs = {s: sum((a.data - y) ** 2 for a, y in zip(job.model(job.X[s]), job.Y[s])) for s in rows}
        assert costs[job.hardest()] == max(costs.values())


def test_score_of_a_regression() -> None:
    """The root mean square error in the target's unit, beside that of always predicting the training mean."""
    job = Job(read_csv(IRIS), "petal_width_cm", Options(ignore=["species"]))
    ys = job.table.numbers("petal_width_cm")
    mean = sum(ys[s] for s in job.train) / len(job.train)
    baseline = (sum((ys[s] - mean) ** 2 for s in job.test) / len(job.test)) ** 0.5
    for p in job.model.parameters():  # a net whose output is 0 predicts the mean
        p.data = 0.0
    assert job.score(job.test) == f"root mean square error {baseline:.4g} (predicting the mean: {baseline:.4g})"


def test_sample_graph_starts_afresh() -> None:
    """The gradients of the parameters are those of this sample alone, E7."""
    job = Job(read_csv(IRIS), "species", Options())
    first = sample_graph(job.model, job.X[0], job.Y[0])
    gradients = [p.grad for p in job.model.parameters()]
    sample_graph(job.model, job.X[99], job.Y[99])
    assert [p.grad for p in job.model.parameters()] != gradients
    again = sample_graph(job.model, job.X[0], job.Y[0])
    assert (again.data, [p.grad for p in job.model.parameters()]) == (first.data, gradients)


# --- explain ---


def test_explain(command: Command) -> None:
    """The steps of the chain rule by one variable, by several, or by all; or the sum over paths."""
    formula = "(w*x + 1) * x", "w=-3", "x=2"
    by_x = command("explain", *formula, "--wrt", "x")
    assert by_x.code == 0
    assert by_x.out.startswith("The chain rule from y back to x: contribution = upstream × local derivative\n")
    assert by_x.out.endswith("\n∂y/∂x = -5 + (-6) = -11\n")
    both = command("explain", *formula, "--wrt", "x", "--wrt", "w").out
    assert both.endswith("\n∂y/∂x = -5 + (-6) = -11\n∂y/∂w = 4\n")
    assert command("explain", *formula, "--wrt", "x", "--wrt", "x") == by_x
    assert command("explain", *formula).out.endswith("\n∂y/∂w = 4\n∂y/∂x = -5 + (-6) = -11\n")
    paths = command("explain", *formula, "--paths", "--wrt", "x").out
    assert paths.startswith("∂y/∂x as a sum over the 2 paths from y to x, each a product of local derivatives\n")
    assert paths.endswith("\nSum over all paths: -11\nBy the backward pass: ∂y/∂x = -11\n")
    assert command("explain", *formula, "--paths").out.count("By the backward pass: ") == 2


def test_explain_refuses(command: Command) -> None:
    """What is no variable, and what has none."""
    assert "--wrt z: expected one of w, x" in refused(command("explain", "w*x", "w=1", "x=2", "--wrt", "z"))
    assert "there is no variable to differentiate it by" in refused(command("explain", "1 + 1"))


# --- explore ---


def test_explore_a_formula(command: Command, tmp_path: Path) -> None:
    """A page of the formula, and its derivatives on the terminal."""
    result = command("explore", "tanh(w*x + b)", "w=0.5", "x=1", "b=-0.2", "-o", "p.html")
    assert result.code == 0
    assert "∂/∂w = 0.91" in result.out
    assert (tmp_path / "p.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_explore_a_net(command: Command, tmp_path: Path) -> None:
    """A page of a saved net on one row of its data; a row that is not there is refused."""
    (tmp_path / "data.csv").write_text(CLASSES)
    assert command("train", "data.csv", "--target", "y", "--hidden", "3", "--epochs", "2").code == 0
    result = command("explore", "out/net.json", "--data", "data.csv", "--row", "7")
    assert result.code == 0
    assert "J of row 7 = " in result.out
    assert "<title>data.csv, row 7: y v</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "the rows 1 to 20, got 21" in refused(
        command("explore", "out/net.json", "--data", "data.csv", "--row", "21")
    )
    assert "b: a net takes its numbers from --data; expected no NAME=NUMBER with it" in refused(
        command("explore", "out/net.json", "b=3", "--data", "data.csv")
    )
    assert "--row 1: a formula has no rows" in refused(command("explore", "a*2", "a=1", "--row", "1"))
    command("explore", "out/net.json", "--data", "data.csv")
    assert "<title>data.csv, row 1: y " in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_explore_says_what_it_cannot_draw(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Graphviz there is no page, but a word."""
    monkeypatch.setenv("TINYGRAD_SQ_DOT", "no such dot")
    assert "no such dot" in refused(command("explore", "2*x", "x=1"))

"""The command `tinygrad-sq`: demo, train, predict, draw, animate, explain, explore, tour."""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TypeVar

from tinygrad_sq import __version__
from tinygrad_sq.expression import FormulaError, evaluate
from tinygrad_sq.job import OPTIMIZERS, Job, Options, compiler_installed, predict, sample_graph
from tinygrad_sq.nn import MLP, Neuron
from tinygrad_sq.op import counted
from tinygrad_sq.saving import check_ending, load_with_about, save, write
from tinygrad_sq.study.delta_view import deltas_table
from tinygrad_sq.tabular import Encoding, TableError, in_line, read_csv
from tinygrad_sq.train import History
from tinygrad_sq.value import Value

T = TypeVar("T")

IRIS = Path(__file__).parent / "data" / "iris.csv"
SHOWN = 24  # units in the table of residuals; the largest difference is over all


class UsageError(ValueError):
    """What is wrong with what the user asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say (those of the process by default): 0, or 2 and one line on stderr if it cannot be."""
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Greek letters is no reason to stop
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, perhaps `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _fail(f"{error.filename or 'standard output'}: {error.strerror}")
    except FloatingPointError as error:
        return _fail(str(error).replace(" lr", " --lr"))  # what `fit` calls lr is an option here
    except (UsageError, TableError, FormulaError) as error:
        return _fail(str(error))
    return 0


def _fail(message: str) -> int:
    _note(f"tinygrad-sq: error: {message}")
    return 2


def _note(message: str) -> None:
    print(" ".join(message.split()), file=sys.stderr)


# --- demo and train ---


def _demo(options: argparse.Namespace) -> None:
    print("Fisher's iris: sepals and petals of 150 flowers, measured in cm (Annals of Eugenics 7, 1936)\n")
    _train(options)


def _train(options: argparse.Namespace) -> None:
    table = read_csv(options.file)
    job = Job(table, options.target, Options(**{f.name: getattr(options, f.name) for f in fields(Options)}))
    out = _folder(options.out)
    _print_task(job)
    history = job.fit()
    with _writing(out / "net.json"):  # before what is printed, of which `| head` may want no more
        save(job.model, out / "net.json", job.encoding.to_json())
    _print_result(job, history)
    s = job.hardest()
    J = sample_graph(job.model, job.X[s], job.Y[s])
    _print_residuals(job, s)
    print()
    print(f"wrote {out / 'net.json'}: the net, for `tinygrad-sq predict {out / 'net.json'} FILE.csv`")
    _try_to_write(out / "graph.svg", lambda: _sample_svg(job, s, J), f"J of row {s + 1}, each value with its gradient")
    _try_to_write(out / "loss.svg", lambda: _loss_svg(job, history), "the cost, epoch by epoch")


def _print_task(job: Job) -> None:
    encoding, options = job.encoding, job.options
    kind = f"one of {in_line(encoding.classes)}" if encoding.classes else "a number"
    sizes = [len(encoding.inputs), *[len(layer.neurons) for layer in job.model.layers]]
    output = job.model.layers[-1].neurons[0].activation.name
    print(f"data   {Path(job.table.source).name}: {len(job.table.rows)} rows; inputs {in_line(encoding.inputs)}")
    print(f"task   predict {encoding.target}, {kind}")
    print(f"split  {len(job.train)} rows to train, {len(job.test)} to test; seed {options.seed}")
    if options.test_fraction and not job.test:
        print("       none to test: too few rows, or too few of each class")
    print(f"net    {'-'.join(map(str, sizes))}, {len(job.model.parameters())} parameters; ", end="")
    print(f"{options.activation}, {output} at the output")
    print(f"cost   J of E3: half squared error, λ = {options.lam:g}")
    native = compiler_installed()
    how = (
        "compiled to native code"
        if native
        else "in Python; faster with the extra `compile`: pip install llvmlite numpy"
    )
    print(f"steps  {how}")


def _print_result(job: Job, history: History) -> None:
    n = len(history.cost)
    shown = sorted({1, *[round(k * n / 5) for k in range(1, 6)]}) if n >= 5 else range(1, n + 1)
    print(f"fit    J by epoch: {', '.join(f'{history.cost[k - 1]:.4g} ({k})' for k in shown)}")
    if n and history.cost[-1] > history.cost[0]:
        print("       J has grown: try a smaller --lr")
    if history.interrupted:
        print(f"       interrupted after {n} of {counted(job.options.epochs, 'epoch')}; the net is as it was then")
    print()
    for name, rows in ("train", job.train), ("test", job.test):
        print(f"{name:5}  {job.score(rows) if rows else 'no rows'}")


def _print_residuals(job: Job, s: int) -> None:
    rows = sorted(deltas_table(job.model, job.X[s], job.Y[s]).units, key=lambda unit: unit.l)
    cell = job.table.column(job.encoding.target)[s]
    print(f"\nδ = ∂J/∂z for row {s + 1} of the data ({job.encoding.target} {cell}), which the net gets most wrong")
    print(f"{'unit':8}{'engine (z.grad)':>26}{'closed form (E5, E6)':>26}{'difference':>14}")
    for row in rows[:SHOWN]:
        print(f"{row.label:8}{row.engine:>26.17g}{row.closed_form:>26.17g}{row.difference:>14.2g}")
    if len(rows) > SHOWN:
        print(f"... and {counted(len(rows) - SHOWN, 'unit')} more")
    print(f"largest difference: {max(row.difference for row in rows):.2g}")


def _folder(name: str) -> Path:
    """The folder to write to, made if need be; found out before the training, not after it."""
    out = Path(name)
    with _writing(out):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UsageError(f"{out}: is a file; expected a folder") from None
        tempfile.TemporaryFile(dir=out).close()
    return out


@contextmanager
def _writing(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot write there: {error.strerror}") from None


def _try_to_write(path: Path, make: Callable[[], str], what: str) -> None:
    """Write a picture if it can be made; else say which it is and why not, and go on."""
    try:
        svg = make()
    except (ImportError, UsageError) as error:
        _note(f"{path.name} is not drawn: {error}")
    else:
        with _writing(path):
            write(str(path), svg)
        print(f"wrote {path}: {what}")


def _sample_svg(job: Job, s: int, J: Value) -> str:
    from tinygrad_sq.study.draw import layout, picture_of
    from tinygrad_sq.study.picture import with_meanings
    from tinygrad_sq.study.svg import render

    meanings = job.encoding.meanings(job.table, s, len(job.model.layers) + 1)
    with _drawing():
        pic = with_meanings(picture_of(J), meanings)
        return render(pic, layout(pic, "LR"))


def _graph_svg(root: Value, detail: str, rankdir: str) -> str:
    from tinygrad_sq.study.draw import to_svg

    with _drawing():
        return to_svg(root, detail=detail, rankdir=rankdir)


@contextmanager
def _drawing() -> Iterator[None]:
    from tinygrad_sq.study.dot import DotError

    try:
        yield
    except (DotError, ValueError) as error:  # no Graphviz; a graph too large to read
        raise UsageError(str(error)) from None


def _loss_svg(job: Job, history: History) -> str:
    from tinygrad_sq.plot import loss_svg

    if not history.cost:
        raise UsageError("no epoch was finished")
    return loss_svg(history.cost, history.validation, f"Learning to predict {job.encoding.target}")


# --- predict, draw, animate, explain, explore, tour ---


def _predict(options: argparse.Namespace) -> None:
    model, encoding = _load(options.net)
    predicted = predict(model, encoding, encoding.X(read_csv(options.file)))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([encoding.target])
    writer.writerows([cell] for cell in predicted)


def _load(net: str) -> tuple[MLP, Encoding]:
    try:
        model, about = load_with_about(net)
    except ValueError as error:
        raise UsageError(str(error)) from None
    n_in, n_out = len(model.layers[0].neurons[0].w), len(model.layers[-1].neurons)
    try:
        return model, Encoding.from_json(about, n_in, n_out)
    except TableError as error:
        raise UsageError(f"{net}: {error}") from None


def _draw(options: argparse.Namespace) -> None:
    _write_picture(options, lambda root: _graph_svg(root, options.detail, options.rankdir))


def _animate(options: argparse.Namespace) -> None:
    from tinygrad_sq.study.animate import animation

    def picture(root: Value) -> str:
        with _drawing():
            return animation(root, seconds=options.seconds)

    _write_picture(options, picture)


def _explore(options: argparse.Namespace) -> None:
    from tinygrad_sq.study.explore import page

    def picture(root: Value) -> str:
        with _drawing():
            return page(root)

    if options.data is None:
        if Path(options.formula).is_file():
            raise UsageError(f"{options.formula} is a file: a net is explored with its data, --data FILE.csv")
        if options.row is not None:
            raise UsageError(
                f"--row {options.row}: a formula has no rows; they are those of --data FILE.csv, for a net"
            )
        _write_picture(options, picture)
        return
    if options.values:
        raise UsageError(
            f"{options.values[0][0]}: a net takes its numbers from --data; expected no NAME=NUMBER with it"
        )
    model, encoding = _load(options.formula)
    table = read_csv(options.data)
    X, Y = encoding.X(table), encoding.Y(table)
    row = options.row or 1
    if row > len(X):
        raise UsageError(f"--row: {options.data} has the rows 1 to {len(X)}, got {row}")
    J = sample_graph(model, X[row - 1], Y[row - 1])
    meanings = encoding.meanings(table, row - 1, len(model.layers) + 1)
    with _drawing():
        html = page(J, model=model, data=(X, Y), meanings=meanings)
    with _writing(options.output):
        write(options.output, html)
    print(f"J of row {row} = {J.data!r}")
    print(f"wrote {options.output}: open it in a browser")


def _write_picture(options: argparse.Namespace, picture: Callable[[Value], str]) -> None:
    """Draw the formula, and print its value and its derivatives."""
    root, values = _evaluated(options)
    root.backward()
    svg = picture(root)
    with _writing(options.output):
        write(options.output, svg)
    print(f"{options.formula} = {root.data!r}")
    for name, v in values.items():
        print(f"∂/∂{name} = {v.grad!r}")
    print(f"wrote {options.output}")


def _explain(options: argparse.Namespace) -> None:
    from tinygrad_sq.study.explain import explain
    from tinygrad_sq.study.paths import paths

    root, values = _evaluated(options)
    for name in options.wrt:
        if name not in values:
            raise UsageError(f"--wrt {name}: expected one of {', '.join(values)}")
    wrt = [values[name] for name in dict.fromkeys(options.wrt or values)]
    if options.paths:
        print(*[paths(root, w) for w in wrt], sep="\n\n")
    else:
        print(explain(root, wrt))


def _evaluated(options: argparse.Namespace) -> tuple[Value, dict[str, Value]]:
    """The formula as a graph, and its variables."""
    values: dict[str, Value] = {}
    for name, x in options.values:
        if name in values:
            raise UsageError(f"{name} has two values: {values[name].data!r} and {x!r}")
        values[name] = Value(x, name)
    root = evaluate(options.formula, values)
    if not isinstance(root, Value):
        raise UsageError(f"{options.formula} is the number {root!r}: there is no variable to differentiate it by")
    return root, values


def _tour(options: argparse.Namespace) -> None:
    from tinygrad_sq.study.tour import tour

    tour(sys.stdin, sys.stdout)


# --- the arguments ---


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        minus = "; a formula that begins with a minus sign goes in parentheses" if "arguments: -" in message else ""
        sys.exit(_fail(f"{message}{minus} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tinygrad-sq",
        description="Small neural nets by scalar reverse-mode autodiff, every step of which can be seen.",
        epilog="Exit code: 0, or 2 with one line on stderr that says what was wrong with the input, and where.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], None], short: str, long: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(name, help=short, description=f"{short}. {long}")
        sub.set_defaults(run=run)
        return sub

    demo = command(
        "demo",
        _demo,
        "Train a net to tell three species of iris apart",
        "Prints its accuracy and, for the flower that it gets most wrong, δ of every unit by the engine beside δ by "
        "the closed form of the derivation. Writes the graph, the cost and the net to a folder. Takes some seconds.",
    )
    _add_options(demo)
    demo.set_defaults(file=IRIS, target="species", hidden="5", epochs=150)

    train = command(
        "train",
        _train,
        "Train a net on a CSV file",
        "The file is UTF-8 with commas, names of columns in the first line, and a number in every cell of an input "
        "column. A target column of text is a classification, one of numbers a regression. Inputs (and a numeric "
        "target) are standardised by the mean and deviation of the training rows. Prints and writes what `demo` does.",
    )
    train.add_argument("file", metavar="FILE.csv", help="the data")
    train.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict; the rest are inputs")
    train.add_argument("--ignore", action="append", metavar="COLUMN", help="no input; may be repeated")
    train.add_argument(
        "--task", choices=["classification", "regression"], help="what the target is, if its cells do not show it"
    )
    _add_options(train)

    pred = command(
        "predict",
        _predict,
        "Predict the target of each row of a CSV file",
        "Prints CSV to stdout: the name of the target column, then one prediction a row. The file needs the input "
        "columns that the net was trained on, in any order; other columns are ignored.",
    )
    pred.add_argument("net", metavar="net.json", help="the net that `train` wrote")
    pred.add_argument("file", metavar="FILE.csv", help="the data")

    draw = command(
        "draw",
        _draw,
        "Draw a formula as a computation graph, with its derivatives",
        f"Example: tinygrad-sq draw {EXAMPLE} -o graph.svg. {FORMULA}",
    )
    _add_formula(draw, "graph.svg")
    draw.add_argument(
        "--detail",
        choices=["value", "neuron", "layer", "auto"],
        default="auto",
        help="a box for each value or for parts of the graph; auto: each value up to 150 (default %(default)s)",
    )
    draw.add_argument(
        "--rankdir",
        choices=["LR", "TB"],
        default="LR",
        help="left to right or top to bottom (default %(default)s)",
    )

    animate = command(
        "animate",
        _animate,
        "Draw the forward and the backward pass of a formula as an animation",
        f"Example: tinygrad-sq animate {EXAMPLE} -o backward.svg. The SVG plays in any browser, and as an image in a "
        f"README. {FORMULA}",
    )
    _add_formula(animate, "backward.svg")
    seconds = _number(float, lambda x: 0.0 < x < math.inf, "a number above 0")
    animate.add_argument(
        "--seconds", type=seconds, default=1.5, metavar="S", help="for each step (default %(default)s)"
    )

    explain = command(
        "explain",
        _explain,
        "Derive a formula step by step by the chain rule",
        f"Example: tinygrad-sq explain {EXAMPLE} --wrt w. Prints each step of the backward pass: the gradient that "
        f"arrives, the local derivative as a formula and as a number, their product, and the sum. {FORMULA}",
    )
    _add_variables(explain)
    explain.add_argument(
        "--wrt", action="append", default=[], metavar="NAME", help="with respect to what; may be repeated (default all)"
    )
    explain.add_argument("--paths", action="store_true", help="as a sum over paths, each a product, instead")

    explore = command(
        "explore",
        _explore,
        "Write a page on which the steps of the chain rule can be followed and every value changed",
        f"Example: tinygrad-sq explore {EXAMPLE} -o page.html. {FORMULA} Or: tinygrad-sq explore net.json --data "
        "FILE.csv --row 3, for a net that `train` wrote, on one row of its data; the page trains it on all of them. "
        "The page is one file, and needs a browser but no network.",
    )
    _add_formula(explore, "page.html")
    explore.add_argument("--data", metavar="FILE.csv", help="the data of a net: FORMULA is then the net's file")
    row = _number(int, lambda n: n > 0, "a whole number above 0")
    explore.add_argument("--row", type=row, metavar="N", help="which row to show (default 1)")

    command(
        "tour",
        _tour,
        "From the chain rule to backpropagation in five minutes",
        "One idea a screen, with numbers computed as you look: Enter for the next screen, b for the one before, its "
        "number for any other, q to leave. Where there is no terminal, all screens are printed.",
    )
    return parser


EXAMPLE = '"tanh(w*x + b)" w=0.5 x=1 b=-0.2'
FORMULA = (
    "A formula has names, numbers, parentheses, + - * / **, and the functions of the table (sin, exp, relu, "
    "maximum(a, b), dot([a, b], [c, d]), ...); it is parsed and never executed."
)


def _add_formula(parser: argparse.ArgumentParser, output: str) -> None:
    _add_variables(parser)
    kind = Path(output).suffix
    parser.add_argument(
        "-o", "--output", default=output, type=_ending(kind), metavar="FILE", help="where to (default %(default)s)"
    )


def _ending(kind: str) -> Callable[[str], str]:
    def name(text: str) -> str:
        try:
            check_ending(text, kind)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return name


def _add_variables(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("formula", metavar="FORMULA", help="in quotes; in parentheses if it begins with a minus sign")
    add("values", nargs="*", type=_assignment, metavar="NAME=NUMBER", help="what each name stands for")


def _add_options(parser: argparse.ArgumentParser) -> None:
    defaults = {field.name: field.default for field in fields(Options)}
    numbers = _number(int, lambda n: n > 0, "a whole number above 0")
    rate = _number(float, lambda x: 0.0 < x < math.inf, "a number above 0")
    rates = ", ".join(f"{lr:g} for {name}" for name, (_, lr) in OPTIMIZERS.items())
    parser.set_defaults(**defaults | {"hidden": ",".join(map(str, Options.hidden)), "ignore": []})
    group = parser.add_argument_group("the net and its training")
    add = group.add_argument
    add("--hidden", type=_sizes, metavar="N,N,...", help="units of each hidden layer (default %(default)s)")
    add("--activation", type=_activation, metavar="NAME", help="of the hidden layers: any row (default %(default)s)")
    add(
        "--lam",
        type=_number(float, lambda x: 0.0 <= x < math.inf, "a number of 0 or more"),
        metavar="λ",
        help="how much large weights cost: (λ/2) Σ W² in E3 (default %(default)s)",
    )
    add("--epochs", type=numbers, metavar="N", help="passes over the training rows (default %(default)s)")
    add("--batch-size", type=numbers, metavar="N", help="rows for each step (default %(default)s)")
    add("--optimizer", choices=list(OPTIMIZERS), help="how a step follows from the gradient (default %(default)s)")
    add("--lr", type=rate, metavar="STEP", help=f"step size (default {rates})")
    add(
        "--seed",
        type=_number(int, lambda n: True, "a whole number"),
        metavar="N",
        help="of the split, the initial "
        "weights and the batches; the same seed gives the same net (default %(default)s)",
    )
    add(
        "--test-fraction",
        type=_number(float, lambda x: 0.0 <= x < 1.0, "a number from 0 to below 1"),
        metavar="X",
        help="share of the rows kept for the test, of each class alike (default %(default)s)",
    )
    add(
        "-o",
        "--out",
        default="out",
        metavar="DIR",
        help="folder for net.json, graph.svg, loss.svg (default %(default)s)",
    )


def _number(convert: Callable[[str], T], accept: Callable[[T], bool], expected: str) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            x = convert(text)
        except ValueError:
            pass
        else:
            if accept(x):
                return x
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")

    return parse


def _sizes(text: str) -> tuple[int, ...]:
    parse = _number(int, lambda n: n > 0, "whole numbers above 0 with commas between, such as 8,8")
    return tuple([parse(size) for size in text.split(",")])


def _activation(text: str) -> str:
    try:
        Neuron(1, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _assignment(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=NUMBER, got {text!r}")
    return name, _number(float, lambda x: True, f"a number for {name}")(value)

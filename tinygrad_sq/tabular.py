"""Tables of text, from CSV files, and how a net reads them: inputs standardised, targets encoded."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import Any, NamedTuple

from tinygrad_sq.op import counted

MOST_LISTED = 12  # columns or classes, in a line of output, an error or a legend
LARGEST = 1e150  # squares of numbers up to this size, and sums of those, are finite


class TableError(ValueError):
    """What is wrong with a file of data, and in which row and column."""


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file, as text without surrounding blanks.

    source   the file, for messages
    columns  the names in its first line
    rows     one tuple of cells a row, as long as `columns`
    lines    the line of the file at which each row ends, for messages
    """

    source: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """The cells of one column; TableError with the nearest names if there is none of this name."""
        if name not in self.columns:
            near = get_close_matches(name, self.columns, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are {in_line(self.columns)}"
            raise TableError(f"{self.source}: no column {name!r}; {_other_separator(self.columns) or hint}")
        j = self.columns.index(name)
        return [row[j] for row in self.rows]

    def numbers(self, name: str) -> list[float]:
        """The cells of one column as floats; TableError at the first that is empty, text, NaN or infinite."""
        return [self._number(cell, i, name) for i, cell in enumerate(self.column(name))]

    def _number(self, cell: str, i: int, name: str) -> float:
        x = parse_number(cell)
        if x is None or not abs(x) <= LARGEST:
            raise self.error(i, name, f"expected a number (up to {LARGEST:g}), got {cell!r:.40}")
        return x

    def error(self, i: int, name: str, message: str) -> TableError:
        """The error that `message` describes, in row i (counted from 0) of the column `name`."""
        return TableError(f"{self.source}, row {i + 1} (line {self.lines[i]}), column {name!r}: {message}")


def in_line(names: Iterable[str]) -> str:
    """The names with commas between, the first of them where there are many; in quotes where a comma is in one."""
    return ", ".join(_some([repr(name) if "," in name else name for name in names]))


def _some(items: list[str]) -> list[str]:
    """As many as can be read, and how many are left out."""
    left_out = len(items) - MOST_LISTED
    return [*items[:MOST_LISTED], f"... and {left_out} more"] if left_out > 0 else items


def _other_separator(columns: Sequence[str]) -> str:
    """What to say of a file with one column whose name looks like the names of several."""
    for separator, name in (";", "semicolons"), ("\t", "tabs"), ("|", "bars"):
        if len(columns) == 1 and separator in columns[0]:
            return f"its cells are divided by {name}; expected commas, and points in numbers"
    return ""


def parse_number(cell: str) -> float | None:
    """The number that a cell holds, NaN and infinities among them; None for text."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def read_csv(path: str | Path) -> Table:
    """The table in a CSV file: UTF-8, commas, names of columns in the first line; blank lines are skipped.

    Raises OSError for a file that cannot be read, TableError for one that is not UTF-8, has no rows, has a row of
    another length than the first, or has two columns of one name.
    """
    source = str(path)
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        line, place = data.count(b"\n", 0, error.start) + 1, error.start - line_start + 1
        raise TableError(f"{source}, line {line}, byte {place}: not UTF-8; save the file as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    lines = []
    start = 1  # the line in which the row begins that is being read
    try:
        for cells in reader:
            if cells:
                rows.append(tuple([cell.strip() for cell in cells]))
                lines.append(reader.line_num)
            start = reader.line_num + 1
    except csv.Error as error:
        problem = {"unexpected end of data": "a quote is not closed"}.get(str(error), str(error))
        raise TableError(
            f"{source}, line {reader.line_num}, in the row that begins in line {start}: {problem}"
        ) from None
    if not rows:
        raise TableError(f"{source}: the file is empty; expected the names of columns, then rows")
    columns, rows = rows[0], rows[1:]
    for name, times in Counter(columns).items():
        if times > 1 or not name:
            places = " and ".join(str(j + 1) for j, other in enumerate(columns) if other == name)
            problem = f"the name {name!r} stands there twice or more" if name else "a column without a name"
            raise TableError(f"{source}, line {lines[0]}, {'columns' if times > 1 else 'column'} {places}: {problem}")
    if not rows:
        raise TableError(f"{source}: the file has no rows below the names of its columns")
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            where = f"row {i + 1} (line {lines[i + 1]})"
            missing = (
                f"no cell for column {columns[len(row)]!r}" if len(row) < len(columns) else "more cells than columns"
            )
            hint = _other_separator(columns) or f"got {counted(len(row), 'cell')}, expected {len(columns)}"
            raise TableError(f"{source}, {where}: {missing}; {hint}")
    return Table(source, columns, rows, lines[1:])


@dataclass(frozen=True)
class Scale:
    """x -> (x - mean) / deviation, which gives the numbers it was made from mean 0 and standard deviation 1."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, xs: Sequence[float]) -> Scale:
        """The scale of `xs`; deviation 1 where they are all equal."""
        return cls(fmean(xs), pstdev(xs) or 1.0)  # both exact, so that equal numbers have deviation 0

    def __call__(self, x: float) -> float:
        return (x - self.mean) / self.deviation

    def inverse(self, x: float) -> float:
        return self.mean + self.deviation * x

    def __str__(self) -> str:
        sign = "+" if self.mean < 0.0 else "−"
        return f"standardised: (value {sign} {abs(self.mean):.4g}) / {self.deviation:.4g}"


class Meanings(NamedTuple):
    """What the labels in the graph of one row stand for.

    title   the file, the row, and what the target is there
    words   by label, of an input, a target or an output: the column or the class, and how the number is standardised
    legend  all of them in short
    """

    title: str
    words: dict[str, str]
    legend: list[str]


@dataclass(frozen=True)
class Encoding:
    """How the cells of a table become a net's inputs and targets, and its outputs become cells again.

    inputs   for each input column, in the net's order, the scale that standardises it
    target   the column to predict
    classes  the classes in the net's order, for one-hot targets; none for regression
    scale    what standardises the target of a regression
    """

    inputs: dict[str, Scale]
    target: str
    classes: tuple[str, ...]
    scale: Scale

    @classmethod
    def of(
        cls, table: Table, target: str, classes: tuple[str, ...], train: Sequence[int], ignore: Iterable[str] = ()
    ) -> Encoding:
        """The encoding of `table` with scales from its rows `train`; every column not in `ignore` is an input.

        Raises TableError for an input cell that is no number, for a target to ignore, and where no column is left.
        """
        for name in ignore:
            table.column(name)
        if target in ignore:
            raise TableError(f"{table.source}: column {target!r} is the target; expected other columns to ignore")
        inputs = {}
        for name in table.columns:
            if name != target and name not in ignore:
                try:
                    xs = table.numbers(name)
                except TableError as error:
                    raise TableError(f"{error}; to leave the column out, say --ignore {name}") from None
                inputs[name] = Scale.of([xs[i] for i in train])
        if not inputs:
            raise TableError(f"{table.source}: no column beside the target {target!r}; expected at least one input")
        ys = [] if classes else table.numbers(target)
        return cls(inputs, target, classes, Scale.of([ys[i] for i in train]) if ys else Scale(0.0, 1.0))

    def X(self, table: Table) -> list[list[float]]:
        """The standardised inputs, one list a row."""
        columns = [_scaled(scale, table, name) for name, scale in self.inputs.items()]
        return [list(row) for row in zip(*columns)]

    def Y(self, table: Table) -> list[list[float]]:
        """The targets, one list a row: one-hot by class, or the standardised number."""
        if self.classes:
            return [[float(cell == name) for name in self.classes] for cell in table.column(self.target)]
        return [[y] for y in _scaled(self.scale, table, self.target)]

    def decode(self, output: Sequence[float]) -> str | float:
        """The prediction that a net's output stands for: the class of the largest activation, or the number."""
        if self.classes:
            return self.classes[max(range(len(output)), key=output.__getitem__)]
        return self.scale.inverse(output[0])

    def meanings(self, table: Table, i: int, last: int) -> Meanings:
        """What labels stand for in the graph of row i, counted from 0; the net's outputs are a of layer `last`."""
        outputs = [f"class {name}" for name in self.classes] or [self.target]
        words = {f"x[{j}]": f"{name}, {scale}" for j, (name, scale) in enumerate(self.inputs.items())}
        for k, name in enumerate(outputs):
            words[f"y[{k}]"] = words[f"a{last}[{k}]"] = name if self.classes else f"{name}, {self.scale}"
        legend = [
            *_some([f"x[{j}] = {name}" for j, name in enumerate(self.inputs)]),
            *_some([f"y[{k}], a{last}[{k}] = {name}" for k, name in enumerate(outputs)]),
            f"{'x' if self.classes else 'all'} standardised: (value − mean) / deviation",
        ]
        cell = table.column(self.target)[i]
        return Meanings(f"{Path(table.source).name}, row {i + 1}: {self.target} {cell}", words, legend)

    def to_json(self) -> dict[str, Any]:
        """The encoding as what JSON can hold."""
        return {
            "inputs": [{"column": name, **asdict(scale)} for name, scale in self.inputs.items()],
            "target": {"column": self.target, "classes": list(self.classes), **asdict(self.scale)},
        }

    @classmethod
    def from_json(cls, data: Any, n_in: int, n_out: int) -> Encoding:
        """What `to_json` gave, checked, for a net of n_in inputs and n_out outputs; TableError if it does not fit."""
        if not isinstance(data, dict):
            raise TableError("the net does not say which columns it was trained on; expected one that `train` wrote")
        try:
            inputs = {_text(entry["column"]): _scale(entry) for entry in data["inputs"]}
            target = data["target"]
            classes = tuple(map(_text, target["classes"]))
            encoding = cls(inputs, _text(target["column"]), classes, _scale(target))
        except (TypeError, KeyError) as error:
            raise TableError(f"the net does not say which columns it was trained on ({error})") from None
        expected = len(inputs), max(1, len(classes))
        if expected != (n_in, n_out):
            here, there = [f"{counted(i, 'input')} and {counted(o, 'output')}" for i, o in (expected, (n_in, n_out))]
            raise TableError(f"its columns and classes are those of a net with {here}, and it has {there}")
        return encoding


def _scaled(scale: Scale, table: Table, name: str) -> list[float]:
    xs = [scale(x) for x in table.numbers(name)]
    for i, x in enumerate(xs):
        if not math.isfinite(x):
            cell = table.column(name)[i]
            raise table.error(i, name, f"{cell!r} is too far from the others: {scale} is {x!r}")
    return xs


def _text(x: Any) -> str:
    if not isinstance(x, str):
        raise TypeError(f"expected a text, got {x!r:.40}")
    return x


def _scale(entry: Any) -> Scale:
    mean, deviation = entry["mean"], entry["deviation"]
    if not (type(mean) is type(deviation) is float and abs(mean) <= LARGEST and 0.0 < deviation <= LARGEST):
        raise TypeError(f"expected a mean and a deviation above 0, got {mean!r:.40} and {deviation!r:.40}")
    return Scale(mean, deviation)


def find_classes(table: Table, target: str, task: str | None = None) -> tuple[str, ...]:
    """The classes of a target column of text, sorted; none for a column of numbers (regression).

    `task` "classification" takes numbers as names of classes, "regression" takes nothing but numbers. Raises TableError
    for a cell that is empty, NaN, or of another kind than most, and for a column that is the same in every row.
    """
    cells = table.column(target)
    numbers = [parse_number(cell) for cell in cells]
    for i, (cell, x) in enumerate(zip(cells, numbers)):
        if not cell or (x is not None and not math.isfinite(x)):
            raise table.error(i, target, f"expected a target, got {cell!r}")
    if task is None:
        is_number = [x is not None for x in numbers]
        most = is_number.count(True) * 2 > len(cells)
        if (not most) in is_number:
            i = is_number.index(not most)
            hint = "if both are names of classes, say --task classification"
            raise table.error(
                i, target, f"got {cells[i]!r:.40} where most cells are {'numbers' if most else 'text'}; {hint}"
            )
        task = "regression" if most else "classification"
    if len(set(cells)) == 1:
        expected = "two classes" if task == "classification" else "two different numbers"
        raise TableError(f"{table.source}, column {target!r}: every row is {cells[0]!r}; expected at least {expected}")
    return tuple(sorted(set(cells))) if task == "classification" else ()


def split(labels: Sequence[object], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """The indices of `labels` in two lists, to train and to test, shuffled by `seed`, each label in proportion.

    About `fraction` of each label goes to the test; one row of each stays to train.
    """
    random = Random(seed)
    train: list[int] = []
    test: list[int] = []
    groups: dict[object, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(label, []).append(i)
    for indices in groups.values():
        random.shuffle(indices)
        n = min(round(fraction * len(indices)), len(indices) - 1)
        test += indices[:n]
        train += indices[n:]
    return sorted(train), sorted(test)

"""CSV files: what is read, how it is scaled and split, and which cell an error names."""

import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_sq.cli import IRIS
from tinygrad_sq.tabular import Encoding, Scale, Table, TableError, find_classes, parse_number, read_csv, split


def table(tmp_path: Path, text: str | bytes) -> Table:
    file = tmp_path / "t.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(file)


def test_iris_is_fishers() -> None:
    """The shipped data are the 150 flowers of Fisher's paper: means, and the two rows in which the UCI copy differs."""
    iris = read_csv(IRIS)
    assert Counter(iris.column("species")) == {"setosa": 50, "versicolor": 50, "virginica": 50}
    columns = [iris.numbers(name) for name in iris.columns[:4]]
    assert [sum(map(Fraction, map(str, xs))) * 10 for xs in columns] == [8765, 4586, 5637, 1799]
    assert [xs[34] for xs in columns] == [4.9, 3.1, 1.5, 0.2]
    assert [xs[37] for xs in columns] == [4.9, 3.6, 1.4, 0.1]


def test_reads_what_spreadsheets_write(tmp_path: Path) -> None:
    """A byte order mark, CRLF, quotes, blanks around cells and blank lines do no harm; lines are those of the file."""
    read = table(tmp_path, '\ufeffa ,"b c",d\r\n\r\n 1 ,"x, ""y""\r\nz",2\r\n3,4,5')
    assert read.columns == ("a", "b c", "d")
    assert read.rows == [("1", 'x, "y"\r\nz', "2"), ("3", "4", "5")]
    assert read.lines == [4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: the file is empty"),
        ("\n\n", "t.csv: the file is empty"),
        ("a,b\n", "t.csv: the file has no rows below the names of its columns"),
        ("a,b,a\n1,2,3\n", "t.csv, line 1, columns 1 and 3: the name 'a' stands there twice or more"),
        ("a,,b\n1,2,3\n", "t.csv, line 1, column 2: a column without a name"),
        ("a,b\n1,2\n\n3\n", "t.csv, row 2 (line 4): no cell for column 'b'; got 1 cell, expected 2"),
        ("a,b\n1,2,3\n", "t.csv, row 1 (line 2): more cells than columns; got 3 cells, expected 2"),
        (
            "a;b\n1,5;2,5\n",
            "row 1 (line 2): more cells than columns; its cells are divided by semicolons; expected com",
        ),
        ('a,b\n1,"2\n', "t.csv, line 2, in the row that begins in line 2: a quote is not closed"),
        ('a,b\n1,"2\n3"\n\n"4,5\n6,7\n', "t.csv, line 6, in the row that begins in line 5: a quote is not closed"),
        ('a,b\n1,"2"3\n', "t.csv, line 2, in the row that begins in line 2: ',' expected after '\"'"),
        (b"a,b\n1,2\n1,\xe9\n", "t.csv, line 3, byte 3: not UTF-8"),
        (b"\xff\xfea\0", "t.csv, line 1, byte 1: not UTF-8"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, text: str | bytes, message: str) -> None:
    """What makes a file unreadable is said with its line."""
    with pytest.raises(TableError) as error:
        table(tmp_path, text)
    assert message in str(error.value)


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf", "-Infinity", "1e151", "1_000", "1,5", "0x1", "--1"])
def test_cells_that_are_no_numbers(tmp_path: Path, cell: str) -> None:
    """A cell of a column of numbers that is empty, text, NaN or out of range is named by row, line and column."""
    read = table(tmp_path, f'a,b\n1,2\n3,"{cell}"\n')
    with pytest.raises(TableError) as error:
        read.numbers("b")
    assert str(error.value).endswith(f"row 2 (line 3), column 'b': expected a number (up to 1e+150), got {cell!r}")


def test_unknown_column(tmp_path: Path) -> None:
    """A column that is not there is answered with the nearest name, or with all of them."""
    read = table(tmp_path, "length,width\n1,2\n")
    with pytest.raises(TableError, match="no column 'lenght'; did you mean 'length'"):
        read.column("lenght")
    with pytest.raises(TableError, match="no column 'z'; the columns are length, width"):
        read.column("z")
    with pytest.raises(TableError, match=r"no column 'z'; the columns are a, b, 'a, b'$"):
        table(tmp_path, 'a,b,"a, b"\n1,2,3\n').column("z")
    with pytest.raises(TableError, match=r"no column 'z'; the columns are a0, .*, a11, ... and 2 more$"):
        table(tmp_path, ",".join(f"a{j}" for j in range(14)) + "\n" + "1," * 13 + "1\n").column("z")


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator(tmp_path: Path, separator: str, name: str) -> None:
    """Cells that other characters divide are all one column, and the error says so; elsewhere they are text."""
    with pytest.raises(
        TableError, match=f"no column 'width'; its cells are divided by {name}; expected commas, and poi"
    ):
        table(tmp_path, f"length{separator}width\n1{separator}2\n").column("width")
    with pytest.raises(TableError, match="no column 'width'; the columns are "):
        table(tmp_path, f"le{separator}ngth,z\n1,2\n").column("width")


@given(st.floats())
def test_numbers_are_pythons(x: float) -> None:
    """Every float is read back to the bit from its repr."""
    read = parse_number(repr(x))
    assert read is not None
    assert math.isnan(read) if math.isnan(x) else (read, math.copysign(1, read)) == (x, math.copysign(1, x))


millionths = st.integers(-(10**9), 10**9).map(lambda n: n / 1e6)


@given(st.lists(millionths, min_size=2, max_size=20, unique=True), millionths)
def test_scale(xs: list[float], x: float) -> None:
    """The scaled numbers have mean 0 and deviation 1, to the rounding of the mean; the inverse undoes the scale."""
    scale = Scale.of(xs)
    rounding = 1e-15 * max(map(abs, xs)) / scale.deviation
    scaled = [scale(x) for x in xs]
    assert sum(scaled) / len(xs) == pytest.approx(0.0, abs=1e-12 + rounding)
    assert math.hypot(*scaled) / math.sqrt(len(xs)) == pytest.approx(1.0, abs=1e-12 + rounding)
    assert scale.inverse(scale(x)) == pytest.approx(x, abs=1e-12)


def test_scale_of_extremes() -> None:
    """Equal numbers are only shifted, whatever the rounding of their mean; squares neither under- nor overflow."""
    assert Scale.of([0.1] * 3).deviation == 1.0
    assert Scale.of([0.0, 1e-300]).deviation == 5e-301
    assert Scale.of([0.0, 1e150]).deviation == 5e149


def test_classes_or_numbers(tmp_path: Path) -> None:
    """Text is a classification, with sorted classes; numbers are a regression unless they are called classes."""
    assert find_classes(table(tmp_path, "y\nz\nv\ny\nu\nx\nw\nv\n"), "y") == tuple("uvwxyz")
    numbers = table(tmp_path, "y\n2\n1\n2\n")
    assert find_classes(numbers, "y") == ()
    assert find_classes(numbers, "y", "classification") == ("1", "2")
    assert find_classes(table(tmp_path, "y\n1\nb\n"), "y", "classification") == ("1", "b")


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("y\n1\n2\nx\n", None, "row 3 (line 4), column 'y': got 'x' where most cells are numbers"),
        ("y\nu\nv\n3\n", None, "row 3 (line 4), column 'y': got '3' where most cells are text"),
        ('y\nu\n""\nv\n', None, "row 2 (line 3), column 'y': expected a target, got ''"),
        ("y\nu\nnan\nv\n", "classification", "row 2 (line 3), column 'y': expected a target, got 'nan'"),
        ("y\n1\ninf\n", "regression", "row 2 (line 3), column 'y': expected a target, got 'inf'"),
        ("y\nu\nu\n", None, "column 'y': every row is 'u'; expected at least two classes"),
        ("y\n7\n7\n", None, "column 'y': every row is '7'; expected at least two different numbers"),
        ("y\n7\n7\n", "classification", "column 'y': every row is '7'; expected at least two classes"),
    ],
)
def test_targets_that_are_none(tmp_path: Path, text: str, task: str | None, message: str) -> None:
    """A target that is missing, of another kind than most, or the same everywhere is refused."""
    with pytest.raises(TableError) as error:
        find_classes(table(tmp_path, text), "y", task)
    assert message in str(error.value)


@given(st.lists(st.sampled_from("uvw"), min_size=1, max_size=60), st.floats(0.0, 1.0, exclude_max=True), st.integers())
def test_split(labels: list[str], fraction: float, seed: int) -> None:
    """Each row is in one of the two parts, each label is in the training, and in the test in proportion."""
    train, test = split(labels, fraction, seed)
    assert sorted(train + test) == list(range(len(labels)))
    assert {labels[i] for i in train} == set(labels)
    tested = Counter(labels[i] for i in test)
    for label, n in Counter(labels).items():
        assert abs(tested[label] - fraction * n) <= 1.0
    assert split(labels, fraction, seed) == (train, test)


def test_split_depends_on_the_seed() -> None:
    """Another seed chooses other rows."""
    assert split("u" * 50, 0.5, 0) != split("u" * 50, 0.5, 1)


def test_encoding_of_classes(tmp_path: Path) -> None:
    """Inputs are scaled by the training rows alone, targets are one-hot, outputs become the class of the largest."""
    read = table(tmp_path, "a,y,b,id\n1,v,0,p\n3,u,0,q\n9,v,6,r\n")
    encoding = Encoding.of(read, "y", ("u", "v"), [0, 1], ignore=["id"])
    assert encoding.X(read) == [[-1.0, 0.0], [1.0, 0.0], [7.0, 6.0]]
    assert encoding.Y(read) == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    assert encoding.decode([0.2, 0.1]) == "u"
    assert encoding.decode([0.1, 0.2]) == "v"


def test_a_number_too_far_from_the_others(tmp_path: Path) -> None:
    """Standardised it is infinite: one line says where it stands."""
    cells = "".join(f"{k}e-300,{k}\n" for k in range(9))
    for read in table(tmp_path, f"a,y\n{cells}1e150,3\n"), table(tmp_path, f"y,a\n{cells}1e150,3\n"):
        encoding = Encoding.of(read, "y", (), list(range(9)))
        with pytest.raises(
            TableError, match=r"row 10 \(line 11\), column '[ay]': '1e150' is too far from the others: .* is inf"
        ):
            (encoding.X if read.columns[0] == "a" else encoding.Y)(read)


def test_encoding_of_numbers(tmp_path: Path) -> None:
    """The target of a regression is standardised too, and outputs are scaled back."""
    read = table(tmp_path, "a,y\n1,10\n3,30\n9,50\n")
    encoding = Encoding.of(read, "y", (), [0, 1])
    assert encoding.Y(read) == [[-1.0], [1.0], [3.0]]
    assert encoding.decode([3.0]) == 50.0


def test_meanings_of_classes(tmp_path: Path) -> None:
    """Inputs are columns that are standardised, targets and outputs classes, and the title is the row."""
    read = table(tmp_path, "a,y,b\n1,v,0\n3,u,0\n9,v,6\n")
    encoding = Encoding.of(read, "y", ("u", "v"), [0, 1])
    title, words, legend = encoding.meanings(read, 2, 4)
    assert title == "t.csv, row 3: y v"
    assert words == {
        "x[0]": "a, standardised: (value − 2) / 1",
        "x[1]": "b, standardised: (value − 0) / 1",
        "y[0]": "class u",
        "a4[0]": "class u",
        "y[1]": "class v",
        "a4[1]": "class v",
    }
    assert legend == [
        "x[0] = a",
        "x[1] = b",
        "y[0], a4[0] = class u",
        "y[1], a4[1] = class v",
        "x standardised: (value − mean) / deviation",
    ]


def test_meanings_of_numbers(tmp_path: Path) -> None:
    """The target of a regression is a column and standardised, too."""
    read = table(tmp_path, "a,y\n-1,10\n-3,30\n")
    title, words, legend = Encoding.of(read, "y", (), [0, 1]).meanings(read, 0, 3)
    assert title == "t.csv, row 1: y 10"
    y = "y, standardised: (value − 20) / 10"
    assert words == {"x[0]": "a, standardised: (value + 2) / 1", "y[0]": y, "a3[0]": y}
    assert legend == ["x[0] = a", "y[0], a3[0] = y", "all standardised: (value − mean) / deviation"]


def test_meanings_of_many_columns(tmp_path: Path) -> None:
    """A legend of many columns says how many it leaves out."""
    names = [f"c{j}" for j in range(40)]
    read = table(tmp_path, f"{','.join(names)},y\n{'0,' * 40}1\n{'1,' * 40}2\n")
    _, words, legend = Encoding.of(read, "y", (), [0, 1]).meanings(read, 0, 3)
    assert len(words) == 42
    assert [text.partition(" = ")[2] for text in legend[:12]] == names[:12]
    assert legend[12] == "... and 28 more"
    assert len(legend) == 15


@pytest.mark.parametrize(
    ("ignore", "message"),
    [
        (
            [],
            "row 1 (line 2), column 'a': expected a number (up to 1e+150), got 'x'; to leave the column out",
        ),
        (["a"], "no column beside the target 'y'; expected at least one input"),
        (["q"], "no column 'q'; the columns are a, y"),
        (["a", "y"], "t.csv: column 'y' is the target; expected other columns to ignore"),
    ],
)
def test_inputs_that_are_none(tmp_path: Path, ignore: list[str], message: str) -> None:
    """An input column of text, no input column, and an unknown one to ignore are refused."""
    read = table(tmp_path, "a,y\nx,1\ny,2\n")
    with pytest.raises(TableError) as error:
        Encoding.of(read, "y", (), [0], ignore)
    assert message in str(error.value)


def test_encoding_as_json(tmp_path: Path) -> None:
    """An encoding survives the way through JSON."""
    read = table(tmp_path, "a,y,b\n1,v,0\n3,u,0\n")
    encoding = Encoding.of(read, "y", ("u", "v"), [0, 1])
    assert Encoding.from_json(encoding.to_json(), 2, 2) == encoding


GOOD = {"column": "a", "mean": 0.0, "deviation": 1.0}
TARGET = GOOD | {"classes": ["u", "v"]}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"inputs": [GOOD]},
        {"inputs": 3, "target": TARGET},
        {"inputs": [GOOD], "target": GOOD},
        {"inputs": [GOOD | {"column": 1}], "target": TARGET},
        {"inputs": [GOOD | {"deviation": 0.0}], "target": TARGET},
        {"inputs": [GOOD | {"deviation": True}], "target": TARGET},
        {"inputs": [GOOD | {"mean": math.inf}], "target": TARGET},
        {"inputs": [GOOD | {"mean": "0"}], "target": TARGET},
        {"inputs": [GOOD], "target": TARGET | {"classes": [["u"], ["v"]]}},
        {"inputs": [GOOD], "target": TARGET | {"classes": ["u"]}},
        {"inputs": [GOOD, GOOD | {"column": "b"}], "target": TARGET},
    ],
)
def test_encoding_from_a_file_that_lies(data: object) -> None:
    """A description of columns that is incomplete, of wrong types, or made for another net is refused."""
    assert Encoding.from_json({"inputs": [GOOD], "target": TARGET}, 1, 2).classes == ("u", "v")
    with pytest.raises(
        TableError, match=r"does not say which columns|those of a net with \d inputs? and \d outputs?, and"
    ):
        Encoding.from_json(data, 1, 2)

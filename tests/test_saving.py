"""Nets as files: every bit comes back, and a file that is no net gets an error that says why."""

import errno
import json
import math
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACTIVATIONS

from tinygrad_sq import MLP, Layer, Neuron, load, save
from tinygrad_sq.op import Op
from tinygrad_sq.saving import load_with_about

finite = st.floats(allow_nan=False, allow_infinity=False)
whole_nets = st.lists(st.integers(1, 4), min_size=2, max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def bits(model: MLP) -> list[tuple[str, str]]:
    return [(p.label, p.data.hex()) for p in model.parameters()]


@given(whole_nets, st.lists(st.sampled_from(ACTIVATIONS), min_size=4, max_size=4), st.data())
def test_every_bit_comes_back(folder: Path, sizes: list[int], rows: list[Op], data: st.DataObject) -> None:
    """Sizes, activations and all finite floats, -0.0 and subnormals too; the layers may have different activations."""
    model = MLP(sizes[0], sizes[1:])
    for l, (n_in, n_out, f) in enumerate(zip(sizes, sizes[1:], rows), 1):
        model.layers[l - 1] = Layer(n_in, n_out, f, l=l)
    for p in model.parameters():
        p.data = data.draw(finite)
    save(model, folder / "net.json")
    loaded = load(folder / "net.json")
    assert bits(loaded) == bits(model)
    assert repr(loaded) == repr(model)
    assert [p.scope for p in loaded.parameters()] == [p.scope for p in model.parameters()]


def test_a_loaded_net_computes_the_same(tmp_path: Path) -> None:
    """Also where an activation has a second operand with a default; and a path may be a str."""
    model = MLP(2, [3, 2], activation="leaky_relu", seed=1)
    path = str(tmp_path / "net.json")
    save(model, path)
    assert [a.data for a in load(path)([-1.0, 2.0])] == [a.data for a in model([-1.0, 2.0])]


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    """A script with random.seed draws the same after a load as without it."""
    save(MLP(2, [3, 1]), tmp_path / "net.json")
    state = random.getstate()
    load(tmp_path / "net.json")
    assert random.getstate() == state


@pytest.mark.parametrize("about", [None, {"columns": ["a", "b"], "scale": [0.1, 2.5]}, [1, "x"]])
def test_what_a_net_is_about_comes_back(tmp_path: Path, about: Any) -> None:
    """Anything that JSON can hold may stand beside the net."""
    save(MLP(1, [1]), tmp_path / "net.json", about=about)
    model, back = load_with_about(tmp_path / "net.json")
    assert back == about
    assert isinstance(model, MLP)


# --- writing ---


def test_a_save_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    """A second save replaces the first."""
    save(MLP(1, [1]), tmp_path / "net.json")
    save(model := MLP(2, [2]), tmp_path / "net.json")
    assert bits(load(tmp_path / "net.json")) == bits(model)
    assert os.listdir(tmp_path) == ["net.json"]


def test_a_failed_save_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the net is refused or the disk fails, the old file stands whole, and nothing else."""
    path = tmp_path / "net.json"
    save(MLP(1, [1]), path)
    before = path.read_bytes()
    broken = MLP(1, [1])
    broken.parameters()[0].data = math.nan
    with pytest.raises(ValueError, match=r"W1\[0\]\[0\]: expected a finite number, got nan"):
        save(broken, path)
    with pytest.raises(TypeError, match=r"^about: expected what JSON can hold: .* not JSON serializable"):
        save(MLP(1, [1]), path, about={1j})
    with pytest.raises(ValueError, match=r"^about: .* not JSON compliant"):
        save(MLP(1, [1]), path, about=math.inf)

    def no_replace(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "disk full", source)

    monkeypatch.setattr(os, "replace", no_replace)
    with pytest.raises(OSError, match=f"disk full: '{re.escape(str(path))}'$"):
        save(MLP(2, [2]), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.json"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Missing folders and files are the system's own errors, which name them."""
    with pytest.raises(FileNotFoundError) as raised:
        save(MLP(1, [1]), tmp_path / "nowhere" / "net.json")
    assert raised.value.filename == str(tmp_path / "nowhere" / "net.json")
    with pytest.raises(FileNotFoundError, match="nothing"):
        load(tmp_path / "nothing")


def test_a_layer_has_one_activation(tmp_path: Path) -> None:
    """A net that the format cannot hold is not written."""
    model = MLP(1, [2, 1])
    model.layers[0].neurons[1] = Neuron(1, "tanh")
    with pytest.raises(ValueError, match="layer 2: expected one activation for all neurons, got relu, tanh"):
        save(model, tmp_path / "net.json")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan])
def test_only_finite_nets_are_saved(tmp_path: Path, x: float) -> None:
    """JSON has no infinity and no NaN."""
    model = MLP(2, [2, 1])
    model.layers[1].neurons[0].b.data = x
    with pytest.raises(ValueError, match=rf"b2\[0\]: expected a finite number, got {x}"):
        save(model, tmp_path / "net.json")


# --- reading what is no net ---


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "net.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def document(tmp_path: Path) -> Any:
    """A net of 2-3-1 as JSON objects."""
    save(MLP(2, [3, 1], seed=0), tmp_path / "good.json")
    return json.loads((tmp_path / "good.json").read_text())


def test_a_truncated_file(tmp_path: Path) -> None:
    """Wherever it is cut, the file is named, and said to be cut short; nothing but its newline can be missing."""
    document(tmp_path)
    content = (tmp_path / "good.json").read_bytes()
    for end in [*range(0, len(content) - 1, 37), len(content) - 2]:
        path = written(tmp_path, content[:end])
        with pytest.raises(ValueError, match=r"net\.json: not JSON, or cut short: .*line \d+"):
            load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import os", "not JSON, or cut short: Expecting value"),
        (b"\xff\xfe", "not JSON, or cut short: 'utf-8' codec can't decode"),
        ("[" * 100_000, "lists nested too deep for a net"),
        ('{"a":' * 100_000, "lists nested too deep for a net"),
        ("[]", 'expected an object whose "format" is "tinygrad_sq net", got a list of 0'),
        ("null", 'expected an object whose "format" is "tinygrad_sq net", got None'),
        ('"' + "x" * 1000 + '"', "got 'x{59}$"),
        ("{}", 'expected an object whose "format" is "tinygrad_sq net", got the format None'),
        ('{"format": "tinygrad_sq net", "version": NaN}', "expected finite numbers, got NaN"),
        ('{"format": "tinygrad_sq net", "version": 1}', "expected the keys W, about, .*, version, got format, version"),
        ("1" * 10_000, "Exceeds the limit"),
    ],
)
def test_another_file(tmp_path: Path, content: str | bytes, message: str) -> None:
    """What is no net is a ValueError that names the file."""
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}: ")


def put(*path: Any) -> Callable[[Any], None]:
    """An edit: the last of `path` is put where the others lead."""
    *keys, last, value = path

    def edit(net: Any) -> None:
        for key in keys:
            net = net[key]
        net[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("format", "onnx"), 'expected an object whose "format" is "tinygrad_sq net", got the format \'onnx\''),
        (put("version", 2), "expected version 1, got 2"),
        (put("version", None), "expected version 1, got None"),
        (lambda net: net.pop("version"), "expected version 1, got None"),
        (lambda net: net.pop("W"), "expected the keys W, about, activations, .*, got about, activations"),
        (put("extra", 1), "expected the keys .*, got W, about, activations, b, extra, format"),
        (put("sizes", 3), "sizes: expected a list of two or more whole numbers above 0, got 3"),
        (put("sizes", [2]), "sizes: expected a list of two or more whole numbers above 0, got a list of 1"),
        (put("sizes", 0, 2.0), "sizes: expected a list of two or more whole numbers above 0"),
        (put("sizes", 0, True), "sizes: expected a list of two or more whole numbers above 0"),
        (put("sizes", 1, 0), "sizes: expected a list of two or more whole numbers above 0"),
        (put("sizes", 1, -3), "sizes: expected a list of two or more whole numbers above 0"),
        (put("sizes", 1, 10**18), r"W1: expected a list of 1000000000000000000, got a list of 3"),
        (put("sizes", 0, 10**18), r"W1\[0\]: expected a list of 1000000000000000000, got a list of 2"),
        (put("sizes", [2, 3, 4, 1]), "activations: expected a list of 3, got a list of 2"),
        (put("activations", ["relu"]), "activations: expected a list of 2, got a list of 1"),
        (put("activations", 0, "__import__('os')"), 'the table has no primitive "__import__'),
        (put("activations", 0, "rellu"), "the table has no primitive 'rellu'; did you mean .*relu"),
        (put("activations", 0, "dot"), "an activation is a function of one number"),
        (put("activations", 1, ["relu"]), "activations: expected names, got a list of 1"),
        (put("activations", 1, None), "activations: expected names, got None"),
        (put("W", {}), "W: expected a list of 2, got an object"),
        (put("W", 0, []), "W1: expected a list of 3, got a list of 0"),
        (put("W", 0, 1, [1.0]), r"W1\[1\]: expected a list of 2, got a list of 1"),
        (put("W", 0, 1, 1, "1.5"), r"W1\[1\]\[1\]: expected a finite number, got '1.5'"),
        (put("W", 0, 1, 1, True), r"W1\[1\]\[1\]: expected a finite number, got True"),
        (put("W", 0, 1, 1, None), r"W1\[1\]\[1\]: expected a finite number, got None"),
        (put("W", 0, 1, 1, [0]), r"W1\[1\]\[1\]: expected a finite number, got a list of 1"),
        (put("W", 1, 0, 2, 10**400), r"W2\[0\]\[2\]: expected a finite number, got 1000"),
        (put("b", 0, [1.0, 2.0]), "b1: expected a list of 3, got a list of 2"),
        (put("b", 1, 0, {}), r"b2\[0\]: expected a finite number, got an object"),
        (put("b", "x"), "b: expected a list of 2, got 'x'"),
        (put("W", 0, 0, 0, math.nan), "expected finite numbers, got NaN"),
        (put("b", 0, 0, -math.inf), "expected finite numbers, got -Infinity"),
        (put("about", math.inf), "expected finite numbers, got Infinity"),
    ],
)
def test_an_edited_file(tmp_path: Path, edit: Callable[[Any], None], message: str) -> None:
    """The error says which field is wrong, what was expected and what is there; a huge size allocates nothing."""
    net = document(tmp_path)
    edit(net)
    path = written(tmp_path, json.dumps(net))
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_number_beyond_all_floats(tmp_path: Path) -> None:
    """1e999 is not read as an infinity."""
    net = document(tmp_path)
    net["b"][1][0] = 0.125
    path = written(tmp_path, json.dumps(net).replace("0.125", "1e999"))
    with pytest.raises(ValueError, match=r"b2\[0\]: expected a finite number, got inf"):
        load(path)


def test_numbers_may_be_whole(tmp_path: Path) -> None:
    """A weight that was edited by hand to 2 is 2.0."""
    net = document(tmp_path)
    net["W"][1][0][2] = 2
    weight = load(written(tmp_path, json.dumps(net))).layers[1].neurons[0].w[2]
    assert (weight.data, type(weight.data)) == (2.0, float)

"""Nets as JSON files: the sizes, the activations, and every weight and bias to the bit."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from itertools import count, pairwise
from typing import Any

from tinygrad_sq.nn import MLP, Layer
from tinygrad_sq.op import number

FORMAT = "tinygrad_sq net"
VERSION = 1
KEYS = {"format", "version", "sizes", "activations", "W", "b", "about"}


def save(model: MLP, path: str | os.PathLike[str], about: Any = None) -> None:
    """Write the net, and beside it anything that JSON can hold, say how to make inputs of raw data.

    Raises ValueError for a net that could not be loaded again: with a NaN or inf, or different activations in a layer.
    """
    activations = [{neuron.activation.name for neuron in layer.neurons} for layer in model.layers]
    for l, names in enumerate(activations, 2):
        if len(names) > 1:
            raise ValueError(f"layer {l}: expected one activation for all neurons, got {', '.join(sorted(names))}")
    document = {
        "format": FORMAT,
        "version": VERSION,
        "sizes": [model.layers[0].n_in, *[len(layer.neurons) for layer in model.layers]],
        "activations": [name for names in activations for name in names],
        "W": [[[number(w.data) for w in neuron.w] for neuron in layer.neurons] for layer in model.layers],
        "b": [[number(neuron.b.data) for neuron in layer.neurons] for layer in model.layers],
        "about": about,
    }
    _model(document)
    try:
        text = json.dumps(document, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"about: expected what JSON can hold: {error}") from None
    write(path, f"{text}\n")


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write the text to the file, whole or not at all: under another name in the same folder first."""
    temporary = f"{os.fspath(path)}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:  # which would name a file that the user knows nothing of
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def check_ending(path: str | os.PathLike[str], ending: str) -> None:
    """ValueError for a name that does not say what the file holds: a viewer goes by it."""
    if os.path.splitext(path)[1] != ending:
        raise ValueError(f"expected a name that ends in {ending}, which is what it holds, got {os.fspath(path)!r}")


def load(path: str | os.PathLike[str]) -> MLP:
    """The net that `save` wrote, to the bit.

    Raises OSError if there is no such file, and ValueError, which names the file and says what is wrong with it, for
    any other content than a net's. Nothing in the file is ever executed.
    """
    return load_with_about(path)[0]


def load_with_about(path: str | os.PathLike[str]) -> tuple[MLP, Any]:
    """As `load`, and what was given to `save` as `about`."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file, parse_constant=_refuse)
        return _model(document), document["about"]
    except RecursionError:
        raise ValueError(f"{os.fspath(path)}: lists nested too deep for a net") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{os.fspath(path)}: not JSON, or cut short: {error}") from None
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def _model(document: Any) -> MLP:
    """The net of a document of which nothing is believed; nothing is made that is larger than the document."""
    if not isinstance(document, dict):
        raise ValueError(f'expected an object whose "format" is "{FORMAT}", got {_kind(document)}')
    if document.get("format") != FORMAT:
        raise ValueError(
            f'expected an object whose "format" is "{FORMAT}", got the format {_kind(document.get("format"))}'
        )
    if document.get("version") != VERSION:
        raise ValueError(f"expected version {VERSION}, got {_kind(document.get('version'))}")
    if set(document) != KEYS:
        raise ValueError(f"expected the keys {', '.join(sorted(KEYS))}, got {', '.join(sorted(document))}")
    sizes = document["sizes"]
    if not (isinstance(sizes, list) and len(sizes) > 1 and all(type(s) is int and s > 0 for s in sizes)):
        raise ValueError(f"sizes: expected a list of two or more whole numbers above 0, got {_kind(sizes)}")
    activations, W, b = [_list(document[key], len(sizes) - 1, key) for key in ("activations", "W", "b")]
    model = MLP.__new__(MLP)
    model.layers = []
    for l, (n_in, n_out), f, W_l, b_l in zip(count(1), pairwise(sizes), activations, W, b):
        weights = [_numbers(w, n_in, f"W{l}[{i}]") for i, w in enumerate(_list(W_l, n_out, f"W{l}"))]
        biases = _numbers(b_l, n_out, f"b{l}")
        if not isinstance(f, str):
            raise ValueError(f"activations: expected names, got {_kind(f)}")
        layer = Layer(n_in, n_out, f, draw=lambda low, high: 0.0, l=l)
        for neuron, w, b_i in zip(layer.neurons, weights, biases):
            for p, data in zip(neuron.parameters(), [*w, b_i]):
                p.data = data
        model.layers.append(layer)
    return model


def _list(value: Any, size: int, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != size:
        raise ValueError(f"{where}: expected a list of {size}, got {_kind(value)}")
    return value


def _numbers(value: Any, size: int, where: str) -> list[float]:
    numbers = _list(value, size, where)
    for j, x in enumerate(numbers):
        if type(x) not in (int, float) or not abs(x) <= sys.float_info.max:
            raise ValueError(f"{where}[{j}]: expected a finite number, got {_kind(x)}")
    return list(map(float, numbers))


def _kind(value: Any) -> str:
    """What an error says of a value, which may be of any size and depth."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else f"{value!r:.60}"


def _refuse(constant: str) -> None:
    raise ValueError(f"expected finite numbers, got {constant}")

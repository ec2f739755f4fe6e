"""The closed form by itself: by hand, and against difference quotients in many digits. The engine has no part in it."""

from __future__ import annotations

import ast
import inspect
import random
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath as mp
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Net, nets, operands_at

from tinygrad_sq import deltas
from tinygrad_sq.table import row

# A net of sizes 2, 2, 1 with f(z) = z² in layer 2 and f(z) = 3z in layer 3, and two samples. The numbers expected of it
# below were worked out by hand, and are exact.
W = {1: [[1.0, 2.0], [3.0, -1.0]], 2: [[0.5, -1.0]]}
b = {1: [0.5, -1.0], 2: [2.0]}
X = [[2.0, 1.0], [1.0, 0.0]]
Y = [[-10.0], [3.0]]
f: dict[int, Callable[[float], float]] = {2: lambda z: z * z, 3: lambda z: 3.0 * z}
f_prime: dict[int, Callable[[float], float]] = {2: lambda z: 2.0 * z, 3: lambda z: 3.0}


def test_one_unit_by_hand() -> None:
    """One layer, one unit, one input: every sum has one term. J = ½ (wx + b − y)²"""
    one: dict[int, Callable[[float], float]] = {2: lambda z: z}
    slope: dict[int, Callable[[float], float]] = {2: lambda z: 1.0}
    assert deltas.forward({1: [[3.0]]}, {1: [1.0]}, [2.0], one) == ({2: [7.0]}, {1: [2.0], 2: [7.0]})
    assert deltas.gradient({1: [[3.0]]}, {1: [1.0]}, [2.0], [10.0], one, slope) == ({1: [[-6.0]]}, {1: [-3.0]})


def test_forward_by_hand() -> None:
    """E2"""
    z, a = deltas.forward(W, b, X[0], f)
    assert z == {2: [4.5, 4.0], 3: [-3.875]}
    assert a == {1: [2.0, 1.0], 2: [20.25, 16.0], 3: [-11.625]}


def test_cost_by_hand() -> None:
    """E1, E3: the squared weights add up to 16.25; λ/2 of that, and no bias"""
    assert deltas.sample_cost([1.0, -2.0], [0.0, 2.0]) == 8.5
    assert deltas.cost(W, b, X[:1], Y[:1], f) == 1.3203125
    assert deltas.cost(W, b, X, Y, f) == (1.3203125 + 15.8203125) / 2
    assert deltas.cost(W, b, X, Y, f, lam=0.5) == 8.5703125 + 4.0625


def test_deltas_by_hand() -> None:
    """E5, E6 and, without f', ∂J/∂x"""
    z, a = deltas.forward(W, b, X[0], f)
    delta = deltas.deltas(W, Y[0], z, a, f_prime)
    assert delta == {2: [-21.9375, 39.0], 3: [-4.875]}
    assert deltas.input_gradient(W, delta) == [95.0625, -82.875]


def test_gradient_by_hand() -> None:
    """E7W, E7b"""
    dW, db = deltas.gradient(W, b, X[0], Y[0], f, f_prime)
    assert dW == {1: [[-43.875, -21.9375], [78.0, 39.0]], 2: [[-98.71875, -78.0]]}
    assert db == {1: [-21.9375, 39.0], 2: [-4.875]}


def test_cost_gradient_by_hand() -> None:
    """E4W, E4b: the mean over the samples, and λ W once"""
    dW, db = deltas.cost_gradient(W, b, X, Y, f, f_prime)
    assert dW == {1: [[-34.59375, -10.96875], [72.75, 19.5]], 2: [[-68.34375, -72.75]]}
    assert db == {1: [-23.625, 53.25], 2: [-10.875]}
    dW, with_lam = deltas.cost_gradient(W, b, X, Y, f, f_prime, lam=0.5)
    assert dW == {1: [[-34.09375, -9.96875], [74.25, 19.0]], 2: [[-68.09375, -73.25]]}
    assert with_lam == db


# --- against difference quotients: the same functions, on mpmath's numbers ---


def exact(numbers: Any) -> Any:
    if isinstance(numbers, dict):
        return {key: exact(value) for key, value in numbers.items()}
    return [exact(value) for value in numbers] if isinstance(numbers, list) else mp.mpf(numbers)


def flat(numbers: Any) -> list[Any]:
    if isinstance(numbers, dict):
        return flat([numbers[key] for key in sorted(numbers)])
    return [x for value in numbers for x in flat(value)] if isinstance(numbers, list) else [numbers]


def moved(numbers: Any, direction: Any, t: Any) -> Any:
    """numbers + t direction, both in the same shape."""
    if isinstance(numbers, dict):
        return {key: moved(numbers[key], direction[key], t) for key in numbers}
    if isinstance(numbers, list):
        return [moved(value, d, t) for value, d in zip(numbers, direction)]
    return numbers + t * direction


def random_like(numbers: Any, rng: random.Random) -> Any:
    if isinstance(numbers, dict):
        return {key: random_like(value, rng) for key, value in numbers.items()}
    return [random_like(value, rng) for value in numbers] if isinstance(numbers, list) else mp.mpf(rng.uniform(-1, 1))


def inner(u: Any, v: Any) -> Any:
    assert len(flat(u)) == len(flat(v))
    return mp.fdot(flat(u), flat(v))


def functions(net: Net) -> tuple[dict[int, Callable[[Any], Any]], dict[int, Callable[[Any], Any]]]:
    """f and f' of each layer by the oracle."""

    def f(name: str, z: Any) -> Any:
        return oracle.FUNCTIONS[name](*operands_at(row(name), z))

    def f_prime(name: str, z: Any) -> Any:
        return oracle.partial(name, operands_at(row(name), z), 0)

    layers = net.layers[1:]
    return {l: partial(f, net.activation(l)) for l in layers}, {l: partial(f_prime, net.activation(l)) for l in layers}


def slope(J: Callable[[Any], Any]) -> Any:
    """dJ/dt at t = 0 by a central difference, off by the order of t²."""
    t = mp.mpf("1e-30")
    return (J(t) - J(-t)) / (2 * t)


def same(x: Any, y: Any) -> bool:
    """Equal to 35 digits, of numbers up to about 1e6."""
    return bool(abs(x - y) <= mp.mpf("1e-35") * (1 + abs(x)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(net=nets(max_samples=3), seed=st.integers(0, 2**32))
def test_cost_gradient_is_the_slope_of_the_cost(net: Net, seed: int) -> None:
    """E3, E4W, E4b: along any direction V of all weights J grows by Σ ∂J/∂W V, and likewise of all biases"""
    rng = random.Random(seed)
    f, f_prime = functions(net)
    with mp.workdps(100):
        W, b, X, Y, lam = map(exact, (net.W, net.b, net.X, net.Y, net.lam))
        dW, db = deltas.cost_gradient(W, b, X, Y, f, f_prime, lam)
        V = random_like(W, rng)
        assert same(slope(lambda t: deltas.cost(moved(W, V, t), b, X, Y, f, lam)), inner(dW, V))
        V = random_like(b, rng)
        assert same(slope(lambda t: deltas.cost(W, moved(b, V, t), X, Y, f, lam)), inner(db, V))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(net=nets(max_samples=1), seed=st.integers(0, 2**32))
def test_input_gradient_is_the_slope_of_the_cost(net: Net, seed: int) -> None:
    """Along any direction V of the inputs J grows by Σ ∂J/∂x V"""
    f, f_prime = functions(net)
    with mp.workdps(100):
        W, b, x, y = map(exact, (net.W, net.b, net.X[0], net.Y[0]))
        z, a = deltas.forward(W, b, x, f)
        gradient = deltas.input_gradient(W, deltas.deltas(W, y, z, a, f_prime))
        V = random_like(x, random.Random(seed))
        assert same(slope(lambda t: deltas.cost(W, b, [moved(x, V, t)], [y], f)), inner(gradient, V))


# --- what does not fit ---


WRONG_SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"W": {}, "b": {}}, "W: expected at least one layer of weights, got none"),
    ({"W": {0: W[1], 1: W[2]}}, "W: expected the layers 1 to 2 as keys, got [0, 1]"),
    ({"b": {1: b[1]}}, "b: expected the layers 1 to 2 as keys, got [1]"),
    ({"f": {1: f[2], 2: f[3]}}, "f: expected the layers 2 to 3 as keys, got [1, 2]"),
    ({"f_prime": {2: f_prime[2]}}, "f_prime: expected the layers 2 to 3 as keys, got [2]"),
    ({"b": {1: [0.5], 2: [2.0]}}, "b[1]: expected length 2, one bias per row of W[1], got 1"),
    ({"x": [1.0, 2.0, 3.0]}, "W[1][0]: expected length 3, one weight per unit of layer 1, got 2"),
    ({"W": {1: W[1], 2: [[0.5]]}}, "W[2][0]: expected length 2, one weight per unit of layer 2, got 1"),
    ({"y": [1.0, 2.0]}, "y: expected length 1, one target per output unit, got 2"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_SHAPES)
def test_wrong_shapes(wrong: dict[str, Any], message: str) -> None:
    """What does not fit is named, with what was expected and what was there."""
    arguments: dict[str, Any] = {"W": W, "b": b, "x": X[0], "y": Y[0], "f": f, "f_prime": f_prime} | wrong
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        deltas.gradient(**arguments)


def test_wrong_samples() -> None:
    """A set has at least one sample, and a target for each."""
    for call in (deltas.cost, lambda W, b, X, Y, f: deltas.cost_gradient(W, b, X, Y, f, f_prime)):
        with pytest.raises(ValueError, match=r"^X: expected at least one sample, got none$"):
            call(W, b, [], [], f)
        with pytest.raises(ValueError, match=r"^Y: expected length 2, one target vector per sample of X, got 1$"):
            call(W, b, X, Y[:1], f)
    with pytest.raises(ValueError, match=r"^y: expected length 1, one target per output unit, got 2$"):
        deltas.sample_cost([1.0], [1.0, 2.0])


def test_knows_nothing_of_the_engine() -> None:
    """The closed form imports the standard library alone: it and the engine share no code."""
    tree = ast.parse(inspect.getsource(deltas))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert imported == {"__future__", "collections.abc", "typing"}

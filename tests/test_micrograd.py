"""A script written for micrograd runs when its imports change, and computes the same numbers.

The script is the usual one: two moons, a 2-16-16-1 net of relu, a hinge loss of hand-written Values, a penalty of all
parameters, a step size that falls. Beside it stands the same training in plain floats, with backpropagation by hand.
"""

import math
import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from tinygrad_sq.nn import MLP, Layer, Neuron  # micrograd.nn
from tinygrad_sq.value import Value  # micrograd.engine

Floats = list[float]


def moons(n: int) -> tuple[list[Floats], list[int]]:
    """Two half circles that reach into each other, with noise; the classes are 1 and -1."""
    noise = random.Random(0).gauss
    X, y = [], []
    for k in range(n):
        t = math.pi * (k // 2) / (n // 2)
        upper = k % 2 == 0
        x = (math.cos(t), math.sin(t)) if upper else (1.0 - math.cos(t), 0.5 - math.sin(t))
        X.append([x_j + noise(0.0, 0.1) for x_j in x])
        y.append(1 if upper else -1)
    return X, y


ALPHA = 1e-4


def train_with_values(X: list[Floats], y: list[int], steps: int) -> tuple[list[Floats], Floats]:
    """The parameters and the loss after each step: the user's script."""
    random.seed(1337)
    model = MLP(2, [16, 16, 1])

    def loss() -> tuple[Value, float]:
        inputs = [list(map(Value, row)) for row in X]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores)]
        data_loss = sum(losses) * (1.0 / len(losses))
        penalty = ALPHA * sum(p * p for p in model.parameters())
        right = [(yi > 0) == (score.data > 0) for yi, score in zip(y, scores)]
        return data_loss + penalty, sum(right) / len(right)

    path, losses = [], []
    for k in range(steps):
        total, _ = loss()
        model.zero_grad()
        total.backward()
        rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= rate * p.grad
        path.append([p.data for p in model.parameters()])
        losses.append(total.data)
    return path, losses


def train_with_floats(X: list[Floats], y: list[int], steps: int) -> tuple[list[Floats], Floats]:
    """The same in plain floats. A unit is [w_1, ..., w_n, b]."""
    random.seed(1337)
    sizes = [2, 16, 16, 1]
    net = [
        [[*[random.uniform(-1, 1) for _ in range(n_in)], 0.0] for _ in range(n_out)] for n_in, n_out in pairwise(sizes)
    ]
    path, losses = [], []
    for k in range(steps):
        gradient = [[[2.0 * ALPHA * p for p in unit] for unit in layer] for layer in net]
        loss = ALPHA * sum(p * p for layer in net for unit in layer for p in unit)
        for x, t in zip(X, y):
            activations = [x]
            for l, layer in enumerate(net):
                z = [sum(w * a for w, a in zip(unit, activations[-1])) + unit[-1] for unit in layer]
                activations.append(z if l == 2 else [max(0.0, z_i) for z_i in z])
            margin = 1.0 - t * activations[-1][0]
            loss += max(0.0, margin) / len(X)
            delta = [-t / len(X) if margin > 0.0 else 0.0]
            for l in (2, 1, 0):
                below = activations[l]
                for i, delta_i in enumerate(delta):
                    for j, a in enumerate([*below, 1.0]):
                        gradient[l][i][j] += delta_i * a
                delta = [
                    sum(delta_i * unit[j] for delta_i, unit in zip(delta, net[l])) * (a > 0.0)
                    for j, a in enumerate(below)
                ]
        rate = 1.0 - 0.9 * k / 100
        for layer, layer_gradient in zip(net, gradient):
            for unit, unit_gradient in zip(layer, layer_gradient):
                for j, g in enumerate(unit_gradient):
                    unit[j] -= rate * g
        path.append([p for layer in net for unit in layer for p in unit])
        losses.append(loss)
    return path, losses


def test_the_moons_script_computes_what_plain_floats_compute() -> None:
    """Every parameter and the loss, after each of ten steps, to 1e-9."""
    X, y = moons(40)
    path, losses = train_with_values(X, y, 10)
    expected_path, expected_losses = train_with_floats(X, y, 10)
    assert losses == pytest.approx(expected_losses, rel=1e-9)
    assert len(path[0]) == 337
    for parameters, expected in zip(path, expected_path):
        assert parameters == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert losses[-1] < losses[0]


def test_the_operators_that_scripts_use() -> None:
    """+=, **, / and their reflected forms with ints, relu, and a sum that begins at 0: value and gradients are those of
    exact fractions, with the derivative worked out by hand."""

    def f(a: Any, b: Any) -> Any:
        c = a * b + b**3
        c += 1 + c - a
        d = (b - a) / 2 + 3 * c
        d += 10 / (1 - a * -b)
        return sum([c, d, -(2 / b)]) ** 2

    a, b = Value(-4), Value(2)
    J = f(a, b)
    J.backward()
    # c = 2 (ab + b³) + 1 − a, d = (b − a)/2 + 3c + 10/(1 + ab), u = c + d − 2/b, J = u²
    x, y = Fraction(-4), Fraction(2)
    u = 4 * (2 * (x * y + y**3) + 1 - x) + (y - x) / 2 + 10 / (1 + x * y) - 2 / y
    du_dx = 4 * (2 * y - 1) - Fraction(1, 2) - 10 * y / (1 + x * y) ** 2
    du_dy = 4 * 2 * (x + 3 * y**2) + Fraction(1, 2) - 10 * x / (1 + x * y) ** 2 + 2 / y**2
    assert J.data == pytest.approx(float(u**2), rel=1e-15)
    assert a.grad == pytest.approx(float(2 * u * du_dx), rel=1e-15)
    assert b.grad == pytest.approx(float(2 * u * du_dy), rel=1e-15)
    assert [(Value(v) * 2).relu().data for v in (-1.5, 1.5)] == [0.0, 3.0]


def test_neurons_and_layers_take_micrograds_arguments() -> None:
    """Neuron(nin, nonlin=...), Layer(nin, nout, nonlin=...), MLP(nin, nouts), and what hangs on them."""
    random.seed(3)
    neuron = Neuron(2, nonlin=False)
    random.seed(3)
    w = [random.uniform(-1, 1), random.uniform(-1, 1)]
    x = [Value(1.0), Value(-2.0)]
    assert [p.data for p in neuron.parameters()] == [*w, 0.0]
    assert neuron(x).data == w[0] - 2.0 * w[1]
    out = Layer(2, 3, nonlin=True)(x)
    assert len(out) == 3
    assert min(v.data for v in out) >= 0.0
    model = MLP(3, [4, 4, 1])
    assert len(model.parameters()) == 41
    assert model.layers[0].neurons[0].w[0].data == model.parameters()[0].data

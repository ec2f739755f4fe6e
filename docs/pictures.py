"""Draws the sample pictures, docs/img/*.svg: run `python docs/pictures.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from tinygrad_sq import MLP, Parameter, Value, animate, dot, gradient, half_squared_error, scope, softmax, to_svg
from tinygrad_sq.graph import topological_order
from tinygrad_sq.nn import Module
from tinygrad_sq.saving import write
from tinygrad_sq.table import half_square

IMG = Path(__file__).parent / "img"


def inputs(*values: float) -> list[Value]:
    with scope("input"):
        return [Value(value, f"x[{j}]") for j, value in enumerate(values)]


def neuron() -> Value:
    """One tanh unit, a = f(z), z = Σ w x + b, after backward."""
    (layer,) = MLP(2, [1], "tanh", "tanh", seed=3, init="glorot").layers
    layer.neurons[0].b.data = 0.3
    a: Value = layer(inputs(0.8, -0.5))
    a.backward()
    return a


def net(*x: float, hidden: int) -> Value:
    """J of one sample (E1) for a net with one hidden layer and one output, after backward."""
    model = MLP(len(x), [hidden, 1], "tanh", "tanh", seed=3, init="glorot")
    h = model(inputs(*x))
    with scope("target"):
        y = Value(0.5, "y[0]")
    with scope("loss"):
        J: Value = half_squared_error(h, y)
    J.label = "J"
    J.backward()
    return J


def sample(sizes: list[int]) -> Value:
    """J of one sample for a net of these sizes, the inputs first, after backward."""
    n_in, *layers = sizes
    model = MLP(n_in, layers, "tanh", "tanh", seed=3, init="glorot")
    h = model(inputs(*(math.sin(1.0 + 2.0 * j) for j in range(n_in))))
    with scope("target"):
        y = [Value(math.cos(i), f"y[{i}]") for i in range(layers[-1])]
    with scope("loss"):
        J: Value = half_squared_error(h, y if len(y) > 1 else y[0])
    J.label = "J"
    J.backward()
    return J


def readme() -> Value:
    """J of the code in the README, seen there from top to bottom: so it is as wide as that page, and can be read."""
    model = MLP(2, [3, 1], activation="tanh", output_activation="tanh", seed=0)
    x, y = [Value(0.8, "x[0]"), Value(-0.5, "x[1]")], 0.5
    J: Value = half_squared_error(model(x), y)
    J.label = "J"
    J.backward()
    return J


def attention() -> Value:
    """A query looks at three values with two heads: scopes of one's own are boxes too."""
    x = inputs(0.8, -0.5, 0.3)
    with scope("attention"):
        heads = []
        for k in range(2):
            with scope(f"head {k}"):
                q = [Parameter(math.sin(1.0 + j + 3.0 * k), f"q{k}[{j}]") for j in range(3)]
                heads.append(dot(softmax([a * b for a, b in zip(q, x)]), x))
        with scope("mix"):
            y = dot(heads, [Parameter(0.9, "m[0]"), Parameter(-0.7, "m[1]")])
    with scope("loss"):
        J: Value = half_square(y - 0.5)
    J.label = "J"
    J.backward()
    return J


def residual() -> str:
    """δ of a hidden unit as `gradient` gives it, of the δ of the two units in the next layer: E6."""
    J = sample([2, 2, 2])
    z2, *z3 = [v for v in topological_order(J) if v.label in ("z2[0]", "z3[0]", "z3[1]")]
    delta, *deltas = gradient(J, [z2, *z3])
    return to_svg(delta, given=[z2, *deltas])


# file: what, and the level of detail
PICTURES: dict[str, tuple[Callable[[], Value | Module], str]] = {
    "neuron": (neuron, "auto"),
    "net": (lambda: net(0.8, -0.5, hidden=3), "value"),
    "wide": (lambda: sample([784, 128, 10]), "auto"),
    "layers": (lambda: sample([784, 128, 10]), "layer"),
    "attention": (attention, "neuron"),
    "mlp": (lambda: MLP(2, [3, 1], "tanh", seed=3, init="glorot"), "auto"),
}

if __name__ == "__main__":
    for name, (make, detail) in PICTURES.items():
        write(str(IMG / f"{name}.svg"), to_svg(make(), detail=detail))
    write(str(IMG / "neurons.svg"), to_svg(readme(), detail="neuron", rankdir="TB"))
    write(str(IMG / "e6.svg"), residual())
    animate(net(0.8, hidden=2), IMG / "backward.svg")

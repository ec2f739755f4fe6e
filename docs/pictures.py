"""Draws the sample pictures, docs/img/*.svg: run `python docs/pictures.py`."""

from __future__ import annotations

from pathlib import Path

from tinygrad_sq import MLP, Value, animate, half_squared_error, scope, to_svg
from tinygrad_sq.saving import write

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


if __name__ == "__main__":
    for name, root in (("neuron", neuron()), ("net", net(0.8, -0.5, hidden=3))):
        write(str(IMG / f"{name}.svg"), to_svg(root))
    animate(net(0.8, hidden=2), IMG / "backward.svg")

"""Iris with the library's parts, and one flower of it by hand: the engine's δ is the derivation's, unit by unit.

What `tinygrad-sq demo` is made of. The net that it writes is one for `tinygrad-sq predict`.
"""

from pathlib import Path

from tinygrad_sq import deltas, sigmoid, tanh
from tinygrad_sq.cli import IRIS
from tinygrad_sq.context import no_grad
from tinygrad_sq.graph import topological_order
from tinygrad_sq.losses import half_squared_error
from tinygrad_sq.nn import MLP
from tinygrad_sq.saving import save
from tinygrad_sq.tabular import Encoding, find_classes, read_csv, split
from tinygrad_sq.train import fit

OUT = Path("out")


def main() -> None:
    table = read_csv(IRIS)
    species = table.column("species")
    train, test = split(species, fraction=0.2, seed=0)
    encoding = Encoding.of(table, "species", find_classes(table, "species"), train)
    X, Y = encoding.X(table), encoding.Y(table)

    model = MLP(4, [5, 3], activation="tanh", output_activation="sigmoid", seed=0, init="glorot")
    fit(model, [X[s] for s in train], [Y[s] for s in train], lam=1e-3, epochs=100, batch_size=16)

    with no_grad():
        right = [encoding.decode([a.data for a in model(X[s])]) == species[s] for s in test]
    print(f"{sum(right)} of {len(test)} test flowers recognised\n")

    # One flower forward and backward by the engine ...
    x, y = X[test[0]], Y[test[0]]
    model.zero_grad()
    J = half_squared_error(model(x), y)
    J.backward()
    z = {node.label: node for node in topological_order(J)}

    # ... and the same δ by E5 and E6, in plain floats, with f' = 1 - a² for tanh and a (1 - a) for sigmoid.
    layers = dict(enumerate(model.layers, 1))
    W = {l: [[w.data for w in neuron.w] for neuron in layer.neurons] for l, layer in layers.items()}
    b = {l: [neuron.b.data for neuron in layer.neurons] for l, layer in layers.items()}
    Z, A = deltas.forward(W, b, x, {2: tanh, 3: sigmoid})
    delta = deltas.deltas(W, y, Z, A, {2: lambda t: 1.0 - tanh(t) ** 2, 3: lambda t: sigmoid(t) * (1.0 - sigmoid(t))})
    print("unit    ∂J/∂z by the engine    δ in closed form")
    for l in 2, 3:
        for i, delta_i in enumerate(delta[l]):
            print(f"z{l}[{i}] {z[f'z{l}[{i}]'].grad:22.15f} {delta_i:19.15f}")

    OUT.mkdir(exist_ok=True)
    save(model, OUT / "iris.json", encoding.to_json())
    print(f"\nwrote {OUT / 'iris.json'}")


if __name__ == "__main__":
    main()

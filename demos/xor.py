"""XOR, the smallest problem that needs a hidden layer: the training loop written out, step by step.

One line through the plane cannot part {00, 11} from {01, 10}. Two hidden units draw two lines, and the output combines
them. What `fit` does is the loop below.
"""

from pathlib import Path

from tinygrad_sq import no_grad
from tinygrad_sq.job import sample_graph
from tinygrad_sq.losses import cost
from tinygrad_sq.nn import MLP
from tinygrad_sq.optim import SGD
from tinygrad_sq.study.draw import to_svg

OUT = Path("out")

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
Y = [0.0, 1.0, 1.0, 0.0]


def main() -> None:
    model = MLP(2, [2, 1], activation="tanh", output_activation="sigmoid", seed=1)
    optimizer = SGD(model.parameters(), lr=1.0, momentum=0.9)

    for step in range(301):
        J = cost(model, X, Y)  # forward: E3 over the four samples, recorded as a graph
        optimizer.zero_grad()
        J.backward()  # backward: ∂J/∂v for each value v of that graph
        if step % 50 == 0:
            print(f"step {step:3}   J = {J.data:.6f}")
        optimizer.step()  # downhill

    print("\n x0 x1   target   h(x)")
    with no_grad():
        for x, y in zip(X, Y):
            print(f"{x[0]:3.0f}{x[1]:3.0f}{y:9.0f}{model(x).data:9.4f}")

    print("\nWhat the hidden units learnt, each a line that parts the plane:")
    for i, neuron in enumerate(model.layers[0].neurons):
        (w0, w1), b = (w.data for w in neuron.w), neuron.b.data
        print(f"  z2[{i}] = {w0:+.2f} x0 {w1:+.2f} x1 {b:+.2f}")

    OUT.mkdir(exist_ok=True)
    J = sample_graph(model, X[1], [Y[1]])
    (OUT / "xor.svg").write_text(to_svg(J), encoding="utf-8")
    print(f"\nwrote {OUT / 'xor.svg'}: the graph of the sample 01")


if __name__ == "__main__":
    main()

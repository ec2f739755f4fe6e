"""Handwritten digits, read by a net of scalars in half a second: compiled, its 2,250 steps are native code.

Softmax and cross entropy, written for one image. The picture shows the test images that the trained net gets wrong.
To run it, in the project's folder: pip install '.[compile,plot]' scikit-learn
"""

import time
from pathlib import Path

try:
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}; this demo needs: pip install '.[compile,plot]' scikit-learn") from None

from tinygrad_sq import Adam, Value, dot, logsumexp
from tinygrad_sq.compiler import compile
from tinygrad_sq.nn import MLP
from tinygrad_sq.train import fit

OUT = Path("out")


def cross_entropy(z: list[Value], one_hot: list[float]) -> Value:
    """-log of the probability that softmax(z) gives to the right class, which is a 1 among zeros."""
    return logsumexp(z) - dot(one_hot, z)


def main() -> None:
    images, classes = load_digits(return_X_y=True)
    X = images / 16.0  # 8 by 8 pixels from 0 to 1
    X, X_test, digits, right = train_test_split(X, classes, test_size=0.2, stratify=classes, random_state=0)
    Y = [[float(k == digit) for k in range(10)] for digit in digits]
    model = MLP(64, [32, 10], activation="relu", seed=0, init="he")

    start = time.perf_counter()
    optimizer = Adam(model.parameters(), lr=0.003)
    fit(model, X, Y, loss=cross_entropy, optimizer=optimizer, epochs=50, batch_size=32, compiled=True)
    print(f"trained 64-32-10 over 50 epochs of {len(X)} images in {time.perf_counter() - start:.2f} s")

    scores = compile(model).each(X_test)  # for each class an array over the images
    read = [max(range(10), key=lambda k: score[k]) for score in zip(*scores)]
    wrong = [s for s, (k, digit) in enumerate(zip(read, right)) if k != digit]
    print(f"accuracy {1.0 - len(wrong) / len(read):.1%}: {len(wrong)} of {len(read)} test images misread")

    rows = -(-len(wrong) // 6)
    figure = Figure((6.0, 1.3 * rows), layout="constrained")
    axes = figure.subplots(rows, 6, squeeze=False, subplot_kw={"frame_on": False, "xticks": [], "yticks": []})
    for ax, s in zip(axes.flat, wrong):
        ax.imshow(X_test[s].reshape(8, 8), cmap="gray_r")
        ax.set_title(f"{right[s]}, read as {read[s]}", fontsize=7)
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / "digits.svg")
    print(f"wrote {OUT / 'digits.svg'}: the images misread")


if __name__ == "__main__":
    main()

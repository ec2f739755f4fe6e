"""Two moons: a net that finds a curved boundary, and the boundary as a picture.

The points are those of the usual example: two half circles, one shifted into the other, with Gaussian noise. The net's
score is trained by the hinge loss (a support vector machine's), so that its zero line is the boundary.
"""

import math
import random
from pathlib import Path

from tinygrad_sq import no_grad
from tinygrad_sq.losses import hinge
from tinygrad_sq.nn import MLP
from tinygrad_sq.plot import decision_svg
from tinygrad_sq.train import fit

OUT = Path("out")


def moons(m: int, noise: float, seed: int) -> tuple[list[tuple[float, float]], list[float]]:
    """m points of the two moons, and the class of each, +1 or -1."""
    gauss, points, classes = random.Random(seed).gauss, [], []
    for s in range(m):
        angle, upper = math.pi * (s // 2) / (m // 2 - 1), s % 2 == 0
        x, y = (math.cos(angle), math.sin(angle)) if upper else (1.0 - math.cos(angle), 0.5 - math.sin(angle))
        points.append((x + gauss(0.0, noise), y + gauss(0.0, noise)))
        classes.append(1.0 if upper else -1.0)
    return points, classes


def main() -> None:
    X, Y = moons(100, noise=0.1, seed=0)
    model = MLP(2, [16, 16, 1], activation="relu", seed=0, init="he")
    history = fit(model, X, Y, loss=hinge, lam=1e-4, epochs=50, batch_size=20)

    with no_grad():

        def score(x: float, y: float) -> float:
            h: float = model([x, y]).data
            return h

        right = sum(score(*x) * y > 0.0 for x, y in zip(X, Y))
        print(f"cost {history.cost[0]:.3f} -> {history.cost[-1]:.3f}; {right} of {len(X)} points on their side")
        svg = decision_svg(score, X, [y > 0.0 for y in Y], "Two moons, parted by a net 2-16-16-1 (relu, hinge loss)")

    OUT.mkdir(exist_ok=True)
    (OUT / "moons.svg").write_text(svg, encoding="utf-8")
    print(f"wrote {OUT / 'moons.svg'}: the points and the line where the score is 0")


if __name__ == "__main__":
    main()

"""The work of the net benchmarks: two interleaved half circles, and where the weights of 2-16-16-1 start."""

import math
import random
from itertools import pairwise

SIZES = [2, 16, 16, 1]
LEARNING_RATE = 0.05
SEED = 1


def moons(n: int = 100, noise: float = 0.1) -> tuple[list[list[float]], list[float]]:
    """n points of the plane and their classes, -1 or 1."""
    draw = random.Random(SEED)
    X, Y = [], []
    for k in range(n):
        t = math.pi * draw.random()
        x, y = (math.cos(t), math.sin(t)) if k % 2 else (1.0 - math.cos(t), 0.5 - math.sin(t))
        X.append([x + draw.gauss(0.0, noise), y + draw.gauss(0.0, noise)])
        Y.append(2.0 * (k % 2) - 1.0)
    return X, Y


def weights() -> list[list[list[float]]]:
    """Per layer and unit, its weights: uniform from (-1, 1) in micrograd's order. Biases start at 0."""
    draw = random.Random(SEED)
    return [[[draw.uniform(-1.0, 1.0) for _ in range(n_in)] for _ in range(n_out)] for n_in, n_out in pairwise(SIZES)]

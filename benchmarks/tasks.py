"""The work of the benchmarks of compiled code: nets with their data and first weights, and Rosenbrock's function."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from moons import moons

DIGITS = Path(__file__).parents[1] / ".bench" / "digits.json"  # which the worker of scikit-learn writes
LEARNING_RATE = 0.01
SAMPLES = 128
POINT = [0.1 * k - 0.9 for k in range(20)]


class Case(NamedTuple):
    """A net: W[l][i][j] of each layer (biases start at 0), and the samples; J is their mean half squared error."""

    activation: str
    W: list[list[list[float]]]
    X: list[list[float]]
    Y: list[list[float]]

    @property
    def sizes(self) -> list[int]:
        return [len(self.X[0]), *map(len, self.W)]


def case(sizes: list[int], activation: str) -> Case:
    draw = random.Random(1)
    if sizes[0] == 2:
        points, classes = moons(SAMPLES)
        X, Y = points, [[y] for y in classes]
    elif sizes[0] == 64:
        X, Y = digits(0, SAMPLES)
    else:
        X = [[draw.uniform(-1.0, 1.0) for _ in range(sizes[0])] for _ in range(SAMPLES)]
        Y = [[draw.uniform(-1.0, 1.0) for _ in range(sizes[-1])] for _ in range(SAMPLES)]
    W = [[[draw.gauss(0.0, n_in**-0.5) for _ in range(n_in)] for _ in range(n_out)] for n_in, n_out in pairwise(sizes)]
    return Case(activation, W, X, Y)


def digits(start: int, stop: int) -> tuple[list[list[float]], list[list[float]]]:
    """Images of handwritten digits, 64 numbers from 0 to 1 each, and one-hot classes."""
    data = json.loads(DIGITS.read_text(encoding="utf-8"))
    X = [[x / 16.0 for x in image] for image in data["images"][start:stop]]
    Y = [[float(k == digit) for k in range(10)] for digit in data["classes"][start:stop]]
    return X, Y


def rosenbrock(x: Any) -> Any:
    return sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x))

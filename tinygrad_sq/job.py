"""The main job: a net trained on a table of data, held to the closed form of the derivation, and written to files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from tinygrad_sq.context import no_grad
from tinygrad_sq.losses import half_squared_error
from tinygrad_sq.nn import MLP
from tinygrad_sq.optim import SGD, Adam, AdamW
from tinygrad_sq.study.delta_view import sample_cost
from tinygrad_sq.tabular import Encoding, Table, find_classes, split
from tinygrad_sq.train import History, fit
from tinygrad_sq.tree import as_list
from tinygrad_sq.value import Value

OPTIMIZERS: dict[str, tuple[type[Adam] | type[SGD], float]] = {  # and the step size to start from
    "adam": (Adam, 0.01),
    "adamw": (AdamW, 0.01),
    "sgd": (SGD, 0.3),
}


@dataclass(frozen=True)
class Options:
    """What the user of `tinygrad-sq train` can choose; its help says what each option is."""

    hidden: Sequence[int] = (8, 8)
    activation: str = "tanh"
    lam: float = 1e-3
    epochs: int = 200
    batch_size: int = 16
    optimizer: str = "adam"
    lr: float | None = None
    seed: int = 0
    test_fraction: float = 0.2
    task: str | None = None
    ignore: Sequence[str] = ()


class Job:
    """An untrained net for predicting the column `target` of a table from the others, and the rows for it.

    The hidden layers have the chosen activation; the last one sigmoid for one-hot targets (classification), identity
    for a number (regression). The cost is E3, so that E5, E6 and E7 are its gradient in closed form.

    Raises TableError for data that cannot be trained on.
    """

    def __init__(self, table: Table, target: str, options: Options) -> None:
        classes = find_classes(table, target, options.task)
        labels = table.column(target) if classes else [""] * len(table.rows)
        self.table = table
        self.options = options
        self.train, self.test = split(labels, options.test_fraction, options.seed)
        self.encoding = Encoding.of(table, target, classes, self.train, options.ignore)
        self.X = self.encoding.X(table)
        self.Y = self.encoding.Y(table)
        self.model = MLP(
            len(self.encoding.inputs),
            [*options.hidden, max(1, len(classes))],
            activation=options.activation,
            output_activation="sigmoid" if classes else "identity",
            seed=options.seed,
            init="glorot",
        )

    def fit(self) -> History:
        """Train the net on the rows `train`, watching the rows `test`. Raises FloatingPointError if it diverges."""
        options = self.options
        optimizer, lr = OPTIMIZERS[options.optimizer]
        return fit(
            self.model,
            [self.X[s] for s in self.train],
            [self.Y[s] for s in self.train],
            lam=options.lam,
            optimizer=optimizer(self.model.parameters(), lr if options.lr is None else options.lr),
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=options.seed,
            validation=([self.X[s] for s in self.test], [self.Y[s] for s in self.test]) if self.test else None,
            progress=True,
            compiled=compiler_installed(),
        )

    def hardest(self) -> int:
        """The row of the test (without one: of the training) that costs most by E1: the net's worst mistake."""
        with no_grad():
            return max(self.test or self.train, key=lambda s: half_squared_error(self.model(self.X[s]), self.Y[s]).data)

    def score(self, rows: Sequence[int]) -> str:
        """How good the net's predictions are on these rows, in words."""
        predicted = predict(self.model, self.encoding, [self.X[s] for s in rows])
        if self.encoding.classes:
            cells = self.table.column(self.encoding.target)
            right = sum(p == cells[s] for p, s in zip(predicted, rows))
            return f"accuracy {right / len(rows):.1%} ({right} of {len(rows)})"
        ys = self.table.numbers(self.encoding.target)
        error, spread = (
            math.sqrt(sum((float(p) - ys[s]) ** 2 for p, s in zip(guesses, rows)) / len(rows))
            for guesses in (predicted, [self.encoding.scale.mean] * len(rows))
        )
        return f"root mean square error {error:.4g} (predicting the mean: {spread:.4g})"


def compiler_installed() -> bool:
    """Whether training can take its steps in native code: with the extra `compile`."""
    return all(find_spec(module) is not None for module in ("llvmlite", "numpy"))


def predict(model: MLP, encoding: Encoding, X: Sequence[Sequence[float]]) -> list[str | float]:
    """What the net predicts for each row of standardised inputs: the name of a class, or a number."""
    with no_grad():
        outputs = [model(x) for x in X]
    return [encoding.decode([a.data for a in as_list(h)]) for h in outputs]


def sample_graph(model: MLP, x: Sequence[float], y: Sequence[float]) -> Value:
    """J of one sample (E1), after `backward`, as a graph in which inputs and targets have names too.

    The gradients that the parameters had before are lost.
    """
    J = sample_cost(model, x, y)
    model.zero_grad()
    J.backward()
    return J

"""The page's arithmetic against Python's."""

from __future__ import annotations

import random
from typing import Any

import pytest
from javascript import node

from tinygrad_sq import MLP
from tinygrad_sq.optim import SGD
from tinygrad_sq.study.javascript import numeric_core, trainer_json
from tinygrad_sq.train import fit

draw = random.Random(0).uniform
POINTS = [[draw(-1.0, 1.0), draw(-1.0, 1.0)] for _ in range(12)]


def core_of(trainer: dict[str, Any]) -> str:
    return numeric_core(*[graph["tape"] for graph in trainer["graphs"]])


@pytest.mark.parametrize("lam", [0.0, 0.01])
def test_training_is_fit(lam: float) -> None:
    """100 steps in the page and 100 epochs of fit with SGD: costs and parameters agree to 1e-9."""
    model = MLP(2, [6, 1], "tanh", seed=3)
    Y = [float(x * y > 0.0) for x, y in POINTS]
    trainer = trainer_json(model, POINTS, Y, lam=lam, lr=0.5)
    script = "const t = new core.Trainer(given); const J = []; for (let i = 0; i < 100; i++) J.push(t.step());"
    costs, parameters, outputs = node(
        core_of(trainer), f"{script} return [J, t.parameters, t.grid([0.25, -1], [0.5])];", trainer
    )
    history = fit(model, POINTS, Y, lam=lam, optimizer=SGD(model.parameters(), 0.5), epochs=100)
    assert costs == pytest.approx(history.cost, rel=1e-9, abs=0.0)
    assert parameters == pytest.approx([p.data for p in model.parameters()], rel=1e-9, abs=0.0)
    assert outputs[0] == [[pytest.approx(model(x).data, rel=1e-9)] for x in ([0.25, 0.5], [-1.0, 0.5])]

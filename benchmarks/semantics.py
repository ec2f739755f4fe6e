"""What PyTorch and JAX answer in each case of tests/cases.py, in float64: run where both are installed.

Prints the cases whose text about the others (`Case.others`) is not what they answer, and how many there are.
"""

from __future__ import annotations

import sys
from math import isclose, isnan
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import torch

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from cases import CASES, Case

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)


def tensors(*xs: Any) -> list[torch.Tensor]:
    return [x if isinstance(x, torch.Tensor) else torch.tensor(float(x)) for x in xs]


# The functions of each library under our names. Where theirs takes an array, it gets one.
TORCH = {
    **{
        name: getattr(torch, name)
        for name in ("relu", "abs", "sign", "floor", "round", "sqrt", "log", "sigmoid", "tanh", "exp")
    },
    **{name: getattr(torch.nn.functional, name) for name in ("leaky_relu", "relu6", "hardtanh", "elu", "softplus")},
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "maximum": lambda *xs: torch.maximum(*xs) if len(xs) > 1 else torch.amax(torch.stack(*xs)),
    "minimum": lambda *xs: torch.minimum(*xs) if len(xs) > 1 else torch.amin(torch.stack(*xs)),
    "xlogy": lambda x, y: torch.xlogy(*tensors(x, y)),
    "where": lambda c, x, y: torch.where(c != 0, *tensors(x, y)),
    "logsumexp": lambda xs: torch.logsumexp(torch.stack(xs), 0),
    "log_softmax": lambda xs: torch.log_softmax(torch.stack(xs), 0),
}
JAX = {
    **{name: getattr(jnp, name) for name in ("abs", "sign", "floor", "round", "sqrt", "log", "tanh", "exp")},
    **{name: getattr(jax.nn, name) for name in ("relu", "leaky_relu", "relu6", "elu", "softplus", "sigmoid")},
    "log_sigmoid": jax.nn.log_sigmoid,
    "hardtanh": jax.nn.hard_tanh,
    "maximum": lambda *xs: jnp.maximum(*xs) if len(xs) > 1 else jnp.max(jnp.stack(*xs)),
    "minimum": lambda *xs: jnp.minimum(*xs) if len(xs) > 1 else jnp.min(jnp.stack(*xs)),
    "xlogy": jax.scipy.special.xlogy,
    "where": lambda c, x, y: jnp.where(c != 0, x, y),
    "logsumexp": lambda xs: jax.scipy.special.logsumexp(jnp.stack(xs)),
    "log_softmax": lambda xs: jax.nn.log_softmax(jnp.stack(xs)),
}


def by_torch(case: Case) -> tuple[float, list[float]]:
    variables = {name: torch.tensor(x, requires_grad=True) for name, x in case.at.items()}
    y = eval(case.expression, dict(TORCH), variables)
    y.backward()
    return y.item(), [0.0 if v.grad is None else v.grad.item() for v in variables.values()]


def by_jax(case: Case) -> tuple[float, list[float]]:
    def f(*xs: Any) -> Any:
        return eval(case.expression, dict(JAX), dict(zip(case.at, xs)))

    y, gradient = jax.value_and_grad(f, argnums=tuple(range(len(case.at))))(*case.at.values())
    return float(y), [float(g) for g in gradient]


def difference(case: Case, value: float, gradient: list[float]) -> str:
    """In the words of cases.py: "" or "20.5, gradient 1" or "gradient NaN by y"."""

    def differs(got: float, ours: float | None) -> bool:
        return ours is not None and not ((isnan(got) and isnan(ours)) or isclose(got, ours, rel_tol=1e-13))

    words = [f"{value:g}"] if differs(value, case.value) else []
    for (name, ours), got in zip(case.gradient.items(), gradient):
        if differs(got, ours):
            by = f" by {name}" if len(gradient) > 1 else ""
            words.append(f"gradient {'NaN' if isnan(got) else f'{got:g}'}{by}")
    return ", ".join(words)


def main() -> None:
    wrong = 0
    for case in CASES:
        answers = {"PyTorch": difference(case, *by_torch(case)), "JAX": difference(case, *by_jax(case))}
        names = [name for name, answer in answers.items() if answer]
        others = f"{' and '.join(names)}: {answers[names[0]]}" if names else ""
        if others != case.others or len({answers[name] for name in names}) > 1:
            wrong += 1
            print(f"{case.expression} at {case.at}: recorded {case.others!r}, measured {answers}")
    print(f"PyTorch {torch.__version__}, JAX {jax.__version__}: {len(CASES)} cases, {wrong} recorded wrongly")


if __name__ == "__main__":
    main()

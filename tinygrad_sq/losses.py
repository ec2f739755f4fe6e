"""Losses of one sample, and E3, the cost of a whole set. On numbers they give numbers, on Values a graph.

Compiled, a target is that of any sample: one that is none gives a loss that is not finite in place of the ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from math import nan
from typing import Any

from tinygrad_sq.checks import checked
from tinygrad_sq.nn import Module
from tinygrad_sq.op import counted, number
from tinygrad_sq.table import dot, equal, half_square, less, log, logsumexp, relu, softplus, total, where
from tinygrad_sq.tree import as_list
from tinygrad_sq.value import Value

A_LOSS = "a loss that gives a Value, a function of the model's output"


def half_squared_error(output: Any, target: Any) -> Any:
    """½ ‖h(x) − y‖² of two lists of one length, or of two numbers (E1).

    Raises ValueError if there are more outputs than targets, or fewer.
    """
    h, y = as_list(output), as_list(target)
    if len(h) != len(y):
        raise ValueError(f"expected {counted(len(h), 'target')}, one for each output, got {len(y)}")
    return total([half_square(t - a) for a, t in zip(h, y)])


def cross_entropy(logits: Sequence[Any], index: float) -> Any:
    """−log softmax(z)_k = log Σ_j exp(z_j − z_k) of the logits z, where k = index is the right class.

    Written with differences, so that neither the loss of a sure net nor its gradient cancels.
    Raises ValueError for fewer than two logits and for a class that is not one of 0, 1, ..., len(logits) − 1.
    """
    z = as_list(logits)
    if len(z) < 2:
        raise ValueError(f"expected two logits or more, got {len(z)}: for one there is binary_cross_entropy")
    if _traced(index):
        right = [equal(index, j) for j in range(len(z))]
        z_k = dot(right, z, log(total(right)))
        return logsumexp([where(is_k, 0.0, z_j - z_k) for is_k, z_j in zip(right, z)])
    k = number(index)  # as which a class comes out of an array or a table
    if k not in range(len(z)):
        raise ValueError(f"expected a class from 0 to {len(z) - 1}, one for each logit, got {k:g}")
    return logsumexp([0.0 if j == k else z_j - z[int(k)] for j, z_j in enumerate(z)])


def binary_cross_entropy(logit: Any, target: Any) -> Any:
    """−t log σ(z) − (1 − t) log σ(−z) of the logit z and the target t, a class 0 or 1 or a probability between.

    Raises ValueError for a target outside 0 to 1.
    """
    if _traced(target):
        target = where(less(target * (1.0 - target), 0.0), nan, target)
    elif not 0.0 <= _float(target) <= 1.0:
        raise ValueError(f"expected a target from 0 to 1, got {_float(target)!r}")
    if isinstance(target, Value) or 0.0 < target < 1.0:
        return dot([target, 1.0 - target], [softplus(-logit), softplus(logit)])
    return softplus(-logit if target else logit)


def hinge(score: Any, target: Any) -> Any:
    """max(0, 1 − t s) of the score s and the class t, −1 or 1.

    Raises ValueError for another target.
    """
    if _traced(target):
        target = where(equal(target * target, 1.0), target, nan)
    elif _float(target) not in (-1.0, 1.0):
        raise ValueError(f"expected a target of -1 or 1, got {_float(target)!r}")
    return relu(1.0 - target * score)


def cost(
    model: Module,
    X: Collection[Any],
    Y: Collection[Any],
    loss: Callable[[Any, Any], Any] = half_squared_error,
    lam: float = 0.0,
) -> Value:
    """(1/m) Σ_s loss(model(x^s), y^s) + (λ/2) Σ W², over m samples and over the model's weights, not its biases (E3).

    Raises ValueError for no samples, for X and Y of different lengths, and for a lam that is negative or not finite.
    """
    m = len(X)
    if m != len(Y):
        raise ValueError(f"expected one target for each of {counted(m, 'sample')}, got {len(Y)}")
    if m == 0:
        raise ValueError("expected at least one sample, got none")
    if not 0.0 <= lam < math.inf:
        raise ValueError(f"expected a lam of 0 or more, got {lam!r}")
    losses: list[Value] = [loss(model(x), y) for x, y in zip(X, Y)]
    J = total(losses) / m
    checked(J, Value, A_LOSS)
    if lam:
        W = model.weights()
        J = J + 0.5 * lam * dot(W, W)
    J.label = "J"
    return J


def _traced(x: Any) -> bool:
    return isinstance(x, Value) and x.traced


def _float(x: Value | float) -> float:
    return x.data if isinstance(x, Value) else number(x)

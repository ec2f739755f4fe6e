"""Optimisers: how a step follows from the gradients. p is a parameter, g its gradient, lr the step size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, TypeVar

from tinygrad_sq.checks import listed
from tinygrad_sq.table import sqrt
from tinygrad_sq.value import Value

T = TypeVar("T")


class Optimizer:
    """What all optimisers have: the parameters, and `lr`, which can be set at any time.

    A subclass is its `rule`, written with operators and rows, so that it runs on floats here and compiled elsewhere.
    Raises ValueError for no parameters, and for an lr that is not a positive number.
    """

    memory = 0  # how many numbers it remembers for each parameter, all 0 at first

    def __init__(self, parameters: Iterable[Value], lr: float) -> None:
        self.parameters = listed(parameters, Value, "a list of Values, as model.parameters() is")
        if not self.parameters:
            raise ValueError("expected at least one parameter, got none")
        self.lr = _within("lr", lr, "above 0", 0.0 < lr < inf)
        self.remembered = [(0.0,) * self.memory for _ in self.parameters]

    def settings(self) -> tuple[float, ...]:
        """The numbers of `rule` that are the same for all parameters, for the next step. Call it once a step."""
        raise NotImplementedError(f"{type(self).__name__} has no settings(): say which numbers its rule takes")

    def rule(self, settings: Sequence[Any], p: Any, g: Any, *remembered: Any) -> tuple[Any, ...]:
        """What follows from a parameter p, its gradient g and what is remembered: p, and what to remember."""
        raise NotImplementedError(f"{type(self).__name__} has no rule(): say how a step follows from a gradient")

    def step(self) -> None:
        """Change the parameters' data by one step along the gradients that they have now."""
        settings = self.settings()
        for i, p in enumerate(self.parameters):
            p.data, *memory = self.rule(settings, p.data, p.grad, *self.remembered[i])
            self.remembered[i] = tuple(memory)

    def zero_grad(self) -> None:
        """Set the parameters' gradients to 0, before the next backward adds to them."""
        for p in self.parameters:
            p.grad = 0.0


class SGD(Optimizer):
    """Stochastic gradient descent: p ← p − lr d.

        g ← ∂J/∂p + weight_decay p
        v ← momentum v + g          from v = 0; without a momentum v is g, and nothing is remembered
        d = g + momentum v with nesterov, else v

    As Sutskever et al. 2013, in the form in which lr may change from step to step.
    Raises ValueError for no parameters, or one out of range: lr > 0, 0 ≤ momentum < 1, weight_decay ≥ 0, nesterov only
    with a momentum.
    """

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = _within("momentum", momentum, "from 0 to below 1", 0.0 <= momentum < 1.0)
        self.memory = 1 if momentum else 0
        super().__init__(parameters, lr)
        if nesterov and not momentum:
            raise ValueError("nesterov takes a momentum above 0, got 0")
        self.nesterov = nesterov
        self.weight_decay = _within("weight_decay", weight_decay, "0 or more", 0.0 <= weight_decay < inf)

    def settings(self) -> tuple[float, ...]:
        return self.lr, self.momentum, self.weight_decay

    def rule(self, settings: Sequence[Any], p: Any, g: Any, *remembered: Any) -> tuple[Any, ...]:
        lr, momentum, weight_decay = settings
        g = g + weight_decay * p
        if not remembered:
            return (p - lr * g,)
        v = momentum * remembered[0] + g
        return p - lr * (g + momentum * v if self.nesterov else v), v


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1): p ← p − lr m̂ / (√v̂ + eps), in step t = 1, 2, ...

        m ← β₁ m + (1 − β₁) g       from m = 0;    m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²      from v = 0;    v̂ = v / (1 − β₂ᵗ)

    Raises ValueError for no parameters, or one out of range: lr > 0, 0 ≤ β < 1, eps > 0.
    """

    memory = 2

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, lr)
        in_range = len(betas) == 2 and all(0.0 <= beta < 1.0 for beta in betas)
        self.betas = _within("betas", betas, "two numbers from 0 to below 1", in_range)
        self.eps = _within("eps", eps, "above 0", 0.0 < eps < inf)
        self.t = 0

    def settings(self) -> tuple[float, ...]:
        self.t += 1
        beta1, beta2 = self.betas  # the corrections for t are reciprocals: a product is faster than a quotient
        return self.lr, beta1, beta2, 1.0 / (1.0 - beta1**self.t), 1.0 / (1.0 - beta2**self.t), self.eps

    def rule(self, settings: Sequence[Any], p: Any, g: Any, *remembered: Any) -> tuple[Any, ...]:
        lr, beta1, beta2, to_m_hat, to_v_hat, eps = settings
        m, v = remembered
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g * g
        return p - lr * (to_m_hat * m) / (sqrt(to_v_hat * v) + eps), m, v


class AdamW(Adam):
    """Adam after p ← (1 − lr weight_decay) p: decay apart from the gradient (Loshchilov and Hutter 2019).

    Their schedule η is the lr here, as in PyTorch, so that weight_decay is multiplied by lr.
    Raises ValueError as Adam, and for a weight_decay < 0.
    """

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps)
        self.weight_decay = _within("weight_decay", weight_decay, "0 or more", 0.0 <= weight_decay < inf)

    def settings(self) -> tuple[float, ...]:
        return *super().settings(), self.weight_decay

    def rule(self, settings: Sequence[Any], p: Any, g: Any, *remembered: Any) -> tuple[Any, ...]:
        lr, *adam, weight_decay = settings
        return super().rule((lr, *adam), p - lr * weight_decay * p, g, *remembered)


def _within(name: str, value: T, expected: str, is_so: bool) -> T:
    if not is_so:
        raise ValueError(f"expected {name} to be {expected}, got {value!r}")
    return value

"""Optimisers against their published formulas, written out plainly."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import small

from tinygrad_sq import MLP, SGD, Adam, AdamW, Parameter, Value
from tinygrad_sq.optim import Optimizer

starts = st.lists(small, min_size=1, max_size=3)
lrs = st.floats(1e-4, 1.0)
below_one = st.floats(0.0, 0.99)
decays = st.just(0.0) | st.floats(0.0, 0.5)
NOT_TWO: Any = (0.9,)
Gradients = list[list[float]]


def gradients_for(start: list[float]) -> st.SearchStrategy[Gradients]:
    """Of one to five steps, a gradient for each parameter."""
    return st.lists(st.lists(small, min_size=len(start), max_size=len(start)), min_size=1, max_size=5)


def run(optimizer: Optimizer, gradients: Gradients) -> list[list[float]]:
    """Where each parameter was after each step."""
    path = []
    for gradient in gradients:
        for p, g in zip(optimizer.parameters, gradient):
            p.grad = g
        optimizer.step()
        path.append([p.data for p in optimizer.parameters])
    return [list(steps) for steps in zip(*path)]


def check(make: Any, formula: Any, start: list[float], gradients: Gradients) -> None:
    """Each parameter goes its own way, that of the formula for its own gradients."""
    paths = run(make([Parameter(x) for x in start]), gradients)
    for x, own, path in zip(start, zip(*gradients), paths):
        expected = formula(x, list(own))
        largest = max(map(abs, [x, *expected]))  # a small number may be what is left of large ones
        assert path == pytest.approx(expected, rel=0.0, abs=1e-13 * (1.0 + largest))


@given(starts, lrs, below_one, decays, st.booleans(), st.data())
def test_sgd(start: list[float], lr: float, mu: float, decay: float, nesterov: bool, data: st.DataObject) -> None:
    """v_t = μ v_{t−1} + g_t, θ_t = θ_{t−1} − lr v_t; with Nesterov θ_t = θ_{t−1} − lr (g_t + μ v_t); g_t with the
    decay's λ θ_{t−1} in it."""
    nesterov = nesterov and mu > 0.0

    def formula(theta: float, gradients: list[float]) -> list[float]:
        path, v = [], 0.0
        for gradient in gradients:
            g = gradient + decay * theta
            v = mu * v + g
            theta = theta - lr * (g + mu * v) if nesterov else theta - lr * v
            path.append(theta)
        return path

    check(lambda ps: SGD(ps, lr, mu, nesterov, decay), formula, start, data.draw(gradients_for(start)))


def test_sgd_remembers_v_with_a_momentum_alone() -> None:
    """v of each parameter, 0 at first; without a momentum nothing is remembered, before a step or after it."""
    parameters = [Parameter(1.0), Parameter(2.0)]
    plain, heavy = SGD(parameters, 0.1), SGD(parameters, 0.1, momentum=0.9)
    assert (plain.remembered, heavy.remembered) == ([(), ()], [(0.0,), (0.0,)])
    run(plain, [[0.5, 0.25]])
    run(heavy, [[0.5, 0.25]])
    assert (plain.remembered, heavy.remembered) == ([(), ()], [(0.5,), (0.25,)])


@given(starts, lrs, below_one, st.data())
def test_nesterov_is_the_gradient_at_the_point_ahead(
    start: list[float], lr: float, mu: float, data: st.DataObject
) -> None:
    """Sutskever et al. 2013, equations 3 and 4: u_t = μ u_{t−1} − lr ∇f(θ_{t−1} + μ u_{t−1}), θ_t = θ_{t−1} + u_t.
    The parameters here are their θ_t + μ u_t, the point ahead."""
    mu = max(mu, 0.1)

    def formula(ahead: float, gradients: list[float]) -> list[float]:
        path, theta, u = [], ahead, 0.0
        for g in gradients:
            u = mu * u - lr * g
            theta = theta + u
            path.append(theta + mu * u)
        return path

    check(lambda ps: SGD(ps, lr, mu, nesterov=True), formula, start, data.draw(gradients_for(start)))


@given(starts, lrs, below_one, below_one, st.sampled_from([1e-8, 0.1]), decays, st.data())
def test_adam_and_adamw(
    start: list[float], lr: float, beta1: float, beta2: float, eps: float, decay: float, data: st.DataObject
) -> None:
    """Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2, with α = 1 and η_t = lr, their λ times
    lr as in PyTorch: m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), θ_t = θ_{t−1} − lr (m̂ / (√v̂ + ε) + λ θ_{t−1})."""

    def formula(decay: float) -> Any:
        def path(theta: float, gradients: list[float]) -> list[float]:
            thetas, m, v = [], 0.0, 0.0
            for t, g in enumerate(gradients, 1):
                m = beta1 * m + (1 - beta1) * g
                v = beta2 * v + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                theta = theta - lr * (m_hat / (math.sqrt(v_hat) + eps) + decay * theta)
                thetas.append(theta)
            return thetas

        return path

    gradients = data.draw(gradients_for(start))
    check(lambda ps: Adam(ps, lr, (beta1, beta2), eps), formula(0.0), start, gradients)
    check(lambda ps: AdamW(ps, lr, (beta1, beta2), eps, decay), formula(decay), start, gradients)


def test_the_first_step_of_adam_is_lr_long() -> None:
    """m̂ / √v̂ is the sign of the gradient at first, however small that is: the corrections for t are there."""
    for g in (1e-3, -250.0):
        p = Parameter(1.0)
        assert run(Adam([p], lr=0.25), [[g]]) == [[pytest.approx(1.0 - math.copysign(0.25, g), abs=1e-5)]]


def test_defaults_are_the_published_ones() -> None:
    """lr 0.001, β 0.9 and 0.999, ε 1e-8, and PyTorch's decay of 0.01 for AdamW; SGD is plain."""
    adam, adamw, sgd = Adam([Parameter(1.0)]), AdamW([Parameter(1.0)]), SGD([Parameter(1.0)], 0.1)
    for optimizer in (adam, adamw):
        assert (optimizer.lr, optimizer.betas, optimizer.eps) == (1e-3, (0.9, 0.999), 1e-8)
    assert adamw.weight_decay == 0.01
    assert run(sgd, [[2.0], [3.0]]) == [[0.8, 0.8 - 0.1 * 3.0]]


def test_lr_can_change_between_steps() -> None:
    """A schedule is an assignment to `lr`; the momentum does not remember it."""
    p = Parameter(1.0)
    sgd = SGD([p], lr=1.0, momentum=0.5)
    run(sgd, [[1.0]])
    sgd.lr = 0.1
    run(sgd, [[0.0]])
    assert p.data == 0.0 - 0.1 * 0.5


@pytest.mark.parametrize("make", [lambda ps: SGD(ps, 0.1), Adam, AdamW])
def test_zero_grad(make: Any) -> None:
    """zero_grad zeroes each gradient and changes no data; any iterable of parameters will do."""
    parameters = [Parameter(1.0), Parameter(2.0)]
    for p in parameters:
        p.grad = 3.0
    make(iter(parameters)).zero_grad()
    assert [(p.grad, p.data) for p in parameters] == [(0.0, 1.0), (0.0, 2.0)]


def test_an_optimizer_of_ones_own_is_its_settings_and_its_rule() -> None:
    """`Optimizer` alone has neither; a subclass that says no more remembers nothing: its rule gets p and g alone."""

    class Signs(Optimizer):
        def settings(self) -> tuple[float, ...]:
            return (self.lr,)

        def rule(self, settings: Any, p: Any, g: Any, *remembered: Any) -> tuple[Any, ...]:
            assert remembered == ()
            return (p - settings[0] * math.copysign(1.0, g),)

    assert run(Signs([Parameter(1.0)], 0.25), [[3.0], [-0.5]]) == [[0.75, 1.0]]
    alone = Optimizer([Parameter(1.0)], 0.1)
    with pytest.raises(NotImplementedError):
        alone.settings()
    with pytest.raises(NotImplementedError):
        alone.rule((), 1.0, 1.0)


def test_parameters_are_values() -> None:
    """A model in place of its parameters, one Value in place of a list, and a number in the list are refused."""
    for wrong, got in ((MLP(1, [1]), "MLP"), (Value(1.0), "Value"), ([Value(1.0), 2.0], r"float 2\.0 at \[1\]")):
        with pytest.raises(TypeError, match=rf"expected a list of Values, as model.parameters\(\) is, got {got}"):
            SGD(wrong, lr=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD([], 0.1), "expected at least one parameter, got none"),
        (lambda p: SGD([p], 0.0), "expected lr to be above 0, got 0.0"),
        (lambda p: Adam([p], -1.0), "expected lr to be above 0, got -1.0"),
        (lambda p: Adam([p], math.nan), "expected lr to be above 0, got nan"),
        (lambda p: Adam([p], math.inf), "expected lr to be above 0, got inf"),
        (lambda p: SGD([p], 0.1, 1.0), "expected momentum to be from 0 to below 1, got 1.0"),
        (lambda p: SGD([p], 0.1, -0.1), "expected momentum to be from 0 to below 1, got -0.1"),
        (lambda p: SGD([p], 0.1, nesterov=True), "nesterov takes a momentum above 0, got 0"),
        (lambda p: SGD([p], 0.1, weight_decay=-0.1), "expected weight_decay to be 0 or more, got -0.1"),
        (lambda p: SGD([p], 0.1, weight_decay=math.inf), "expected weight_decay to be 0 or more, got inf"),
        (lambda p: AdamW([p], weight_decay=math.inf), "expected weight_decay to be 0 or more, got inf"),
        (lambda p: AdamW([p], weight_decay=-1e-9), "expected weight_decay to be 0 or more, got -1e-09"),
        (
            lambda p: Adam([p], betas=(0.9, 1.0)),
            "expected betas to be two numbers from 0 to below 1, got",
        ),
        (lambda p: Adam([p], betas=(-0.1, 0.9)), "expected betas to be two numbers from 0 to below 1, got"),
        (lambda p: Adam([p], betas=NOT_TWO), "expected betas to be two numbers from 0 to below 1, got"),
        (lambda p: Adam([p], eps=0.0), "expected eps to be above 0, got 0.0"),
        (lambda p: Adam([p], eps=math.inf), "expected eps to be above 0, got inf"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Callable[[Parameter], Optimizer], message: str) -> None:
    """An error says which number, its range, and what it was."""
    with pytest.raises(ValueError, match=message):
        make(Parameter(1.0))

"""Losses against mpmath at 50 digits, and E3 written out in plain floats."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import small, vectors

from tinygrad_sq import (
    MLP,
    Module,
    Value,
    binary_cross_entropy,
    compile,
    cost,
    cross_entropy,
    half_squared_error,
    hinge,
    value_and_grad,
)
from tinygrad_sq.graph import topological_order

EPSILON = 2.0**-52
wide = st.floats(-300.0, 300.0) | st.sampled_from([0.0, -0.0, 1e-300, 20.0, 37.0, -37.0, 40.0, -40.0])


def gradient(loss: Callable[..., Value], outputs: list[float], target: Any) -> tuple[float, list[float]]:
    """The loss of a list of outputs, and its partials by them."""
    values = [Value(x) for x in outputs]
    J = loss(values, target)
    J.backward()
    return J.data, [v.grad for v in values]


def gradient_of_one(loss: Callable[..., Value], output: float, target: Any) -> tuple[float, float]:
    J, (g,) = gradient(lambda values, t: loss(values[0], t), [output], target)
    return J, g


# --- E1 ---


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(vectors(n), vectors(n))))
def test_half_squared_error(samples: tuple[list[float], list[float]]) -> None:
    """J = ½ Σ (a_i − y_i)², to a few ulp, and ∂J/∂a_i = a_i − y_i exactly; on floats the same float."""
    a, y = samples
    J, g = gradient(half_squared_error, a, y)
    with mp.workdps(50):
        exact = sum((mp.mpf(a_i) - y_i) ** 2 for a_i, y_i in zip(a, y)) / 2
        assert abs(J - exact) <= (len(a) + 3) * EPSILON * exact + 1e-320  # below 1e-308 a square loses bits
    for g_i, a_i, y_i in zip(g, a, y):
        assert abs(g_i - (a_i - y_i)) <= 5e-324  # which ½ rounds to 0
    assert half_squared_error(a, y) == J


def test_half_squared_error_of_one_output() -> None:
    """Where the net has one output, it and its target need no list; the target may be a Value."""
    assert half_squared_error(3.0, 1.0) == half_squared_error([3.0], 1) == half_squared_error(3, [1.0]) == 2.0
    target = Value(1.0)
    half_squared_error(Value(3.0), target).backward()
    assert target.grad == -2.0


@pytest.mark.parametrize(("a", "y"), [([1.0, 2.0], [1.0]), ([1.0, 2.0], 1.0), (1.0, [1.0, 2.0, 3.0])])
def test_half_squared_error_wants_a_target_for_each_output(a: Any, y: Any) -> None:
    """Lists of different lengths are no sample: nothing is cut off."""
    with pytest.raises(ValueError, match=r"expected \d targets?, one for each output, got \d"):
        half_squared_error(a, y)


# --- classes ---


@given(st.lists(wide, min_size=2, max_size=6), st.data())
def test_cross_entropy(z: list[float], data: st.DataObject) -> None:
    """−log softmax(z)_k and its gradient, softmax(z) − e_k, keep their digits where the net is sure and right: the
    error is a few ulp, and an ulp of the largest difference of logits, which exp makes relative."""
    k = data.draw(st.integers(0, len(z) - 1))
    J, g = gradient(cross_entropy, z, k)
    bound = (len(z) + 8 + 2 * max(abs(z_j - z[k]) for z_j in z)) * EPSILON
    with mp.workdps(400):
        weights = [mp.exp(mp.mpf(z_j) - z[k]) for z_j in z]
        others = sum(weights) - 1
        assert abs(J - mp.log(1 + others)) <= bound * mp.log(1 + others)
        for j, g_j in enumerate(g):
            exact = -others / (1 + others) if j == k else weights[j] / (1 + others)
            assert abs(g_j - exact) <= bound * abs(exact)
    assert cross_entropy(z, k) == J


def test_cross_entropy_at_the_ends() -> None:
    """Far out, the loss is the difference of the logits or underflows to 0; it never overflows."""
    assert cross_entropy([1000.0, 0.0], 1) == 1000.0
    assert cross_entropy([1000.0, 0.0], 0) == 0.0
    assert cross_entropy([40.0, 0.0], 0) == pytest.approx(4.248354255291589e-18, rel=1e-15)
    assert cross_entropy([1e308, -1e308], 1) == math.inf


@pytest.mark.parametrize(
    ("z", "k", "message"),
    [
        ([1.0], 0, "expected two logits or more, got 1: for one there is binary_cross_entropy"),
        (Value(1.0), 0, "expected two logits or more, got 1"),
        ([1.0, 2.0], 2, "expected a class from 0 to 1, one for each logit, got 2"),
        ([1.0, 2.0], -1, "expected a class from 0 to 1, one for each logit, got -1"),
        ([1.0, 2.0], 0.5, "expected a class from 0 to 1, one for each logit, got 0.5"),
        ([1.0, 2.0], math.nan, "expected a class from 0 to 1, one for each logit, got nan"),
    ],
)
def test_cross_entropy_wants_the_index_of_a_logit(z: Any, k: float, message: str) -> None:
    """A class that has no logit is an error, and not another class counted from the end."""
    with pytest.raises(ValueError, match=message):
        cross_entropy(z, k)


@pytest.mark.parametrize("two", [2.0, np.float64(2.0), np.int64(2), np.array(2.0), Fraction(2)])
def test_a_class_may_come_as_a_float(two: Any) -> None:
    """As it does from an array or a table."""
    assert cross_entropy([0.5, 3.0, 1.0], two) == cross_entropy([0.5, 3.0, 1.0], 2)


def test_cross_entropy_of_any_class_in_compiled_code() -> None:
    """Where the class comes with the sample, loss and gradient are those of the class; of one that is none, inf."""
    z = [0.5, -1.25, 2.0]
    program = compile(value_and_grad(lambda x: cross_entropy(x[:3], x[3])))
    losses, gradients = program.each([[*z, k] for k in range(3)])
    for k, (loss, partials) in enumerate(zip(losses, zip(*gradients))):
        J, g = gradient(cross_entropy, z, k)
        assert loss == pytest.approx(J, rel=1e-14)
        assert partials[:3] == pytest.approx(g, rel=1e-14)
    assert [program.each([[*z, k]])[0][0] for k in (-1.0, 0.5, 3.0)] == [math.inf] * 3


@given(wide, st.sampled_from([0, 1, 0.0, 1.0, False, True]) | st.floats(0.0, 1.0), st.booleans())
def test_binary_cross_entropy(z: float, t: float, as_value: bool) -> None:
    """−t log σ(z) − (1 − t) log σ(−z) to a few ulp, for a target that is a number or a Value; the gradient is
    σ(z) − t, to a few ulp for a class, and of its terms for a probability between."""
    J, g = gradient_of_one(binary_cross_entropy, z, Value(t) if as_value else t)
    with mp.workdps(400):
        plus, minus = mp.log(1 + mp.exp(-mp.mpf(z))), mp.log(1 + mp.exp(mp.mpf(z)))
        exact = t * plus + (1 - mp.mpf(t)) * minus
        assert abs(J - exact) <= 6 * EPSILON * exact + 1e-320
        s = 1 / (1 + mp.exp(-mp.mpf(z)))
        assert abs(g - (s - t)) <= 6 * EPSILON * (t * (1 - s) + (1 - mp.mpf(t)) * s) + 1e-320
    assert binary_cross_entropy(z, t) == pytest.approx(J, rel=4 * EPSILON)


@pytest.mark.parametrize("t", [0, 1])
def test_binary_cross_entropy_of_a_class_has_one_term(t: int) -> None:
    """The other term, 0 times a softplus, would be NaN for an infinite logit, and is not in the graph."""
    J = binary_cross_entropy(Value(0.5), t)
    assert J.op.name == "softplus"
    assert binary_cross_entropy(math.inf, t) == (math.inf if t == 0 else 0.0)


@pytest.mark.parametrize("t", [-1, 2, -5e-324, 1.0000000000000002, math.nan])
def test_binary_cross_entropy_wants_a_probability(t: float) -> None:
    """A target outside 0 to 1 (the -1 of hinge, say) is an error, also as a Value."""
    for target in (t, Value(t)):
        with pytest.raises(ValueError, match="expected a target from 0 to 1, got"):
            binary_cross_entropy(Value(0.5), target)


@given(small, st.sampled_from([-1, 1, -1.0, 1.0]))
def test_hinge(s: float, t: float) -> None:
    """max(0, 1 − t s); the gradient is −t where the score is inside the margin, and 0 elsewhere and on its edge."""
    for target in (t, Value(t)):
        J, g = gradient_of_one(hinge, s, target)
        assert max(0.0, 1.0 - t * s) == J
        assert g == (-t if t * s < 1.0 and J > 0.0 else 0.0)
    assert hinge(s, t) == J
    assert gradient_of_one(hinge, t, t) == (0.0, 0.0)


def test_a_loss_of_numbers_is_none() -> None:
    """It would have no gradient: TypeError says what a loss gives."""
    with pytest.raises(TypeError, match=r"expected a loss that gives a Value, .* got float 3\.0"):
        cost(MLP(1, [1]), [[1.0]], [1.0], loss=lambda h, y: 3.0)


@pytest.mark.parametrize("t", [0, 2, 0.999, math.nan])
def test_hinge_wants_minus_one_or_one(t: float) -> None:
    """A target of 0 (that of binary_cross_entropy) would make the loss constant: it is an error."""
    for target in (t, Value(t)):
        with pytest.raises(ValueError, match="expected a target of -1 or 1, got"):
            hinge(Value(0.5), target)


# --- E3 ---


@given(st.integers(1, 5), st.integers(0, 9), st.floats(0.0, 2.0), st.data())
def test_cost_is_E3(m: int, seed: int, lam: float, data: st.DataObject) -> None:
    """J = (1/m) Σ_s ½ ‖h(x^s) − y^s‖² + (λ/2) Σ W², biases left out; ∂J/∂b has no λ in it."""
    model = MLP(2, [3, 2], activation="tanh", seed=seed)
    for p in model.parameters():
        p.data += 0.5  # biases too, which start at 0
    X = data.draw(st.lists(vectors(2), min_size=m, max_size=m))
    Y = data.draw(st.lists(vectors(2), min_size=m, max_size=m))
    J = cost(model, X, Y, lam=lam)
    errors = [sum((a.data - y_i) ** 2 for a, y_i in zip(model(x), y)) / 2 for x, y in zip(X, Y)]
    W = [neuron.w[j].data for layer in model.layers for neuron in layer.neurons for j in range(len(neuron.w))]
    assert J.data == pytest.approx(sum(errors) / m + lam / 2 * sum(w * w for w in W), rel=1e-14)

    J.backward()
    penalised = [p.grad for p in model.parameters()]
    model.zero_grad()
    cost(model, X, Y).backward()
    for p, g in zip(model.parameters(), penalised):
        expected = p.grad + lam * p.data if p in model.weights() else p.grad
        assert g == pytest.approx(expected, rel=1e-13, abs=1e-13)


def test_cost_is_named_and_its_penalty_is_one_dot() -> None:
    """The root is J; λ adds one `dot` of all weights with themselves to the graph, and without λ there is none."""
    model = MLP(2, [2, 1], seed=0)
    X, Y = [[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0]
    plain, penalised = cost(model, X, Y), cost(model, X, Y, lam=0.5)
    assert plain.label == penalised.label == "J"
    dots = [v for v in topological_order(penalised) if v.op and v.op.name == "dot" and len(v.args) == 13]
    assert [v.args for v in dots] == [(*model.weights(), *model.weights(), 0.0)]
    assert len(topological_order(penalised)) - len(topological_order(plain)) == 3  # dot, times λ/2, plus


def test_cost_takes_any_loss() -> None:
    """The loss of a sample is a function of the net's output and the target."""
    model = MLP(1, [2], seed=0)
    logits = [v.data for v in model([1.0])]
    assert cost(model, [[1.0]], [1], loss=cross_entropy).data == cross_entropy(logits, 1)


@pytest.mark.parametrize(
    ("X", "Y", "lam", "message"),
    [
        ([], [], 0.0, "expected at least one sample, got none"),
        ([[1.0]], [1.0, 2.0], 0.0, "expected one target for each of 1 sample, got 2"),
        ([[1.0]], [], 0.0, "expected one target for each of 1 sample, got 0"),
        ([[1.0]], [1.0], -1e-9, "expected a lam of 0 or more, got -1e-09"),
        ([[1.0]], [1.0], math.nan, "expected a lam of 0 or more, got nan"),
        ([[1.0]], [1.0], math.inf, "expected a lam of 0 or more, got inf"),
        ([[1.0, 2.0]], [1.0], 0.0, "expected 1 input, got 2"),
    ],
)
def test_cost_refuses(X: list[Any], Y: list[Any], lam: float, message: str) -> None:
    """What is no set of samples, or no penalty, is an error that says so."""
    with pytest.raises(ValueError, match=message):
        cost(MLP(1, [1]), X, Y, lam=lam)


def test_lam_wants_to_know_the_weights() -> None:
    """A model of one's own that does not say what its weights are can be trained, but not with lam."""

    class Twice(Module):
        def __call__(self, x: float) -> Value:
            return Value(2.0 * x)

    assert cost(Twice(), [1.0], [2.0]).data == 0.0
    with pytest.raises(NotImplementedError, match="Twice has no weights"):
        cost(Twice(), [1.0], [2.0], lam=0.1)

"""The proofs: each equation of the derivation, E1 to E7 and the lines between, against the engine on random nets.

f and f' of the closed form come from the oracle, at 50 digits, and the closed form runs on `Rounded` floats: each
comparison allows the rounding errors that the equation itself makes, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounded import EPSILON, Rounded, agree, error, rounded
from strategies import ACTIVATIONS, Net, nets, operands_at

from tinygrad_sq import deltas
from tinygrad_sq.deltas import units
from tinygrad_sq.graph import topological_order
from tinygrad_sq.losses import cost, half_squared_error
from tinygrad_sq.nn import MLP
from tinygrad_sq.op import Op
from tinygrad_sq.table import row, total
from tinygrad_sq.value import Value

proof = settings(max_examples=200, deadline=None, derandomize=True)
one_sample = nets(max_samples=1)
with_hidden_layer = nets(max_samples=1, min_layers=2)


# --- the closed form's side: f and f' of the oracle ---


@cache
def derivatives(name: str, z: float) -> tuple[float, float, float]:
    """f(z), f'(z) and f''(z), each rounded once."""
    point = operands_at(row(name), z)
    exact = oracle.value(name, point), oracle.partial(name, point, 0), oracle.second_partial(name, point, 0, 0)
    return float(exact[0]), float(exact[1]), float(exact[2])


def f_at(name: str, z: float) -> Rounded:
    """f(z). An error of z grows by f'."""
    y, slope, _ = derivatives(name, float(z))
    return Rounded(y, abs(slope) * error(z) + EPSILON * abs(y))


def f_prime_at(name: str, z: float) -> Rounded:
    """f'(z). An error of z grows by f''; there is one of half an ulp always, since gelu' and silu' cross 0."""
    _, slope, curvature = derivatives(name, float(z))
    return Rounded(slope, abs(curvature) * (error(z) + EPSILON * abs(z)) + EPSILON * abs(slope))


def f(net: Net) -> dict[int, Callable[[float], Rounded]]:
    return {l: partial(f_at, net.activation(l)) for l in net.layers[1:]}


def f_prime(net: Net) -> dict[int, Callable[[float], Rounded]]:
    return {l: partial(f_prime_at, net.activation(l)) for l in net.layers[1:]}


def exactly(net: Net) -> Any:
    """W, b, X, Y, which are the same floats on both sides."""
    return rounded(net.W), rounded(net.b), rounded(net.X), rounded(net.Y)


# --- the engine's side: a model with the net's numbers, and the nodes of one sample ---


def model_of(net: Net) -> MLP:
    sizes = net.sizes
    model = MLP(sizes[0], sizes[1:], activation=net.hidden, output_activation=net.output, seed=0)
    for l, layer in enumerate(model.layers, 1):
        for neuron, w, b in zip(layer.neurons, net.W[l], net.b[l]):
            neuron.b.data = b
            for weight, w_j in zip(neuron.w, w):
                weight.data = w_j
    return model


def W_of(model: MLP) -> dict[int, list[list[Value]]]:
    return {l: [list(neuron.w) for neuron in layer.neurons] for l, layer in enumerate(model.layers, 1)}


def b_of(model: MLP) -> dict[int, list[Value]]:
    return {l: [neuron.b for neuron in layer.neurons] for l, layer in enumerate(model.layers, 1)}


class Run(NamedTuple):
    """What the engine makes of the first sample, by the derivation's letters: z[l][i] is the node z_i^l."""

    J: Value
    W: dict[int, list[list[Value]]]
    b: dict[int, list[Value]]
    z: dict[int, list[Value]]
    a: dict[int, list[Value]]


def run(net: Net) -> Run:
    model = model_of(net)
    x = [Value(x_i) for x_i in net.X[0]]
    J = half_squared_error(model(x), net.Y[0])
    node = {node.label: node for node in topological_order(J)}
    layers = net.layers[1:]
    z = {l: [node[f"z{l}[{i}]"] for i in range(net.sizes[l - 1])] for l in layers}
    a = {l: [node[f"a{l}[{i}]"] for i in range(net.sizes[l - 1])] for l in layers}
    J.backward()
    return Run(J, W_of(model), b_of(model), z, {1: x, **a})


def data(nodes: Any) -> Any:
    """The values of nodes, in dicts and lists as they are."""
    return _map(lambda node: node.data, nodes)


def grad(nodes: Any) -> Any:
    """Their gradients: of z, the derivation's δ."""
    return _map(lambda node: node.grad, nodes)


def _map(f: Callable[[Value], float], nodes: Any) -> Any:
    if isinstance(nodes, dict):
        return {key: _map(f, value) for key, value in nodes.items()}
    return [_map(f, value) for value in nodes] if isinstance(nodes, list) else f(nodes)


def jacobian(outputs: list[Value], inputs: list[Value]) -> list[list[float]]:
    """∂(output j)/∂(input i) in row j, column i: one backward per output."""
    rows = []
    for output in outputs:
        output.backward()
        rows.append(grad(inputs))
    return rows


def within_an_ulp(x: float) -> Rounded:
    return Rounded(x, EPSILON * abs(x))


# --- forward and cost ---


@proof
@given(one_sample)
def test_E1(net: Net) -> None:
    """J(W,b;x,y) = ½ ‖h(x) − y‖²"""
    engine = run(net)
    h = rounded(data(engine.a[net.layers[-1]]))
    y = net.Y[0]
    assert agree(engine.J.data, deltas.sample_cost(h, y))
    assert agree(engine.J.data, sum((h[i] - y[i]) * (h[i] - y[i]) for i in range(len(y))) * 0.5)


@proof
@given(one_sample)
def test_E2(net: Net) -> None:
    """z^{l+1} = W^l a^l + b^l, a^{l+1} = f(z^{l+1}), a^1 = x: all layers, from x on"""
    engine = run(net)
    W, b, X, _ = exactly(net)
    z, a = deltas.forward(W, b, X[0], f(net))
    assert agree(data(engine.z), z)
    assert agree(data(engine.a), a)


@proof
@given(nets())
def test_E3(net: Net) -> None:
    """J(W,b) = (1/m) Σ_s J(W,b;x^s,y^s) + (λ/2) Σ_l Σ_i Σ_j (W_ji^l)²"""
    J = cost(model_of(net), net.X, net.Y, lam=net.lam)
    W, b, X, Y = exactly(net)
    assert agree(J.data, deltas.cost(W, b, X, Y, f(net), net.lam))


# --- the whole set ---


@proof
@given(nets())
def test_E4W(net: Net) -> None:
    """∂J(W,b)/∂W_ij^l = (1/m) Σ_s ∂J(W,b;x^s,y^s)/∂W_ij^l + λ W_ij^l"""
    model = model_of(net)
    cost(model, net.X, net.Y, lam=net.lam).backward()
    W, b, X, Y = exactly(net)
    dW, _ = deltas.cost_gradient(W, b, X, Y, f(net), f_prime(net), net.lam)
    assert agree(grad(W_of(model)), dW)


@proof
@given(nets())
def test_E4b(net: Net) -> None:
    """∂J(W,b)/∂b_i^l = (1/m) Σ_s ∂J(W,b;x^s,y^s)/∂b_i^l, without λ"""
    model = model_of(net)
    cost(model, net.X, net.Y, lam=net.lam).backward()
    W, b, X, Y = exactly(net)
    _, db = deltas.cost_gradient(W, b, X, Y, f(net), f_prime(net), net.lam)
    assert agree(grad(b_of(model)), db)


# --- the output residual, line by line; `z.grad` is δ ---


@proof
@given(one_sample)
def test_E5a(net: Net) -> None:
    """δ_i^{n_l} = ∂/∂z_i ½ Σ_j (y_j − a_j)²"""
    engine, n = run(net), net.layers[-1]
    delta = grad(engine.z[n])
    (0.5 * total([(y - a) ** 2 for y, a in zip(net.Y[0], engine.a[n])])).backward()
    assert agree(grad(engine.z[n]), [within_an_ulp(d) for d in delta])


@proof
@given(one_sample)
def test_E5b(net: Net) -> None:
    """= ∂/∂z_i ½ Σ_j (y_j − f(z_j))², where nothing but z_j is known"""
    engine, n = run(net), net.layers[-1]
    z = [Value(z_i.data) for z_i in engine.z[n]]
    (0.5 * total([(y - row(net.output)(z_j)) ** 2 for y, z_j in zip(net.Y[0], z)])).backward()
    assert agree(grad(z), [within_an_ulp(d) for d in grad(engine.z[n])])


@proof
@given(one_sample)
def test_E5c(net: Net) -> None:
    """= −(y_i − f(z_i)) f'(z_i)"""
    engine, n = run(net), net.layers[-1]
    assert agree(
        grad(engine.z[n]),
        [-(rounded(y) - f(net)[n](z)) * f_prime(net)[n](z) for y, z in zip(net.Y[0], data(engine.z[n]))],
    )


@proof
@given(one_sample)
def test_E5(net: Net) -> None:
    """δ_i^{n_l} = −(y_i − a_i^{n_l}) f'(z_i^{n_l})"""
    engine, n = run(net), net.layers[-1]
    z, a = data(engine.z), rounded(data(engine.a))
    delta = deltas.deltas(rounded(net.W), net.Y[0], z, a, f_prime(net))
    assert agree(grad(engine.z[n]), delta[n])


# --- the hidden residual, line by line ---


@proof
@given(with_hidden_layer)
def test_E6a(net: Net) -> None:
    """δ_i^l = Σ_j −(y_j − f(z_j^{l+1})) ∂f(z_j^{l+1})/∂z_i^l for l = n_l − 1"""
    engine, n = run(net), net.layers[-1]
    delta = grad(engine.z[n - 1])
    da = rounded(jacobian(engine.a[n], engine.z[n - 1]))
    residual = [-(rounded(y) - f(net)[n](z)) for y, z in zip(net.Y[0], data(engine.z[n]))]
    assert agree(delta, [sum(residual[j] * da[j][i] for j in units(residual)) for i in units(delta)])


@proof
@given(with_hidden_layer)
def test_E6b(net: Net) -> None:
    """= Σ_j −(y_j − f(z_j^{l+1})) f'(z_j^{l+1}) ∂z_j^{l+1}/∂z_i^l for l = n_l − 1"""
    engine, n = run(net), net.layers[-1]
    delta, z = grad(engine.z[n - 1]), data(engine.z[n])
    dz = rounded(jacobian(engine.z[n], engine.z[n - 1]))
    residual = [-(rounded(y) - f(net)[n](z_j)) for y, z_j in zip(net.Y[0], z)]
    slope = [f_prime(net)[n](z_j) for z_j in z]
    assert agree(delta, [sum(residual[j] * slope[j] * dz[j][i] for j in units(z)) for i in units(delta)])


@proof
@given(with_hidden_layer)
def test_E6c(net: Net) -> None:
    """= Σ_j δ_j^{l+1} ∂z_j^{l+1}/∂z_i^l, in every hidden layer l"""
    engine = run(net)
    delta = grad(engine.z)
    for l in net.layers[1:-1]:
        dz = rounded(jacobian(engine.z[l + 1], engine.z[l]))
        closed = [sum(delta[l + 1][j] * dz[j][i] for j in units(dz)) for i in units(delta[l])]
        assert agree(delta[l], closed)


@proof
@given(with_hidden_layer)
def test_E6d(net: Net) -> None:
    """∂z_j^{l+1}/∂z_i^l = ∂/∂z_i^l Σ_k W_jk^l f(z_k^l) = W_ji^l f'(z_i^l), in every hidden layer l"""
    engine = run(net)
    for l in net.layers[1:-1]:
        z, W = data(engine.z[l]), net.W[l]
        closed = [[W[j][i] * f_prime(net)[l](z[i]) for i in units(z)] for j in units(W)]
        assert agree(jacobian(engine.z[l + 1], engine.z[l]), closed)


@proof
@given(with_hidden_layer)
def test_E6(net: Net) -> None:
    """δ_i^l = (Σ_j δ_j^{l+1} W_ji^l) f'(z_i^l), from the output's δ back to layer 2"""
    engine = run(net)
    delta = deltas.deltas(rounded(net.W), net.Y[0], data(engine.z), rounded(data(engine.a)), f_prime(net))
    assert agree(grad(engine.z), delta)


# --- the result ---


@proof
@given(one_sample)
def test_E7W(net: Net) -> None:
    """∂J(W,b;x,y)/∂W_ij^l = a_j^l δ_i^{l+1}: of the engine's a and δ to the bit, and from x on"""
    engine = run(net)
    for l in net.layers[:-1]:
        assert grad(engine.W[l]) == [[a_j.data * z_i.grad for a_j in engine.a[l]] for z_i in engine.z[l + 1]]
    W, b, X, Y = exactly(net)
    dW, _ = deltas.gradient(W, b, X[0], Y[0], f(net), f_prime(net))
    assert agree(grad(engine.W), dW)


@proof
@given(one_sample)
def test_E7b(net: Net) -> None:
    """∂J(W,b;x,y)/∂b_i^l = δ_i^{l+1}: the engine's δ to the bit, and from x on"""
    engine = run(net)
    for l in net.layers[:-1]:
        assert grad(engine.b[l]) == grad(engine.z[l + 1])
    W, b, X, Y = exactly(net)
    _, db = deltas.gradient(W, b, X[0], Y[0], f(net), f_prime(net))
    assert agree(grad(engine.b), db)


@proof
@given(one_sample)
def test_input_gradient(net: Net) -> None:
    """∂J/∂x_i = Σ_j δ_j^2 W_ji^1, without a factor f'"""
    engine = run(net)
    closed = deltas.input_gradient(rounded(net.W), grad(engine.z))
    assert agree(grad(engine.a[1]), closed)


# --- every activation ---


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda op: op.name)
@settings(proof, max_examples=10)
@given(choice=st.data())
def test_z_grad_is_delta(activation: Op, choice: st.DataObject) -> None:
    """`z.grad` is δ: the engine's, against that of the closed form from x on, for every activation"""
    net = choice.draw(nets([activation], max_samples=1))
    W, b, X, Y = exactly(net)
    z, a = deltas.forward(W, b, X[0], f(net))
    assert agree(grad(run(net).z), deltas.deltas(W, Y[0], z, a, f_prime(net)))

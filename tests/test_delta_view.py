"""`deltas_table`: the engine's numbers beside those of the closed form, each where it belongs, on any net."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from strategies import Net, nets
from test_formula import well_formed
from test_proofs import model_of

from tinygrad_sq import MLP, Value, deltas, deltas_table, half_squared_error, nn
from tinygrad_sq.graph import topological_order
from tinygrad_sq.study.delta_view import DeltasTable, Unit, derivative, sample_cost
from tinygrad_sq.table import row


@settings(max_examples=60, deadline=None)
@given(net=nets(max_samples=1))
def test_both_columns(net: Net) -> None:
    """On random nets the engine's column is what `backward` gives, the other what `deltas` gives, unit by unit and
    weight by weight, and z, a and f'(z) stand beside them; a 0 by the engine has no sign; the largest difference is the
    largest of all."""
    model = model_of(net)
    (x,), (y,) = net.X, net.Y
    table = deltas_table(model, x, y)
    J = half_squared_error(model(x), y)
    J.backward()
    nodes = {node.label: node for node in topological_order(J)}
    f = {l: row(net.activation(l)) for l in net.layers[1:]}
    f_prime = {l: derivative(op) for l, op in f.items()}
    z, a = deltas.forward(net.W, net.b, x, f)
    delta = deltas.deltas(net.W, y, z, a, f_prime)
    last = net.layers[-1]
    assert [(u.l, u.i) for u in table] == [(l, i) for l in range(last, 1, -1) for i in range(net.sizes[l - 1])]
    for unit in table.units:
        node = nodes[unit.label]
        assert (unit.z, unit.a) == (node.data, nodes[f"a{unit.l}[{unit.i}]"].data)
        assert unit.f_prime == f_prime[unit.l](node.data)
        assert repr(unit.engine) == repr(node.grad + 0.0)
        assert unit.closed_form == delta[unit.l][unit.i]
        assert unit.difference == abs(unit.engine - unit.closed_form)
    dW, db = deltas.gradient(net.W, net.b, x, y, f, f_prime)
    assert list(table.derivatives) == list(range(last - 1, 0, -1))
    for l, found in table.derivatives.items():
        neurons = model.layers[l - 1].neurons
        assert repr([d.engine for d in found]) == repr([p.grad for neuron in neurons for p in neuron.parameters()])
        assert [d.label for d in found] == [p.label for neuron in neurons for p in neuron.parameters()]
        assert [d.closed_form for d in found] == [c for i in range(len(db[l])) for c in [*dW[l][i], db[l][i]]]
        assert [d.a for d in found] == [*a[l], 1.0] * len(neurons)
        assert [d.delta for d in found] == [d_i for d_i in delta[l + 1] for _ in range(len(a[l]) + 1)]
        assert all(d.closed_form == d.a * d.delta for d in found)
    differences = [abs(d.engine - d.closed_form) for found in table.derivatives.values() for d in found]
    assert table.largest_difference == max([*differences, *[u.difference for u in table]])


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "elu", "sin", "identity", "stop_gradient"])
def test_activations(activation: str) -> None:
    """δ by the engine and in closed form agree for every kind of activation, and f' is the row's partial."""
    table = deltas_table(MLP(2, [3, 4, 1], activation=activation, seed=1), [0.5, -1.5], 0.25)
    for unit in table:
        assert unit.engine == pytest.approx(unit.closed_form, rel=1e-12, abs=1e-300)
    assert any(unit.engine for unit in table)


def test_f_prime_of_rows() -> None:
    """f' of an activation is its partial by z, at the defaults of its other operands."""
    assert derivative(row("leaky_relu"))(-3.0) == 0.01
    assert derivative(row("sigmoid"))(0.0) == 0.25
    assert derivative(row("stop_gradient"))(1.0) == 0.0


def test_the_sample_has_names() -> None:
    """Inputs, targets and J by their symbols, each in its scope: what a picture or an explanation of J calls them."""
    J = sample_cost(MLP(2, [1], seed=0), [0.5, -1.0], [0.25])
    named = {v.label: (v.scope, v.data) for v in topological_order(J) if v.scope[0] in ("input", "target", "loss")}
    assert {label: found for label, found in named.items() if label} == {
        "x[0]": (("input",), 0.5),
        "x[1]": (("input",), -1.0),
        "y[0]": (("target",), 0.25),
        "J": (("loss",), J.data),
    }


class Doubled(MLP):
    """Another function than E2: the closed form does not know of it."""

    def __call__(self, x: Any) -> Any:
        return 2.0 * super().__call__(x)


def test_two_computations() -> None:
    """The closed form reads none of the recorded gradients: of a net that is not E2 the two differ."""
    assert deltas_table(MLP(2, [3, 1], seed=0), [1.0, 2.0], 3.0).largest_difference < 1e-14
    assert deltas_table(Doubled(2, [3, 1], seed=0), [1.0, 2.0], 3.0).largest_difference > 0.1


def test_nothing_is_changed() -> None:
    """No grad is read or set."""
    model = MLP(2, [3, 1], seed=0)
    for p in model.parameters():
        p.grad = 7.0
    first = str(deltas_table(model, [Value(1.0), 2.0], Value(3.0)))
    assert first == str(deltas_table(model, (1, 2), [3]))
    assert {p.grad for p in model.parameters()} == {7.0}


def test_text() -> None:
    """A table for each layer with its equation, one for the weights into it, and the largest difference."""
    model = MLP(1, [1, 1], activation="square", seed=0)
    for p, data in zip(model.parameters(), (3.0, 1.0, 0.5, -1.0)):
        p.data = data
    table = deltas_table(model, 2.0, 20.0)
    assert str(table) == repr(table) == GOLDEN


GOLDEN = """\
δ = ∂J/∂z of each unit of a 1-1-1 net for one sample, where J = ½ ‖h(x) − y‖² (E1)

Layer 3, the output, f = identity: δ_i = −(y_i − a_i) f'(z_i) (E5)
unit      z     a  f'(z)  δ by E5  δ by the engine  difference
z3[0]  23.5  23.5      1      3.5              3.5           0

Layer 2, hidden, f = square: δ_i = (Σ_j δ_j W_ji) f'(z_i) (E6)
unit   z   a  f'(z)  δ by E6  δ by the engine  difference
z2[0]  7  49     14     24.5             24.5           0

Weights and biases into layer 3: ∂J/∂W2[i,j] = a2[j] δ3[i] (E7W), of a bias without a (E7b)
by        a    δ    a δ  by the engine  difference
W2[0,0]  49  3.5  171.5          171.5           0
b2[0]     1  3.5    3.5            3.5           0

Weights and biases into layer 2: ∂J/∂W1[i,j] = a1[j] δ2[i] (E7W), of a bias without a (E7b)
by       a     δ   a δ  by the engine  difference
W1[0,0]  2  24.5    49             49           0
b1[0]    1  24.5  24.5           24.5           0

Largest difference of all: 0"""


def test_large_nets_are_cut() -> None:
    """At most `limit` rows a table, first and last ones, with the number left out; the difference is over all."""
    model = MLP(20, [15, 3], seed=0)
    table = deltas_table(model, [1.0] * 20, [0.0] * 3)
    assert len(str(table).split("\n")) == 1 + (3 + 3) + (3 + 13) + (3 + 13) + (3 + 13) + 2
    assert re.findall(r"^\.\.\. (\d+) more$", str(table), re.MULTILINE) == ["3", "36", "303"]
    assert re.findall(r"^\.\.\. (\d+) more$", table.text(limit=4), re.MULTILINE) == ["11", "44", "311"]
    assert table.text(limit=100) == table.text(limit=None) == str(table)
    everything = deltas_table(model, [1.0] * 20, [0.0] * 3, limit=1000)
    assert everything.text(limit=None).count("\nW1[") == 300
    assert str(deltas_table(model, [1.0] * 20, [0.0] * 3, limit=0)).count("z2[") == 0


def test_nan_is_the_largest_difference() -> None:
    """A net that has left the numbers is not said to agree."""
    model = MLP(1, [2, 1], activation="log", seed=0)
    model.layers[0].neurons[0].b.data = -100.0
    assert math.isnan(deltas_table(model, [1.0], [0.0]).largest_difference)
    units = [Unit(2, i, 0.5, 0.5, 1.0, closed, 0.0) for i, closed in enumerate((1.0, math.nan, 2.0))]
    assert math.isnan(DeltasTable([1, 3], {}, units, {}, 12).largest_difference)
    assert DeltasTable([1, 3], {}, units[::2], {}, 12).largest_difference == 2.0


def test_html_and_latex() -> None:
    """Well formed, with a table for each layer and each matrix of weights, and E5, E6, E7 as formulas."""
    table = deltas_table(MLP(2, [3, 1], seed=0), [1.0, 2.0], 3.0)
    page = ElementTree.fromstring(table._repr_html_())
    assert len(page.findall("table")) == 4
    assert len(page.findall(".//tbody/tr")) == 1 + 3 + 4 + 9
    assert well_formed(table.latex())
    assert r"\left(\sum_j \delta_j W_{ji}\right) f'(z_i)" in table._repr_latex_()
    assert r"z^{2}_{1} & " in table.latex()
    for l in (1, 2):
        gradient = rf"\frac{{\partial J}}{{\partial W^{{{l}}}_{{i,j}}}} = a^{{{l}}}_j \delta^{{{l + 1}}}_i"
        assert gradient in table.latex()
    assert [p.get("class") for p in page.findall("p")] == ["heading"] * 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (nn.Neuron(2), [1.0, 2.0], 1.0),
            TypeError,
            "deltas_table takes an MLP, since E2 to E7 are those of one, got Neuron",
        ),
        ((MLP(2, [1]), [1.0, 2.0], 1.0, -1), ValueError, "expected a limit of 0 or more, got -1"),
        ((MLP(2, [1]), [1.0], 1.0), ValueError, "expected 2 inputs, got 1"),
        ((MLP(2, [1]), [1.0, 2.0], [1.0, 2.0]), ValueError, "expected 1 target, one for each output, got 2"),
    ],
)
def test_what_is_wrong(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    """Is named, with what was expected."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        deltas_table(*arguments)


def test_one_f_a_layer() -> None:
    """A layer whose units have different activations is not that of E2."""
    model = MLP(1, [2, 2], seed=0)
    model.layers[1].neurons[1] = nn.Neuron(2, "tanh", l=2, i=1)
    with pytest.raises(ValueError, match=r"^layer 3 has several activations; in E2, one layer has one f$"):
        deltas_table(model, [1.0], [1.0, 1.0])

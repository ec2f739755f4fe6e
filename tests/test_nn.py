"""Nets: who owns which parameter, what it is called, where it starts, and what the units compute."""

import copy
import math
import pickle
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACTIVATIONS, vectors

from tinygrad_sq import (
    MLP,
    Layer,
    Module,
    Neuron,
    Parameter,
    Value,
    detect_anomaly,
    fit,
    no_grad,
    scope,
    sigmoid,
    tanh,
)
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op

sizes_of_nets = st.lists(st.integers(1, 5), min_size=2, max_size=5)


def bits(model: Module) -> list[str]:
    return [p.data.hex() for p in model.parameters()]


def plain_unit(neuron: Neuron, x: list[float]) -> float:
    z = neuron.b.data
    for w, x_j in zip(neuron.w, x):
        z += w.data * x_j
    result = neuron.activation(z)
    assert isinstance(result, float)
    return result


# --- E2 ---


@given(sizes_of_nets, st.sampled_from(ACTIVATIONS), st.integers(0, 9), st.data())
def test_a_net_computes_E2_unit_by_unit(sizes: list[int], f: Op, seed: int, data: st.DataObject) -> None:
    """a^{l+1}_i = f(Σ_j W_ij a^l_j + b_i), summed from the bias on in the order of the inputs, to the bit."""
    model = MLP(sizes[0], sizes[1:], activation=f, output_activation="tanh", seed=seed)
    x = data.draw(vectors(sizes[0]))
    a = x
    for layer in model.layers:
        a = [plain_unit(neuron, a) for neuron in layer.neurons]
    out = model(x)
    assert [v.data for v in (out if len(a) > 1 else [out])] == pytest.approx(a, rel=0.0, abs=0.0, nan_ok=True)


def test_every_unit_is_two_nodes_with_the_names_of_the_derivation() -> None:
    """The graph of a net holds W1[0,2], b1[0], z2[0], a2[0], ..., each in the scope of its layer and neuron, and
    nothing else; z is the dot product and a the activation of it, also where that is the identity."""
    model = MLP(3, [2, 1], activation="tanh", seed=0)
    with scope("input"):
        x = [Value(0.5, f"x[{j}]") for j in range(3)]
    J = model(x)
    nodes = {v.label: v for v in topological_order(J)}
    first = [*[f"W1[{i},{j}]" for i in (0, 1) for j in (0, 1, 2)], "b1[0]", "b1[1]"]
    assert set(nodes) == {
        *first, *["x[0]", "x[1]", "x[2]"], *["z2[0]", "z2[1]", "a2[0]", "a2[1]"],
        *["W2[0,0]", "W2[0,1]", "b2[0]", "z3[0]", "a3[0]"],
    }  # fmt: skip
    assert len(nodes) == len(topological_order(J))
    for label, node in nodes.items():
        letter, l = label[0], int(label[1]) if label[1].isdigit() else 0
        if letter != "x":
            unit = label[label.index("[") + 1]
            assert node.scope == (f"layer {l + (letter in 'Wb')}", f"neuron {unit}")
    assert nodes["x[0]"].scope == ("input",)
    assert [nodes[z].op.name for z in ("z2[1]", "a2[1]", "z3[0]", "a3[0]")] == ["dot", "tanh", "dot", "identity"]
    assert nodes["a2[1]"].args == (nodes["z2[1]"],)
    assert nodes["z2[1]"].args == (*[nodes[f"W1[1,{j}]"] for j in range(3)], *x, nodes["b1[1]"])


def test_a_neuron_alone_is_the_first_unit_of_the_first_layer() -> None:
    """Without a net around them, a neuron and a layer are drawn and named as the beginning of one."""
    random.seed(5)
    w = [random.uniform(-1, 1) for _ in range(2)]
    random.seed(5)
    neuron = Neuron(2)
    assert [(p.label, p.data) for p in neuron.parameters()] == [("W1[0,0]", w[0]), ("W1[0,1]", w[1]), ("b1[0]", 0.0)]
    assert neuron.b.scope == ("layer 2", "neuron 0")
    assert [p.label for p in Layer(1, 2).parameters()] == ["W1[0,0]", "b1[0]", "W1[1,0]", "b1[1]"]


def test_a_net_belongs_to_the_scope_it_was_made_in() -> None:
    """Scopes nest: what a neuron owns and makes lies in the scope of its making, wherever it is called."""
    with scope("encoder"):
        model = MLP(1, [1])
    with scope("loss"):
        a = model([1.0])
    assert {v.scope for v in topological_order(a)} == {("encoder", "layer 2", "neuron 0")}


def test_inputs_that_are_numbers_stay_constants() -> None:
    """Numbers make no nodes, and are stored as floats; Values get a gradient."""
    neuron = Neuron(3, "identity")
    x = Value(2.0)
    a = neuron([True, x, 3])
    z = a.args[0]
    assert isinstance(z, Value)
    assert z.args[3:6] == (1.0, x, 3.0)
    assert [type(arg) for arg in z.args[3:6]] == [float, Value, float]
    a.backward()
    assert x.grad == neuron.w[1].data
    assert [w.grad for w in neuron.w] == [1.0, 2.0, 3.0]
    assert neuron.b.grad == 1.0


def test_one_unit_gives_a_value_and_several_a_list() -> None:
    """What a model or a layer returns depends on its number of units, as in micrograd; hidden layers may have one."""
    assert isinstance(MLP(2, [1, 1])([1.0, 2.0]), Value)
    assert [type(v) for v in MLP(2, [1, 3])([1.0, 2.0])] == [Value] * 3
    assert isinstance(Layer(2, 1)([1.0, 2.0]), Value)
    assert [type(v) for v in Layer(2, 2)([1.0, 2.0])] == [Value] * 2
    assert isinstance(Neuron(2)([1.0, 2.0]), Value)


def test_an_activation_is_a_row_or_its_name() -> None:
    """A row, its name, or a row with a default for its second operand; with nonlin=False, the identity."""
    for f in ("tanh", tanh):
        assert Neuron(1, f).activation is tanh
    leaky = Neuron(1, "leaky_relu")
    leaky.b.data = -8.0
    assert leaky([0.0]).data == -0.08
    assert [n.activation.name for n in Layer(1, 2, "tanh", nonlin=False).neurons] == ["identity", "identity"]
    assert Neuron(1, nonlin=False).activation.name == "identity"
    model = MLP(1, [1, 1, 1], activation="sigmoid", output_activation=sigmoid)
    assert [layer.neurons[0].activation.name for layer in model.layers] == ["sigmoid"] * 3
    assert [layer.neurons[0].activation.name for layer in MLP(1, [1, 1, 1]).layers] == ["relu", "relu", "identity"]


def test_a_net_can_be_made_anywhere() -> None:
    """Making a net records nothing, so that neither no_grad nor detect_anomaly changes or disturbs it."""
    with no_grad(), detect_anomaly():
        model = MLP(1, [1, 1], activation="log", seed=0)
    model.parameters()[1].data = 3.0
    assert model([0.0]).args != ()
    with no_grad():
        assert model([0.0]).args == ()


# --- parameters ---


def test_parameters_stand_in_the_order_of_the_layers() -> None:
    """parameters(): per layer, per neuron, its weights and then its bias. weights(): the same without the biases."""
    model = MLP(2, [2, 1])
    labels = [p.label for p in model.parameters()]
    assert labels == ["W1[0,0]", "W1[0,1]", "b1[0]", "W1[1,0]", "W1[1,1]", "b1[1]", "W2[0,0]", "W2[0,1]", "b2[0]"]
    assert [p.label for p in model.weights()] == [label for label in labels if label[0] == "W"]
    assert {type(p) for p in model.parameters()} == {Parameter}
    assert model.layers[0].neurons[1].parameters() == model.parameters()[3:6]
    assert model.layers[0].parameters() == model.parameters()[:6]


def test_zero_grad_zeroes_every_parameter() -> None:
    """After zero_grad, backward leaves what one backward leaves."""
    model = MLP(2, [2, 1], activation="tanh", seed=0)
    model([1.0, 2.0]).backward()
    once = [p.grad for p in model.parameters()]
    assert 0.0 not in once
    model.zero_grad()
    assert {p.grad for p in model.parameters()} == {0.0}
    model([1.0, 2.0]).backward()
    assert [p.grad for p in model.parameters()] == once


def test_a_model_fits_itself() -> None:
    """model.fit(X, Y, ...) is fit(model, X, Y, ...): what it returns and where the parameters end."""
    X, Y = [[0.0, 1.0], [1.0, 0.5]], [[1.0], [-1.0]]
    model, twin = MLP(2, [2, 1], "tanh", seed=4), MLP(2, [2, 1], "tanh", seed=4)
    history = model.fit(X, Y, epochs=3, lam=0.1)
    assert history == fit(twin, X, Y, epochs=3, lam=0.1)
    assert len(history.cost) == 3
    assert bits(model) == bits(twin) != bits(MLP(2, [2, 1], "tanh", seed=4))


def test_a_model_of_ones_own() -> None:
    """A Module has the parameters that it names, none by default, and lam asks which of them it penalises."""

    class Line(Module):
        def __init__(self) -> None:
            self.slope = Parameter(2.0)

        def parameters(self) -> list[Parameter]:
            return [self.slope]

        def __call__(self, x: float) -> Value:
            return self.slope * x

    line = Line()
    line(3.0).backward()
    assert line.slope.grad == 3.0
    line.zero_grad()
    assert line.slope.grad == 0.0
    assert Module().parameters() == []
    with pytest.raises(NotImplementedError, match=r"Line has no weights\(\): say which parameters lam penalises"):
        line.weights()


def test_copies_are_apart() -> None:
    """A deep copy and a pickled net compute the same and share no parameter with the original."""
    model = MLP(2, [3, 1], activation="elu", seed=3)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other([1.0, 2.0]).data == model([1.0, 2.0]).data
        assert [p.label for p in other.parameters()] == [p.label for p in model.parameters()]
        other([1.0, 2.0]).backward()
        assert {p.grad for p in model.parameters()} == {0.0}
        assert not set(other.parameters()) & set(model.parameters())


# --- where they start ---


@given(st.integers(), st.sampled_from(["uniform", "glorot", "he"]))
def test_a_seed_gives_the_same_net_to_the_bit(seed: int, init: str) -> None:
    """Two nets of one seed are equal, whatever the global generator does, and do not touch it."""
    random.seed(1)
    state = random.getstate()
    first = MLP(2, [3, 1], seed=seed, init=init)
    assert random.getstate() == state
    random.seed(2)
    assert bits(MLP(2, [3, 1], seed=seed, init=init)) == bits(first)
    assert bits(MLP(2, [3, 1], seed=seed + 1, init=init)) != bits(first)


def test_without_a_seed_the_weights_are_those_of_micrograd() -> None:
    """From random.seed on, the draws are uniform(-1, 1), neuron by neuron, and the biases 0."""
    random.seed(7)
    model = MLP(3, [4, 2])
    random.seed(7)
    expected = [random.uniform(-1, 1) for _ in range(3 * 4 + 4 * 2)]
    assert [w.data for w in model.weights()] == expected
    assert {p.data for p in model.parameters() if p not in model.weights()} == {0.0}


@pytest.mark.parametrize(
    ("init", "radius"), [("uniform", 1.0), ("glorot", math.sqrt(6 / (50 + 40))), ("he", math.sqrt(6 / 50))]
)
def test_initialisation_fills_its_interval(init: str, radius: float) -> None:
    """Weights are uniform on (-r, r), r = 1, √(6 / (n_in + n_out)) (Glorot), √(6 / n_in) (He): the variance is r² / 3,
    2 / (n_in + n_out) and 2 / n_in; the biases are 0."""
    layer = MLP(50, [40], seed=0, init=init).layers[0]
    w = [p.data for p in layer.weights()]
    assert 0.99 * radius < max(w) < radius
    assert -radius < min(w) < -0.99 * radius
    # Four standard deviations of a mean of 2,000 numbers, and of their squares.
    assert abs(sum(w) / 2000) < 4 * radius / math.sqrt(3 * 2000)
    assert abs(sum(x * x for x in w) / 2000 - radius**2 / 3) < 4 * radius**2 * math.sqrt(4 / 45 / 2000)
    assert {neuron.b.data for neuron in layer.neurons} == {0.0}


# --- what is refused ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Neuron(0), "expected the number of inputs to be 1 or more, got 0"),
        (lambda: Layer(2, 0), "expected the number of units to be 1 or more, got 0"),
        (lambda: Layer(0, 2), "expected the number of inputs to be 1 or more, got 0"),
        (lambda: MLP(2, []), "an MLP has at least one layer, got no sizes"),
        (lambda: MLP(2, [3, -1]), "expected the number of units to be 1 or more, got -1"),
        (lambda: MLP(2, [3], init="xavier"), "init is one of 'uniform', 'glorot', 'he', got 'xavier'"),
        (lambda: MLP(2, [1], activation="rellu"), "the table has no primitive 'rellu'; did you mean .*relu"),
        (lambda: MLP(2, [3, 1], activation="rellu"), "the table has no primitive 'rellu'; did you mean .*relu"),
        (lambda: MLP(2, [3, 1], activation="atan2"), "an activation is a function of one number.*; atan2 is not"),
        (lambda: MLP(2, [3, 1], output_activation="dot"), "an activation is a function of one number.*; dot is not"),
    ],
)
def test_a_net_that_cannot_be_is_refused(make: Any, message: str) -> None:
    """An error says what was expected and what was given."""
    with pytest.raises(ValueError, match=message):
        make()


untyped: Any = MLP


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: untyped(2, 3), "expected sizes to be a list, with the number of units of each layer, got int 3"),
        (lambda: untyped("2", [3, 1]), "expected the number of inputs to be a whole number, got str '2'"),
        (lambda: untyped(2, [3.0, 1]), "expected the number of units to be a whole number, got float 3.0"),
        (lambda: untyped(2, [3, 1], None), "expected an activation to be a row .*, or its name, got NoneType None"),
        (lambda: untyped(2, [3, 1], lambda z: z), "expected an activation to be a row .*, or its name, got function"),
        (lambda: untyped(2, [3, 1], ["tanh"]), "expected an activation to be a row .*, or its name, got list .'tanh'"),
    ],
)
def test_what_is_of_another_type_is_refused(make: Any, message: str) -> None:
    """Not by Python, in the middle of the work, but by name."""
    with pytest.raises(TypeError, match=f"^{message}"):
        make()


def test_sizes_may_be_numpy_integers() -> None:
    """What counts as an index in Python counts here."""
    assert repr(untyped(np.int64(2), [np.int64(3)])) == "MLP([Layer(2, 3, 'identity')])"


@pytest.mark.parametrize("model", [Neuron(2), Layer(2, 3), MLP(2, [3, 1])])
def test_inputs_that_do_not_fit_are_refused(model: Module) -> None:
    """Too many, too few, no list, no numbers: each is said; a row of a NumPy array fits, and so does a generator."""
    for x in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match=f"expected 2 inputs, got {len(x)}"):
            model(x)
    with pytest.raises(TypeError, match=r"expected a list of 2 inputs, got float 1\.0"):
        model(1.0)
    with pytest.raises(TypeError, match=r"expected a real number .*, got str 'a'"):
        model("ab")

    def data(out: Any) -> list[float]:
        return [v.data for v in (out if isinstance(out, list) else [out])]

    assert data(model(np.array([1, 2]))) == data(model(float(j) for j in (1, 2))) == data(model([1.0, 2.0]))


def test_repr() -> None:
    """A net says its sizes and activations."""
    assert repr(MLP(2, [3, 1], activation="tanh")) == "MLP([Layer(2, 3, 'tanh'), Layer(3, 1, 'identity')])"
    assert repr(Neuron(2)) == "Neuron(2, 'relu')"

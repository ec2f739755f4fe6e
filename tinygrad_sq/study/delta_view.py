"""`deltas_table`: δ of every unit and ∂J/∂W, ∂J/∂b of one sample, in closed form (E2 to E7) beside the engine's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tinygrad_sq import deltas
from tinygrad_sq.context import scope
from tinygrad_sq.losses import half_squared_error
from tinygrad_sq.nn import MLP
from tinygrad_sq.op import Op, number
from tinygrad_sq.study.formula import LATEX
from tinygrad_sq.study.names import Formula
from tinygrad_sq.study.sheet import Block, Grid, Item, Line, Sheet, excerpt
from tinygrad_sq.value import Value, adjoints

E1 = Formula("J = ½ ‖h(x) − y‖²", r"J = \tfrac{1}{2} \left\|h(x) - y\right\|^2")
E5 = Formula("δ_i = −(y_i − a_i) f'(z_i)", r"\delta_i = -(y_i - a_i) f'(z_i)")
E6 = Formula("δ_i = (Σ_j δ_j W_ji) f'(z_i)", r"\delta_i = \left(\sum_j \delta_j W_{ji}\right) f'(z_i)")


class Unit(NamedTuple):
    """A unit of layer l, from 2 on: what the graph recorded of it, f'(z), and δ = ∂J/∂z by both ways."""

    l: int
    i: int
    z: float
    a: float
    f_prime: float
    closed_form: float
    engine: float

    @property
    def label(self) -> str:
        """As the graph has it: z2[0]."""
        return f"z{self.l}[{self.i}]"

    @property
    def difference(self) -> float:
        return abs(self.engine - self.closed_form)


class Derivative(NamedTuple):
    """∂J by one weight W_ij^l, a_j^l δ_i^{l+1} (E7W), or by one bias b_i^l, δ_i^{l+1} (E7b; a is 1): both ways."""

    label: str
    a: float
    delta: float
    closed_form: float
    engine: float

    @property
    def difference(self) -> float:
        return abs(self.engine - self.closed_form)


class DeltasTable(Sheet):
    """δ and the gradient of one sample, by two computations that share no code. It shows itself as tables.

    units        of layers n_l down to 2, in the order in which E5 and E6 give their δ; iterating gives these
    derivatives  by layer l, from n_l − 1 down to 1: of every weight W_ij^l and bias b_i^l
    """

    def __init__(
        self,
        sizes: list[int],
        f: dict[int, Op],
        units: list[Unit],
        derivatives: dict[int, list[Derivative]],
        limit: int,
    ) -> None:
        self.sizes = sizes
        self.f = f
        self.units = units
        self.derivatives = derivatives
        self.limit = limit

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units)

    @property
    def largest_difference(self) -> float:
        """Of a δ or a derivative, between the engine and the closed form."""
        every: list[Unit | Derivative] = [*self.units, *[d for found in self.derivatives.values() for d in found]]
        return max([each.difference for each in every], key=lambda x: (x != x, x))  # NaN is the largest

    def blocks(self, limit: int | None) -> list[Block]:
        limit = self.limit if limit is None else min(limit, self.limit)
        net = "-".join(map(str, self.sizes))
        last = len(self.sizes)
        blocks: list[Block] = [
            Line([f"δ = ∂J/∂z of each unit of a {net} net for one sample, where ", E1, " (E1)"], heading=True)
        ]
        for l, f in reversed(self.f.items()):
            which, equation, label = ("the output", E5, "E5") if l == last else ("hidden", E6, "E6")
            rows: list[list[Item]] = [
                [_symbol(u.label), u.z, u.a, u.f_prime, u.closed_form, u.engine, u.difference]
                for u in self.units
                if u.l == l
            ]
            blocks.append(Line([f"Layer {l}, {which}, f = {f.name}: ", equation, f" ({label})"], heading=True))
            blocks.append(_grid(["unit", " z", " a", " f'(z)", f" δ by {label}", " δ by the engine"], rows, limit))
        for l, found in self.derivatives.items():
            weights = Formula(
                f"∂J/∂W{l}[i,j] = a{l}[j] δ{l + 1}[i]",
                rf"\frac{{\partial J}}{{\partial W^{{{l}}}_{{i,j}}}} = a^{{{l}}}_j \delta^{{{l + 1}}}_i",
            )
            rows = [[_symbol(d.label), d.a, d.delta, d.closed_form, d.engine, d.difference] for d in found]
            blocks.append(
                Line(
                    [f"Weights and biases into layer {l + 1}: ", weights, " (E7W), of a bias without a (E7b)"],
                    heading=True,
                )
            )
            blocks.append(_grid(["by", " a", " δ", " a δ", " by the engine"], rows, limit))
        blocks.append(Line(["Largest difference of all: ", self.largest_difference], heading=True))
        return blocks


def _symbol(label: str) -> Formula:
    return Formula(label, LATEX.symbol(label))


def _grid(columns: list[str], rows: list[list[Item]], limit: int) -> Grid:
    first, last = excerpt(len(rows), limit)
    shown = [rows[i] for i in (*first, *last)]
    if len(shown) < len(rows):
        shown.insert(len(first), [f"... {len(rows) - len(shown)} more", *[""] * len(columns)])
    return Grid([*columns, " difference"], shown)


def deltas_table(
    model: MLP, x: Iterable[Value | float] | Value | float, y: Iterable[Value | float] | Value | float, limit: int = 12
) -> DeltasTable:
    """δ = ∂J/∂z of every unit, ∂J/∂W and ∂J/∂b of one sample (x, y), in closed form and by the engine.

    δ by E5 at the output and by E6 below, ∂J/∂W_ij^l = a_j^l δ_i^{l+1} by E7W, ∂J/∂b_i^l = δ_i^{l+1} by E7b, all in
    plain floats by `tinygrad_sq.deltas`; beside them the gradients of the graph that the model records. This holds for
    a fully connected net, an `MLP`, and for J = ½ ‖h(x) − y‖² (E1): other losses have another E5.

    x, y   n_in inputs and a target for each output, numbers or Values
    limit  how many rows of each table are shown; all are in `.units` and `.derivatives`

    No `.grad` is read or changed. Raises TypeError for a model that is no MLP, ValueError for a wrong number of inputs
    or targets, for a layer whose units have different activations, and for a limit below 0.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"deltas_table takes an MLP, since E2 to E7 are those of one, got {type(model).__name__}")
    if limit < 0:
        raise ValueError(f"expected a limit of 0 or more, got {limit}")
    inputs, targets = _numbers(x), _numbers(y)
    J = sample_cost(model, inputs, targets)
    adjoint = adjoints(J)
    nodes = {node.label: node for node in adjoint}
    layers = {l: layer.neurons for l, layer in enumerate(model.layers, 1)}
    W = {l: [[w.data for w in neuron.w] for neuron in neurons] for l, neurons in layers.items()}
    b = {l: [neuron.b.data for neuron in neurons] for l, neurons in layers.items()}
    f = {l + 1: neurons[0].activation for l, neurons in layers.items()}
    for l, neurons in layers.items():
        if any(neuron.activation is not f[l + 1] for neuron in neurons):
            raise ValueError(f"layer {l + 1} has several activations; in E2, one layer has one f")
    f_prime = {l: derivative(row) for l, row in f.items()}
    z, a = deltas.forward(W, b, inputs, f)
    delta = deltas.deltas(W, targets, z, a, f_prime)
    dW, db = deltas.gradient(W, b, inputs, targets, f, f_prime)
    units = []
    for l in delta:
        for i, delta_i in enumerate(delta[l]):
            unit, activation = nodes[f"z{l}[{i}]"], nodes[f"a{l}[{i}]"]
            units.append(Unit(l, i, unit.data, activation.data, f_prime[l](unit.data), delta_i, adjoint[unit] + 0.0))
    derivatives = {
        l: [
            Derivative(p.label, a_j, delta[l + 1][i], closed, adjoint[p] + 0.0)
            for i, neuron in enumerate(layers[l])
            for p, a_j, closed in zip([*neuron.w, neuron.b], [*a[l], 1.0], [*dW[l][i], db[l][i]])
        ]
        for l in reversed(layers)
    }
    return DeltasTable([len(inputs), *map(len, layers.values())], f, units, derivatives, limit)


def sample_cost(model: MLP, x: Sequence[float], y: Sequence[float]) -> Value:
    """J of one sample (E1) as a graph in which inputs and targets have names too."""
    with scope("input"):
        inputs = [Value(x_j, f"x[{j}]") for j, x_j in enumerate(x)]
    h = model(inputs)
    with scope("target"):
        targets = [Value(y_i, f"y[{i}]") for i, y_i in enumerate(y)]
    with scope("loss"):
        J: Value = half_squared_error(h, targets)
    J.label = "J"
    return J


def derivative(row: Op) -> Callable[[float], float]:
    """f' of an activation f, from its row: the partial by the first operand, the others at their defaults."""

    def f_prime(z: float) -> float:
        operands = row.operands(z) if row.operands else (z,)
        return row.gradient(row.forward(*operands), *operands)[0] or 0.0  # None: no gradient flows

    return f_prime


def _numbers(x: Iterable[Value | float] | Value | float) -> list[float]:
    return [v.data if isinstance(v, Value) else number(v) for v in (x if isinstance(x, Iterable) else [x])]

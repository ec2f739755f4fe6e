"""Nets of Values: a `Neuron` is E2 for one unit, a `Layer` a list of neurons, an `MLP` a list of layers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from tinygrad_sq.checks import checked, count
from tinygrad_sq.context import scope
from tinygrad_sq.op import Op, counted, number
from tinygrad_sq.table import dot, row
from tinygrad_sq.value import Value, record

if TYPE_CHECKING:
    from tinygrad_sq.train import History

# Weights are drawn uniformly from (-r, r), and this is r for a layer of n_out units with n_in inputs each. Uniform and
# not normal, since sqrt is the only function in it: a seed gives the same bits on every machine.
RADIUS: dict[str, Callable[[int, int], float]] = {
    "uniform": lambda n_in, n_out: 1.0,
    "glorot": lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out)),  # Glorot and Bengio 2010, equation 16
    "he": lambda n_in, n_out: math.sqrt(6.0 / n_in),  # He et al. 2015: the variance 2 / n_in of equation 10
}


class Parameter(Value):
    """A leaf that training changes: a weight or a bias."""

    __slots__ = ()


class Module:
    """What has parameters. A model of one's own derives from it and says which they are."""

    __call__: Callable[..., Any]

    def parameters(self) -> list[Parameter]:
        """All that training changes, weights and biases, always in the same order."""
        return []

    def weights(self) -> list[Parameter]:
        """Those of the parameters that the λ of E3 penalises: not the biases."""
        raise NotImplementedError(f"{type(self).__name__} has no weights(): say which parameters lam penalises")

    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0, before the next backward adds to it."""
        for p in self.parameters():
            p.grad = 0.0

    def fit(self, X: Collection[Any], Y: Collection[Any], **how: Any) -> History:
        """`fit` of this model, on the samples (X, Y)."""
        from tinygrad_sq.train import fit

        return fit(self, X, Y, **how)


def _repr_svg_(model: Module) -> str | None:
    from tinygrad_sq.study.draw import notebook_svg

    return notebook_svg(model)


class Neuron(Module):
    """One unit: z = Σ_j w_j x_j + b, a = f(z), of n_in inputs. It returns the Value a, whose operand is z (E2).

    activation  f: a row of the table that takes one number, or its name
    nonlin      False: f is the identity, whatever the activation
    draw        where weights come from, uniformly from (-radius, radius); the bias starts at 0
    l, i        its place: unit i of layer l + 1, as in the labels W1[0,2] b1[0] z2[0] a2[0]

    Raises ValueError for a number of inputs that differs from n_in, or is less than 1.
    """

    def __init__(
        self,
        n_in: int,
        activation: str | Op = "relu",
        *,
        nonlin: bool = True,
        radius: float = 1.0,
        draw: Callable[[float, float], float] = random.uniform,
        l: int = 1,
        i: int = 0,
    ) -> None:
        n_in = count(n_in, "the number of inputs")
        with scope(f"layer {l + 1}"), scope(f"neuron {i}"):
            self.w = [Parameter(draw(-radius, radius), f"W{l}[{i},{j}]") for j in range(n_in)]
            self.b = Parameter(0.0, f"b{l}[{i}]")
        self.activation, self._constants = _activation(activation if nonlin else "identity")
        self._z = f"z{l + 1}[{i}]"
        self._a = f"a{l + 1}[{i}]"

    @property
    def n_in(self) -> int:
        return len(self.w)

    def __call__(self, x: Iterable[Value | float]) -> Value:
        return self.fire(*_inputs(x, self.n_in))

    def fire(self, x: Sequence[Value | float], constants: bool = False) -> Value:
        """The unit's activation, of inputs that are as many as its weights: Values, or with `constants` floats too."""
        b = self.b
        z = record(dot, (*self.w, *x, b), constants)
        a = record(self.activation, (z, *self._constants))
        z.label = self._z
        a.label = self._a
        z.scope = a.scope = b.scope
        return a

    def parameters(self) -> list[Parameter]:
        return [*self.w, self.b]

    def weights(self) -> list[Parameter]:
        return self.w

    def __repr__(self) -> str:
        return f"Neuron({len(self.w)}, {self.activation.name!r})"

    _repr_svg_ = _repr_svg_


class Layer(Module):
    """n_out neurons with the same n_in inputs. It returns the list of their activations, or the only one itself.

    init    how the weights are drawn: "uniform" from (-1, 1), "glorot" (for tanh and its like), "he" (for relu)
    others  as for `Neuron`

    Raises ValueError for a size less than 1 and for an unknown init.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str | Op = "relu",
        *,
        nonlin: bool = True,
        init: str = "uniform",
        draw: Callable[[float, float], float] = random.uniform,
        l: int = 1,
    ) -> None:
        n_in, n_out = count(n_in, "the number of inputs"), count(n_out, "the number of units")
        if init not in RADIUS:
            raise ValueError(f"init is one of {', '.join(map(repr, RADIUS))}, got {init!r}")
        radius = RADIUS[init](n_in, n_out)
        self.neurons = [
            Neuron(n_in, activation, nonlin=nonlin, radius=radius, draw=draw, l=l, i=i) for i in range(n_out)
        ]

    @property
    def n_in(self) -> int:
        return self.neurons[0].n_in

    def __call__(self, x: Iterable[Value | float]) -> Any:
        return _outputs(self.fire(*_inputs(x, self.n_in)))

    def fire(self, x: Sequence[Value | float], constants: bool = False) -> list[Value]:
        """The units' activations, as `Neuron.fire`."""
        return [neuron.fire(x, constants) for neuron in self.neurons]

    def parameters(self) -> list[Parameter]:
        return _all(neuron.parameters() for neuron in self.neurons)

    def weights(self) -> list[Parameter]:
        return _all(neuron.weights() for neuron in self.neurons)

    def __repr__(self) -> str:
        return f"Layer({self.n_in}, {len(self.neurons)}, {self.neurons[0].activation.name!r})"

    _repr_svg_ = _repr_svg_


class MLP(Module):
    """A fully connected net, h(x) of E1 and E2: n_in inputs, then a layer of each of the sizes.

    activation, output_activation  f of the hidden layers and of the last one: a row that takes one number, or its name
    seed   the same seed gives the same weights, to the bit. None: they come from the global `random`, in the order
           layer by layer, neuron by neuron, so that `random.seed` governs them as it does micrograd's
    init   as for `Layer`

    `model(x)` takes n_in Values or numbers and returns the output, a Value; a list of them if the last layer has
    several units. `model.layers[l - 1].neurons[i]` has the derivation's W_ij^l as `.w[j]` and b_i^l as `.b`.

    Raises ValueError for a size less than 1, for no sizes, and for an unknown activation or init.
    """

    def __init__(
        self,
        n_in: int,
        sizes: Sequence[int],
        activation: str | Op = "relu",
        output_activation: str | Op = "identity",
        seed: int | None = None,
        init: str = "uniform",
    ) -> None:
        sizes = list(checked(sizes, Iterable, "sizes to be a list, with the number of units of each layer"))
        if not sizes:
            raise ValueError("an MLP has at least one layer, got no sizes")
        draw = (random if seed is None else random.Random(seed)).uniform
        _activation(activation)  # of no layer, if there is but one
        activations = [activation] * (len(sizes) - 1) + [output_activation]
        self.layers = [
            Layer(n_from, n_to, f, init=init, draw=draw, l=l)
            for l, ((n_from, n_to), f) in enumerate(zip(pairwise([n_in, *sizes]), activations), 1)
        ]

    @property
    def n_in(self) -> int:
        return self.layers[0].n_in

    def __call__(self, x: Iterable[Value | float]) -> Any:
        first, *others = self.layers
        a = first.fire(*_inputs(x, self.n_in))
        for layer in others:
            a = layer.fire(a)
        return _outputs(a)

    def parameters(self) -> list[Parameter]:
        return _all(layer.parameters() for layer in self.layers)

    def weights(self) -> list[Parameter]:
        return _all(layer.weights() for layer in self.layers)

    def __repr__(self) -> str:
        return f"MLP([{', '.join(map(repr, self.layers))}])"

    _repr_svg_ = _repr_svg_


def _activation(f: str | Op) -> tuple[Op, tuple[float, ...]]:
    """The row, and its further operands where it has defaults for them: the slope of leaky_relu."""
    if not isinstance(f, Op):
        f = row(checked(f, str, "an activation to be a row of the table (custom_op adds one), or its name"))
    try:
        f(math.nan)  # as good as any number to see whether f takes one
    except TypeError:
        raise ValueError(f"an activation is a function of one number, as tanh is; {f.name} is not") from None
    return f, f.operands(math.nan)[1:] if f.operands else ()


def _inputs(x: Iterable[Value | float], n_in: int) -> tuple[list[Value | float], bool]:
    """The inputs, checked, and whether floats are among them."""
    if not isinstance(x, Iterable):
        raise TypeError(f"expected a list of {counted(n_in, 'input')}, got {type(x).__name__} {x!r:.60}")
    inputs = [v if isinstance(v, Value) else number(v) for v in x]
    if len(inputs) != n_in:
        raise ValueError(f"expected {counted(n_in, 'input')}, got {len(inputs)}")
    return inputs, float in map(type, inputs)


def _outputs(a: Sequence[Any]) -> Any:
    return a[0] if len(a) == 1 else a


def _all(lists: Iterable[list[Parameter]]) -> list[Parameter]:
    return list(chain.from_iterable(lists))

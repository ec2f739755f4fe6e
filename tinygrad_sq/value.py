"""`Value`: a float that records the operations done with it, and `backward`, the chain rule over that record."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from tinygrad_sq import table
from tinygrad_sq.anomaly import check_gradients, check_value
from tinygrad_sq.context import context, context_with
from tinygrad_sq.copying import Copyable
from tinygrad_sq.graph import topological_order
from tinygrad_sq.methods import Methods
from tinygrad_sq.op import Op, number

Method: TypeAlias = "Callable[[Value, Value | float], Value]"


def _operator(op: Op) -> tuple[Method, Method]:
    """The methods for `v op other` and `other op v`. NotImplemented for what is no number, so that Python asks it.

    Most nodes are made here. So `record` stands here once more, for two Values.
    """
    forward, gradient = op.forward, op.gradient

    def operate(a: Value, b: Value | float) -> Value:
        if not isinstance(b, Value):
            return _with_number(op, a, b)
        here = context()
        if not here.plain:
            return record(op, (a, b))
        x, y = a.data, b.data
        node = _new(Value)
        node.data = z = forward(x, y)
        node.grad = 0.0
        node.op = op
        node.args = (a, b)
        node.label = ""
        node.scope = here.scope
        try:
            node.partials = gradient(z, x, y)
        except ArithmeticError:
            return record(op, (a, b))
        return node

    return operate, lambda b, a: _with_number(op, a, b)


def _with_number(op: Op, a: Any, b: Any) -> Value:
    try:
        args = (a, number(b)) if isinstance(a, Value) else (number(a), b)
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]
    return record(op, args, constants=True)


class Value(Methods, Copyable):
    """A scalar in a computation graph.

    data      its value
    grad      ∂J/∂(this value) after `J.backward()`; 0.0 before. On leaves it accumulates from call to call
    op, args  the row of the table that made it, and its operands in order: Values, or floats for constants; None, ()
              for a leaf
    partials  per operand, ∂(this value)/∂(operand) as a number, recorded with the value; None where no gradient flows
    label     its name in formulas and pictures
    scope     the groups that it belongs to, outermost first: ("layer 2", "neuron 0")

    Raises TypeError for what is no real number or no str as the label, OverflowError for an int too large for a float.
    """

    __slots__ = ("data", "grad", "op", "partials", "label", "scope", "__weakref__")
    data: float
    grad: float
    op: Op | None
    args: tuple[Value | float, ...]
    partials: tuple[float | None, ...]
    label: str
    scope: tuple[str, ...]

    def __init__(self, data: float, label: str = "") -> None:
        if isinstance(data, Value):
            raise TypeError(f"Value takes a number, got a Value; use {data!r} itself, or its .detach()")
        if not isinstance(label, str):
            raise TypeError(f"expected a label to be a str, got {type(label).__name__} {label!r:.60}")
        self.data = number(data)
        self.grad = 0.0
        self.op = None
        self.args = ()
        self.partials = ()
        self.label = label
        self.scope = context().scope

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        op = f", op={self.op.name}" if self.op else ""
        return f"Value(data={self.data!r}, grad={self.grad!r}{label}{op})"

    def __str__(self) -> str:
        from tinygrad_sq.study.formula import to_text

        return to_text(self)

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else str(self)

    def _repr_svg_(self) -> str | None:
        from tinygrad_sq.study.draw import notebook_svg

        return notebook_svg(self)

    # fmt: off
    __add__, _radd = _operator(table.add)
    __sub__, __rsub__ = _operator(table.sub)
    __mul__, __rmul__ = _operator(table.mul)
    __truediv__, __rtruediv__ = _operator(table.div)
    __pow__, __rpow__ = _operator(table.pow)
    def __radd__(self, other: float) -> Value:
        return self if type(other) is int and other == 0 else self._radd(other)  # sum() starts at 0: no ghost node
    def __neg__(self) -> Value: return record(table.neg, (self,))
    def __pos__(self) -> Value: return self
    def __abs__(self) -> Value: return record(table.abs, (self,))
    def __round__(self) -> Value: return record(table.round, (self,))

    # Comparison and conversion look at the data and leave the graph. Equality and hash are those of identity.
    def __lt__(self, other: Value | float) -> bool: return _compare(operator.lt, self, other)
    def __le__(self, other: Value | float) -> bool: return _compare(operator.le, self, other)
    def __gt__(self, other: Value | float) -> bool: return _compare(operator.gt, self, other)
    def __ge__(self, other: Value | float) -> bool: return _compare(operator.ge, self, other)
    def __bool__(self) -> bool: return bool(_look(self))
    def __float__(self) -> float: return _look(self)
    def __int__(self) -> int: return int(_look(self))
    def as_integer_ratio(self) -> tuple[int, int]: return _look(self).as_integer_ratio()  # for statistics.mean
    # fmt: on

    def backward(self) -> None:
        """Add ∂self/∂v to the `grad` of every leaf v that self depends on, and set that of every other node to it.

        Local derivatives are those recorded with the values: changing `data` afterwards does not change the gradient.
        Raises FloatingPointError under `detect_anomaly` for the first gradient that is not finite.
        """
        for node, gradient in adjoints(self).items():
            if node.args:
                node.grad = 0.0 if gradient is NOTHING else gradient
            else:
                node.grad += gradient

    @property
    def traced(self) -> bool:
        """Whether compile is recording the graph that it belongs to, and its number is one of many to come."""
        return context().unknown is not None

    def detach(self) -> Value:
        """A leaf with the same data and label, of which gradients know nothing."""
        return Value(_look(self), self.label)

    def __record__(self, op: Op, args: tuple[Any, ...]) -> Value:
        """The node for a call of `op` with these operands, one of which is a Value."""
        return record(op, tuple([arg if isinstance(arg, Value) else number(arg) for arg in args]))


# The sum of no contributions: adding to -0.0 changes nothing, not even the sign of a zero. Told from a sum that came
# out as zero by identity, so that nothing is passed on where no gradient arrived (nothing times inf would be NaN).
NOTHING = float("-0.0")

A = TypeVar("A")


def chain_rule(adjoint: dict[Value, A], nothing: A, partials: Callable[[Value], Iterable[Any]]) -> None:
    """∂J/∂v = Σ (∂J/∂user) (∂user/∂v) over the users of v: E6c, for every v, from the last to the first.

    `adjoint` has the nodes in topological order, on entry with ∂J/∂J and `nothing` for the rest; at the end with ∂J/∂v.
    """
    for node, upstream in reversed(adjoint.items()):
        if upstream is not nothing:
            for arg, local in zip(node.args, partials(node)):
                if local is not None:
                    adjoint[arg] += upstream * local  # type: ignore[index]


recorded_partials = operator.attrgetter("partials")


def adjoints(y: Value) -> dict[Value, float]:
    """∂y/∂v for every v that y depends on, in topological order, from the partials recorded in the forward pass."""
    order = topological_order(y)
    adjoint = dict.fromkeys(order, NOTHING)
    adjoint[y] = 1.0
    chain_rule(adjoint, NOTHING, recorded_partials)
    if (origins := context().origins) is not None:
        check_gradients(order, adjoint, origins)
    return adjoint


# --- recording ---


def record(op: Op, args: tuple[Value | float, ...], constants: bool = False) -> Value:
    """The node op(*args): its value and, as numbers, its partial derivatives by the operands that are Values.

    Whoever knows that some of them are floats says so with `constants`: it saves finding out.
    """
    xs: list[Any]
    if not constants:
        try:
            xs = [arg.data for arg in args]  # type: ignore[union-attr]
        except AttributeError:
            constants = True
    if constants:
        xs = [arg.data if isinstance(arg, Value) else arg for arg in args]
    here = context()
    known: Any = op
    if here.unknown is not None and any(x is here.unknown for x in xs):
        known, constants = here.unknown, False  # compile traces: there is no number yet
    node = _new(Value)
    node.data = y = known.forward(*xs)
    node.grad = 0.0
    node.label = ""
    node.scope = here.scope
    if here.recording:
        node.op = op
        node.args = args
        try:
            node.partials = _partials(op, args, y, xs) if constants else known.gradient(y, *xs)
        except ArithmeticError:
            node.partials = _partials(op, args, y, xs)
    else:
        node.op = None
        node.args = node.partials = ()
        if here.unknown is not None:
            here.unknown.refuse()
    if here.origins is not None and known is op:
        check_value(node, op, args, here.origins)
    return node


_new = object.__new__


def each_partial(op: Op, args: tuple[Value | float, ...], evaluate: Callable[[Callable[..., Any]], Any]) -> list[Any]:
    """The partials of op by each operand: none by a constant, and of the functions among them what `evaluate` makes."""
    partials = op.partials if isinstance(op.partials, tuple) else evaluate(op.partials)
    return [None if not isinstance(arg, Value) else evaluate(d) if callable(d) else d for arg, d in zip(args, partials)]


def _partials(op: Op, args: tuple[Value | float, ...], y: float, xs: list[float]) -> tuple[float | None, ...]:
    return tuple(each_partial(op, args, lambda partial: _ieee(partial, y, xs)))


def _ieee(partial: Callable[..., Any], y: float, xs: list[float]) -> Any:
    """partial(y, *xs). Where Python's floats raise, once more on Values, which compute as IEEE 754 does."""
    try:
        return partial(y, *xs)
    except ArithmeticError:
        with context_with(recording=False, origins=None, unknown=None):
            result = partial(Value(y), *map(Value, xs))
        if isinstance(result, Value):
            return result.data
        return [d.data if isinstance(d, Value) else d for d in result]


def _look(v: Value) -> float:
    """v's number, for what leaves the graph."""
    unknown = context().unknown
    return v.data if unknown is None else unknown.refuse(v.label)


def _compare(relation: Callable[[float, float], bool], a: Value, b: Any) -> bool:
    x = _look(a)
    try:
        return relation(x, b.data if isinstance(b, Value) else number(b))
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]

"""Derivatives as graph: `gradient`, and the function transforms made of it (grad, jacobian, hessian, jvp, vjp, hvp).

`backward` runs the chain rule on numbers. `gradient` runs the same loop on Values, with partials from the same table:
its result is a graph like any other, that can be evaluated, drawn, printed and differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TypeAlias

from tinygrad_sq import table
from tinygrad_sq.anomaly import check_tangents
from tinygrad_sq.checks import checked, listed
from tinygrad_sq.context import context, context_with
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op, number
from tinygrad_sq.tree import flatten, flatten_like
from tinygrad_sq.value import NOTHING, Value, adjoints, chain_rule, each_partial, record, recorded_partials

# --- the chain rule on Values ---


def gradient(y: Value, xs: Iterable[Value], upstream: Value | float = 1.0) -> list[Value]:
    """∂y/∂x for each x of `xs` (leaves or not), as Values that are functions of the same leaves as y.

    Each is Σ (∂y/∂user)(∂user/∂x) over the users of x [E6c], one `dot`, and is named ∂y/∂x where y and x have names.
    A product with 1 or -1 and a sum of one term are not written out; nothing is simplified that could turn a NaN or an
    inf into a number. An x that y does not depend on has gradient 0. With `upstream`, all are multiplied by it: they
    are the gradients of J, of which ∂J/∂y is upstream.

    Raises TypeError for what is not a Value, ValueError if data was changed after the forward pass (see `replay`).
    """
    xs = listed(xs, Value, "a list of Values to differentiate by")
    adjoint = dict.fromkeys(topological_order(checked(y, Value, "a Value to differentiate")), _EMPTY)
    adjoint[y] = _Sum((upstream, 1.0, None))
    chain_rule(adjoint, _EMPTY, graph_partials)
    sums = [adjoint.get(x, _EMPTY) for x in xs]
    results = [_as_value(sum_.value) for sum_ in sums]
    if y.label:
        made = {id(sum_.value) for sum_ in adjoint.values() if sum_.made}
        # Where a = z, one sum is ∂J/∂a and ∂J/∂z: it has the name of the first, unless the other is asked for.
        for node, sum_ in reversed(adjoint.items()):
            if node.args and node.label and id(sum_.value) in made:
                sum_.name(f"∂{y.label}/∂{node.label}")
        for x, sum_ in zip(xs, sums):
            if sum_.made and x.label:
                sum_.name(f"∂{y.label}/∂{x.label}")
    return results


# An upstream gradient, a local derivative, and the guard of their product: see `_Sum`.
_Term: TypeAlias = "tuple[Value | float, Value | float, Value | None]"


class _Sum:
    """Σ upstream · local, not yet added up: what `chain_rule` collects when it runs on Values.

    guard: behind a branch of which compile does not know whether it is taken, the condition under which any gradient
    flows here. Elsewhere the sum is exactly 0, and so is what it passes on: 0 · inf must not come of it.
    """

    __slots__ = ("_value", "guard", "made", "terms")

    def __init__(self, *terms: _Term) -> None:
        self.terms = list(terms)
        self.guard = terms[0][2] if terms else None
        self._value: Value | float | None = None
        self.made = False  # whether the sum is a node of its own, and not one of its terms

    def __add__(self, term: _Term) -> _Sum:
        if not self.terms:
            return _Sum(term)
        self.terms.append(term)
        if self.guard is not None:
            _, _, guard = term
            if guard is None:
                self.guard = None
            elif self.guard is not guard:
                self.guard = table.where(self.guard, 1.0, guard)
        return self

    def __mul__(self, local: Value | float | table.Branch) -> _Term:
        guard = self.guard
        if isinstance(local, table.Branch):
            guard = local.condition if guard is None else table.where(guard, local.condition, 0.0)
            return table.where(guard, self.value, 0.0), 1.0, guard
        if guard is not None and not (isinstance(local, float) and math.isfinite(local)):
            local = table.where(guard, local, 0.0)
        return self.value, local, guard

    @property
    def value(self) -> Value | float:
        if self._value is None:
            self._value = self._add_up()
        return self._value

    def _add_up(self) -> Value | float:
        if not self.terms:
            return 0.0
        if len(self.terms) == 1:
            ((u, d, _),) = self.terms
            for factor, other in ((d, u), (u, d)):
                if type(factor) is float and factor in (1.0, -1.0):
                    self.made = factor == -1.0
                    return -other if self.made else other
            self.made = True
            return u * d
        self.made = True
        upstream, local, _ = zip(*reversed(self.terms))  # in the order in which the users were made, as E6 is written
        if all(type(d) is float and d == 1.0 for d in local):
            return _call(table.total, *upstream)
        return _call(table.dot, *upstream, *local, 0.0)

    def name(self, label: str) -> None:
        if isinstance(self._value, Value):
            self._value.label = label


_EMPTY = _Sum()


def _call(op: Op, *args: Value | float) -> Value | float:
    return record(op, args) if any(isinstance(arg, Value) for arg in args) else op.forward(*args)


def _as_value(x: Value | float) -> Value:
    return x if isinstance(x, Value) else Value(x)


def graph_partials(node: Value) -> list[Any]:
    """The partials of a node as Values (floats where they are constant, None where no gradient flows)."""
    op = node.op
    if op is None:
        return []
    each = each_partial(op, node.args, lambda partial: _on_values(partial, node))
    data = [d.data if isinstance(d, Value) else d for d in each]
    unknown: Any = context().unknown
    if node.data is not unknown and data != [*node.partials]:
        for now, then in zip(data, node.partials):
            if isinstance(now, table.Branch) or now == then or (now != now and then != then):
                continue
            name = f" {node.label}" if node.label else ""
            raise ValueError(
                f"an operand of the {op.name} node{name} was changed after the forward pass (a partial derivative was "
                f"{then!r} then and is {now!r} now); replay() evaluates the graph again"
            )
    return each


def _on_values(partial: Callable[..., Any], node: Value) -> Any:
    try:
        return partial(node, *node.args)
    except ArithmeticError:  # of constants; Values compute as IEEE 754 does
        return partial(node, *map(_as_value, node.args))


def push_forward(
    order: list[Value], tangent: dict[Value, Any], nothing: Any, partials: Callable[[Value], Iterable[Any]]
) -> None:
    """∂v/∂t = Σ (∂v/∂arg)(∂arg/∂t) over the operands of v: the chain rule from the beginning of `order` to its end.

    On entry `tangent` holds ∂x/∂t of the variables x; at the end, of everything that depends on them.
    """
    for node in order:
        if node not in tangent:
            rate = nothing
            for arg, local in zip(node.args, partials(node)):
                if local is not None and arg in tangent:
                    rate = rate + tangent[arg] * local
            if rate is not nothing:
                tangent[node] = rate


# --- functions of scalars and of nested lists of scalars ---

# Whether some transform is evaluating its function: what is then computed must stay graph, for the outer one.
_inside = ContextVar("inside a transform", default=False)


def _numeric(leaves: Iterable[Any]) -> bool:
    """Whether what is found at these numbers is to be numbers: nothing outside is recording a graph of it."""
    recorded = _inside.get() or context().unknown is not None
    return not recorded and not any(isinstance(leaf, Value) for leaf in leaves)


class _Point:
    """The arguments of a function, with the variables to differentiate by as Values of their own.

    A number becomes a leaf, a Value v the node identity(v): whoever else uses v, even as a variable of an outer
    transform, is not confused with it, and what is found remains a function of v.
    """

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], argnums: int | tuple[int, ...]) -> None:
        chosen = (argnums,) if isinstance(argnums, int) else argnums
        for i in chosen:
            if not -len(args) <= i < len(args):
                raise ValueError(f"argnums counts from 0: a call with {len(args)} arguments has no argument {i}")
        if len({i % len(args) for i in chosen}) < len(chosen):
            raise ValueError(f"argnums names an argument twice: {argnums}")
        selected = args[argnums] if isinstance(argnums, int) else tuple([args[i] for i in argnums])
        leaves, self.rebuild = flatten(selected)
        everything, _ = flatten(args)
        self.numeric = _numeric(everything)
        self.variables = [table.identity(v) if isinstance(v, Value) else Value(v) for v in leaves]
        lifted = self.rebuild(self.variables)
        arguments = list(args)
        for i, arg in zip(chosen, (lifted,) if isinstance(argnums, int) else lifted):
            arguments[i] = arg
        token = _inside.set(True)
        try:
            with context_with(recording=True):  # under no_grad, too
                self.result = f(*arguments)
        finally:
            _inside.reset(token)

    def scalar(self, transform: str) -> Value | float:
        if not isinstance(self.result, (Value, int, float)):
            got = type(self.result).__name__
            raise TypeError(f"{transform} takes a function with one scalar result, got a {got}; see jacobian")
        return self.result

    def gradient(self, y: Any, numeric: bool) -> list[Any]:
        """∂y/∂(each variable), as numbers or as Values."""
        if not isinstance(y, Value):
            return [0.0 if numeric else Value(0.0) for _ in self.variables]
        if not numeric:
            return gradient(y, self.variables)
        adjoint = adjoints(y)
        return [adjoint.get(x, 0.0) + 0.0 for x in self.variables]

    def plain(self, y: Any) -> Any:
        return y.data if self.numeric and isinstance(y, Value) else y


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Any, Any]]:
    """The function that gives f's value and its gradient by the arguments `argnums`, in the structure of those.

    f takes scalars and nested lists, tuples and dicts of scalars, and returns a scalar. Called with numbers, the
    results are numbers, also where f uses Values; called with Values, or inside another transform or a compiled
    function, they are Values that can be differentiated.
    Raises TypeError if f's result is not a scalar, ValueError for an argument number out of range or there twice.
    """

    def evaluate(*args: Any) -> tuple[Any, Any]:
        point = _Point(f, args, argnums)
        y = point.scalar("grad")
        return point.plain(y), point.rebuild(point.gradient(y, point.numeric))

    return evaluate


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function ∇f: as `value_and_grad`, without the value. grad(grad(f)) is the second derivative."""
    both = value_and_grad(f, argnums)
    return lambda *args: both(*args)[1]


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives ∂f_i/∂x_j: f's result, with the structure of the arguments in place of each scalar."""

    def evaluate(*args: Any) -> Any:
        point = _Point(f, args, argnums)
        outputs, rebuild = flatten(point.result)
        return rebuild([point.rebuild(point.gradient(y, point.numeric)) for y in outputs])

    return evaluate


def hessian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives ∂²f/∂x_i∂x_j, in the structure of the arguments twice over: jacobian(grad(f))."""
    return jacobian(grad(f, argnums), argnums)


def jvp(f: Callable[[Any], Any], x: Any, v: Any) -> tuple[Any, Any]:
    """f(x) and J v, the derivative of f at x along v (in x's structure); both in the structure of f's result."""
    point = _Point(f, (x,), 0)
    directions = _like(v, x, "v")
    outputs, rebuild = flatten(point.result)
    roots = [y for y in outputs if isinstance(y, Value)]
    order = topological_order(*roots)
    numeric = point.numeric and not any(isinstance(d, Value) for d in directions)
    tangent: dict[Value, Any] = {
        variable: d if numeric else _Sum((d, 1.0, None)) for variable, d in zip(point.variables, directions)
    }
    if numeric:
        push_forward(order, tangent, NOTHING, recorded_partials)
        if (origins := context().origins) is not None:
            check_tangents(order, roots, tangent, origins)
        rates = [tangent.get(y, 0.0) + 0.0 for y in outputs]
    else:
        push_forward(order, tangent, _EMPTY, graph_partials)
        rates = [_as_value(tangent.get(y, _EMPTY).value) for y in outputs]
    return rebuild([point.plain(y) for y in outputs]), rebuild(rates)


def vjp(f: Callable[[Any], Any], x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """f(x), and the function that takes u (in the structure of f's result) to uᵀ J (in the structure of x)."""
    point = _Point(f, (x,), 0)
    outputs, rebuild = flatten(point.result)

    def pull_back(u: Any) -> Any:
        weights = _like(u, point.result, "u")
        with context_with(recording=True):
            y = _call(table.dot, *weights, *outputs, 0.0)
        return point.rebuild(point.gradient(y, point.numeric and _numeric(weights)))

    return rebuild([point.plain(y) for y in outputs]), pull_back


def hvp(f: Callable[[Any], Any], x: Any, v: Any) -> Any:
    """H v, the product of f's Hessian at x with v: forward mode over the gradient, without ever forming H."""
    return jvp(grad(f), x, v)[1]


def _like(tree: Any, model: Any, name: str) -> list[Value | float]:
    """The scalars of `tree`, which must have the structure of `model`."""
    return [leaf if isinstance(leaf, Value) else number(leaf) for leaf in flatten_like(tree, model, name)]

"""Derivatives as graph: against mpmath, by several routes, of any order, of functions of any structure, and as they are
built, named, simplified and freed."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import oracle
import pytest
from expressions import Expression, Step
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import output_under_any_hash_seed
from strategies import SMOOTH, Net, expressions, fitting, nets, operand_counts, operands_at

from tinygrad_sq import (
    SGD,
    Value,
    compile,
    cost,
    deltas,
    detect_anomaly,
    dot,
    exp,
    grad,
    gradient,
    half_squared_error,
    hessian,
    hvp,
    jacobian,
    jvp,
    less,
    log,
    no_grad,
    sqrt,
    square,
    stop_gradient,
    table,
    tanh,
    total,
    value_and_grad,
    vjp,
    where,
    xlogy,
)
from tinygrad_sq.calculus import push_forward
from tinygrad_sq.deltas import units
from tinygrad_sq.graph import topological_order
from tinygrad_sq.nn import MLP
from tinygrad_sq.op import Op
from tinygrad_sq.value import NOTHING, adjoints, recorded_partials

# The unit is the sum of what half an ulp of each operation and each operand does to the exact derivative.
FEW = 4.0


def agree(got: float, e: Expression, *orders: int) -> bool:
    """Whether `got` is the derivative of e by the leaves of these numbers, but for rounding."""
    return bool(abs(mp.mpf(got) - e.exact(*orders)) <= FEW * e.rounding(*orders))


def thorough(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(max_examples=examples, deadline=None)


# --- random expressions over the whole table, against mpmath ---


@thorough(100)
@given(e=expressions(most_leaves=3, most_steps=7))
def test_first_derivatives(e: Expression) -> None:
    """gradient(y, xs) and backward() give ∂y/∂x within a few units of what rounding may do, for every expression."""
    xs = e.values()
    y = e(*xs)
    graph = gradient(y, xs)
    y.backward()
    for i, x in enumerate(xs):
        assert agree(graph[i].data, e, i)
        assert agree(x.grad, e, i)


def hessian_by_hvp(e: Expression) -> list[list[float]]:
    """Forward over reverse: H times each unit vector."""
    n = len(e.leaves)
    return [hvp(lambda x: e(*x), list(e.leaves), unit(n, j)) for j in range(n)]


def hessian_by_forward_twice(e: Expression) -> list[list[float]]:
    """Forward over forward."""
    n = len(e.leaves)

    def along(x: list[Any], j: int) -> Any:
        return jvp(lambda x: e(*x), x, unit(n, j))[1]

    return [[jvp(partial(along, j=j), list(e.leaves), unit(n, i))[1] for j in range(n)] for i in range(n)]


def hessian_by_reverse_over_forward(e: Expression) -> list[list[float]]:
    n = len(e.leaves)
    return [grad(lambda x, j=j: jvp(lambda x: e(*x), x, unit(n, j))[1])(list(e.leaves)) for j in range(n)]


def hessian_by_backward(e: Expression) -> list[list[float]]:
    """The gradient as graph, and then the engine's own backward from each of its components."""
    n = len(e.leaves)
    rows = []
    for i in range(n):
        xs = e.values()
        gradient(e(*xs), xs)[i].backward()
        rows.append([x.grad for x in xs])
    return rows


def hessian_by_vjp(e: Expression) -> list[list[float]]:
    n = len(e.leaves)
    _, pull_back = vjp(grad(lambda x: e(*x)), list(e.leaves))
    return [pull_back(unit(n, i)) for i in range(n)]


def unit(n: int, i: int) -> list[float]:
    return [float(i == j) for j in range(n)]


HESSIANS: dict[str, Callable[[Expression], list[list[float]]]] = {
    "hessian": lambda e: hessian(lambda x: e(*x))(list(e.leaves)),
    "jacobian of grad": lambda e: jacobian(grad(lambda x: e(*x)))(list(e.leaves)),
    "arguments apart": lambda e: hessian(lambda *xs: e(*xs), tuple(range(len(e.leaves))))(*e.leaves),
    "hvp": hessian_by_hvp,
    "forward over forward": hessian_by_forward_twice,
    "reverse over forward": hessian_by_reverse_over_forward,
    "backward of gradient": hessian_by_backward,
    "vjp of grad": hessian_by_vjp,
}


@thorough(100)
@given(e=expressions())
def test_second_derivatives_by_every_route(e: Expression) -> None:
    """∂²y/∂x_i∂x_j is within a few units of rounding of the exact one, and so the Hessian is symmetric: by reverse over
    reverse, forward over reverse, reverse over forward, forward over forward, and backward over the gradient graph."""
    n = range(len(e.leaves))
    upper = {(i, j): (e.exact(i, j), FEW * e.rounding(i, j)) for i in n for j in n if i <= j}
    for route, by in HESSIANS.items():
        H = by(e)
        for i, j in product(n, n):
            exact, allowed = upper[min(i, j), max(i, j)]
            assert abs(H[i][j] - exact) <= allowed, f"{route}, {i} {j}: {H[i][j]!r}, not {float(exact)!r}"


@thorough(60)
@given(e=expressions(most_leaves=3, most_steps=6))
def test_first_derivatives_by_every_route(e: Expression) -> None:
    """The gradient, the Jacobian's only row, J times unit vectors and 1 times J are one vector."""
    at, n = list(e.leaves), len(e.leaves)

    def f(x: list[Any]) -> Any:
        return e(*x)

    routes: dict[str, list[Any]] = {
        "grad": grad(f)(at),
        "grad of Values": [g.data for g in grad(f)(e.values())],
        "jacobian": jacobian(f)(at),
        "vjp": vjp(f, at)[1](1.0),
        "jvp": [jvp(f, at, unit(n, i))[1] for i in range(n)],
        "jvp of Values": [jvp(f, e.values(), unit(n, i))[1].data for i in range(n)],
    }
    exact = [(e.exact(i), FEW * e.rounding(i)) for i in range(n)]
    for route, row in routes.items():
        assert len(row) == n
        for got, (right, allowed) in zip(row, exact):
            assert abs(got - right) <= allowed, f"{route}: {got!r}, not {float(right)!r}"


# Rows that give whole numbers of whole numbers: on them floats are exact, and laws hold to the bit.
WHOLE = [table.add, table.sub, table.mul, table.neg, table.square, table.identity, table.total, table.dot]


@st.composite
def whole_expressions(draw: st.DrawFn, outputs: int = 1) -> Expression:
    e = draw(expressions(WHOLE, most_leaves=3, most_steps=3))
    leaves = draw(st.lists(st.integers(-3, 3).map(float), min_size=len(e.leaves), max_size=len(e.leaves)))
    steps = tuple(
        step._replace(operands=tuple(x if isinstance(x, int) else float(round(x)) for x in step.operands))
        for step in e.steps
    )
    return Expression(tuple(leaves), steps, min(outputs, len(leaves) + len(steps)))


vectors_of_whole_numbers = st.lists(st.integers(-9, 9).map(float), min_size=6, max_size=6)


@given(e=whole_expressions(outputs=3), v=vectors_of_whole_numbers, u=vectors_of_whole_numbers)
def test_jvp_and_vjp_are_transposes(e: Expression, v: list[float], u: list[float]) -> None:
    """uᵀ (J v) = (uᵀ J) v, and both are what J itself gives: to the bit, where floats are exact."""
    at = list(e.leaves)
    v, u = v[: len(at)], u[: e.outputs]

    def f(x: list[Any]) -> list[Any]:
        return e(*x) if e.outputs > 1 else [e(*x)]

    values, Jv = jvp(f, at, v)
    same_values, pull_back = vjp(f, at)
    uJ = pull_back(u)
    J = jacobian(f)(at)
    assert values == same_values == [float(y) for y in f(e.values())]
    assert Jv == [inner(row, v) for row in J]
    assert uJ == [inner(u, column) for column in zip(*J)]
    assert inner(u, Jv) == inner(uJ, v)


def inner(u: Sequence[Any], v: Sequence[Any]) -> Any:
    return sum(a * b for a, b in zip(u, v))


@given(e=whole_expressions(), v=vectors_of_whole_numbers)
def test_every_second_derivative_is_one_number(e: Expression, v: list[float]) -> None:
    """Hessians by all routes are equal to the bit, and symmetric, and H v = hvp, where floats are exact."""
    H = HESSIANS["hessian"](e)
    for by in HESSIANS.values():
        assert [list(row) for row in by(e)] == H
    assert [list(column) for column in zip(*H)] == H
    assert hvp(lambda x: e(*x), list(e.leaves), v[: len(e.leaves)]) == [inner(row, v) for row in H]


@given(e=whole_expressions())
def test_fractions(e: Expression) -> None:
    """On whole numbers, the gradient is that of Fraction dual numbers, exactly."""
    xs = e.values()
    got = gradient(e(*xs), xs)
    for i, g in enumerate(got):
        duals = [(Fraction(x), Fraction(int(i == j))) for j, x in enumerate(e.leaves)]
        assert g.data == dual(e, duals)


def dual(e: Expression, nodes: list[tuple[Fraction, Fraction]]) -> Fraction:
    """The derivative by forward mode on pairs (value, rate). A symmetric difference is exact, as rows of WHOLE are of
    degree 2 at most."""
    for row, operands in e.steps:
        xs = [nodes[arg] if isinstance(arg, int) else (Fraction(arg), Fraction(0)) for arg in operands]
        f = oracle.FUNCTIONS[row.name]
        value, ahead, behind = (f(*[x + side * rate for x, rate in xs]) for side in (0, 1, -1))
        nodes.append((value, Fraction(ahead - behind) / 2))
    return nodes[-1][1]


# --- third derivatives of the rows ---


@pytest.mark.parametrize(
    "row", [row for row in table.rows.values() if row.partials != (None,)], ids=lambda row: row.name
)
@thorough(8)
@given(data=st.data())
def test_third_derivative_of_every_row(row: Op, data: st.DataObject) -> None:
    """d³/dt³ f(x + t v) at t = 0 by grad(grad(grad(·))) is that of mpmath within a few units of rounding, at any
    point x of the domain where f is smooth, along any v."""
    n = data.draw(st.sampled_from(operand_counts(row, 4)))
    x = data.draw(fitting(row, n))
    v = data.draw(st.tuples(*[st.sampled_from([1.0, 0.5, -0.75])] * n))
    line = []
    for i, (x_i, v_i) in enumerate(zip(x, v)):
        line += [Step(table.mul, (0, v_i)), Step(table.add, (2 * i + 1, x_i))]
    e = Expression((0.0,), (*line, Step(row, tuple(2 * i + 2 for i in range(n)))))
    assert agree(grad(grad(grad(lambda t: e(t))))(0.0), e, 0, 0, 0)


# --- perturbations of nested calls ---


def test_perturbation_confusion() -> None:
    """d/dx (x · d/dy (x + y)) at x = 1 is 1, by every mode inside every mode (Siskind and Pearlmutter 2005)."""

    def forward(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: jvp(f, x, 1.0)[1]

    def reverse(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: vjp(f, x)[1](1.0)

    for outer, inner in product((grad, jacobian, forward, reverse), repeat=2):
        assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0  # noqa: B023
        assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0  # noqa: B023


def test_the_variable_of_an_outer_call_as_the_point_of_an_inner_one() -> None:
    """At y = x, ∂/∂y (x y) is x, not 2x: what is differentiated by is the argument, not whatever has its value."""
    assert grad(lambda x: grad(lambda y: x * y)(x))(3.0) == 1.0
    assert grad(lambda x: jvp(lambda y: x * y, x, 1.0)[1])(3.0) == 1.0
    assert grad(lambda x: jvp(lambda y: y * y, x, x)[1])(3.0) == 12.0
    assert grad(lambda x, y: x * y, argnums=(0, 1))(*[Value(2.0)] * 2)[0].data == 2.0
    v = Value(3.0)
    assert [g.data for g in grad(lambda x: x[0] * x[1])([v, v])] == [3.0, 3.0]
    assert [[h.data for h in row] for row in hessian(lambda x: x[0] * x[1])([v, v])] == [[0.0, 1.0], [1.0, 0.0]]


def test_a_value_from_outside_is_a_constant_of_the_inner_call_and_a_variable_of_the_outer_one() -> None:
    """d/da of ∂/∂x (a x²) at x = 3 is 2x."""
    a = Value(5.0, "a")
    slope = grad(lambda x: a * x * x)(Value(3.0))
    slope.backward()
    assert (slope.data, a.grad) == (30.0, 6.0)


def test_derivatives_of_any_order() -> None:
    """The n-th derivative of x^9 is 9!/(9-n)! x^(9-n), of exp it is exp; n = 1 .. 9."""
    power: Callable[[Any], Any] = lambda x: x**9
    exponential: Callable[[Any], Any] = exp
    for n in range(1, 10):
        power, exponential = grad(power), grad(exponential)
        assert power(1.0) == math.perm(9, n)
        assert exponential(0.5) == math.exp(0.5)


def test_after_an_error_inside_a_transform_numbers_are_numbers_again() -> None:
    """A function that raises leaves no transform open behind it."""
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 // 0)(1.0)
    assert type(grad(lambda x: x * x)(1.0)) is float


# --- functions of any structure ---


class Point(NamedTuple):
    x: Any
    y: Any


def test_results_mirror_the_arguments() -> None:
    """∇f has the structure of f's arguments: lists, tuples, named tuples and dicts, nested, of numbers."""
    at = {"w": [[1.0, 2.0], [3.0]], "p": Point(4.0, (5.0,)), "none": []}

    def f(t: Any) -> Any:
        return t["w"][0][0] * t["w"][1][0] + square(t["p"].x) + 7.0 * t["p"].y[0]

    value, gradients = value_and_grad(f)(at)
    assert value == 54.0
    assert gradients == {"w": [[3.0, 0.0], [1.0]], "p": Point(8.0, (7.0,)), "none": []}
    assert type(gradients["p"]) is Point
    assert jvp(f, at, at) == (54.0, 3.0 + 3.0 + 32.0 + 35.0)
    assert hvp(f, at, at) == {"w": [[3.0, 0.0], [1.0]], "p": Point(8.0, (0.0,)), "none": []}
    assert hvp(f, at, dict(reversed(at.items()))) == hvp(f, at, at)
    assert hessian(f)(at)["w"][0][0]["w"][1][0] == 1.0
    assert hessian(f)(at)["p"].x["p"] == Point(2.0, (0.0,))


def test_jacobian_has_the_arguments_in_place_of_each_result() -> None:
    """Of f: {x, y} -> (p, [q]), J is ({x, y}, [{x, y}])."""
    J = jacobian(lambda t: (t["x"] * t["y"], [t["x"] + 1.0, 2.0]))({"x": 3.0, "y": 5.0})
    assert J == ({"x": 5.0, "y": 3.0}, [{"x": 1.0, "y": 0.0}, {"x": 0.0, "y": 0.0}])
    assert vjp(lambda t: (t[0] * t[1], [t[0], 2.0]), [3.0, 5.0])[1]((1.0, [10.0, 7.0])) == [15.0, 3.0]


def test_argnums() -> None:
    """An int gives the one gradient, a tuple a tuple of them; negative numbers count from the end."""

    def f(x: Any, y: Any, n: int) -> Any:
        return x**n * y

    assert grad(f)(2.0, 3.0, 2) == 12.0
    assert grad(f, argnums=1)(2.0, 3.0, 2) == 4.0
    assert grad(f, argnums=(1, 0))(2.0, 3.0, 2) == (4.0, 12.0)
    assert grad(f, argnums=-2)(2.0, 3.0, 2) == 4.0
    assert hessian(f, argnums=(0, 1))(2.0, 3.0, 2) == ((6.0, 4.0), (4.0, 0.0))
    assert value_and_grad(f, (0,))(2.0, 3.0, 2) == (12.0, (12.0,))
    for wrong in (3, -4, (0, 3)):
        with pytest.raises(ValueError, match=r"argnums counts from 0: a call with 3 arguments has no argument (3|-4)"):
            grad(f, argnums=wrong)(2.0, 3.0, 2)
    for twice in ((0, 0), (1, -2)):
        with pytest.raises(ValueError, match=f"names an argument twice: {re.escape(str(twice))}"):
            jacobian(f, argnums=twice)(2.0, 3.0, 2)


ENDS = [
    pytest.param(row, beyond, id=f"{row.name}({beyond})")
    for row in table.rows.values()
    if row.arity == 1
    for end, beyond in [(row.domain[0][0], row.domain[0][0] - 1.0), (row.domain[0][1], row.domain[0][1] + 1.0)]
    if math.isfinite(end)
]


@pytest.mark.parametrize(("row", "x"), ENDS)
def test_outside_the_domain_the_derivatives_of_every_order_are_nan(row: Op, x: float) -> None:
    """A gradient where there is no value hides a fault, and so does a second one of 0. Compiled, too."""
    f: Any = row
    for _ in range(4):
        assert math.isnan(f(x))
        assert math.isnan(compile(f).each([x])[0])
        f = grad(f)


def test_outside_its_domain_all_that_depends_on_the_second_operand_of_xlogy_is_nan() -> None:
    """Also where x is 0, and the value therefore 0."""
    for x in (2.0, 0.0, -1.0):
        assert all(map(math.isnan, grad(xlogy, argnums=(0, 1))(x, -1.0)))
        (_, *mixed), second = hessian(xlogy, argnums=(0, 1))(x, -1.0)
        assert all(map(math.isnan, (*mixed, *second)))


def test_the_pull_back_of_vjp_can_be_differentiated() -> None:
    """It is a function of u, also at a point of numbers."""
    _, pull_back = vjp(lambda x: x**3, 2.0)
    assert pull_back(1.0) == 12.0
    assert isinstance(pull_back(Value(1.0)), Value)
    assert grad(pull_back)(1.0) == 12.0
    assert jvp(pull_back, 1.0, 2.0) == (12.0, 24.0)
    _, pull_back = vjp(lambda x: 1.5, 2.0)
    assert pull_back(1.0) == 0.0
    assert grad(pull_back)(1.0) == 0.0


def test_nan_of_another_type_is_no_change() -> None:
    """Data set to NumPy's NaN has NaN for a partial, then and now."""
    v = Value(1.0)
    v.data = np.float64("nan")
    assert math.isnan(gradient(abs(v), [v])[0].data)


def test_a_condition_that_changed() -> None:
    """The other branch would then be differentiated: an error, as for any other operand."""
    c, a, b = Value(1.0), Value(2.0), Value(3.0)
    y = where(c, a, b)
    c.data = 0.0
    with pytest.raises(ValueError, match="an operand of the where node was changed after the forward pass"):
        gradient(y, [a, b])


def test_numbers_give_numbers_and_values_give_values() -> None:
    """At a point of numbers all results are floats; one Value among the arguments, differentiated by or not, and all
    are Values, constants too."""
    results = [
        value_and_grad(lambda x, a: a * x)(2.0, 3.0),
        (1.5, grad(lambda x: 1.5)(2.0)),
        jvp(lambda x: x * x, 2.0, 1),
        (jacobian(lambda x: [x, 4.0])(2.0)),
        jvp(lambda x: 4, 2.0, 1.0),
    ]
    assert results == [(6.0, 3.0), (1.5, 0.0), (4.0, 4.0), [1.0, 0.0], (4, 0.0)]
    assert all(type(x) is float for pair in results[:4] for x in pair)
    a = Value(3.0)
    value, slope = value_and_grad(lambda x, a: a * x)(2.0, a)
    assert (value.data, slope.data) == (6.0, 3.0)
    assert slope is a
    zero = grad(lambda x: a)(2.0)
    assert zero == 0.0
    (zero,) = grad(lambda x: 7.0)([a])
    assert isinstance(zero, Value)
    assert zero.data == 0.0
    _, rate = jvp(lambda x: [x[0] * x[1], 1.0], [a, 2.0], [1.0, 0.0])
    assert [r.data for r in rate] == [2.0, 0.0]
    _, rate = jvp(lambda x: x * x, 3.0, a)
    rate.backward()
    assert (rate.data, a.grad) == (18.0, 6.0)


def test_refusals() -> None:
    """What is no scalar result, no Value, or not of the right structure is refused, and the message says what."""
    with pytest.raises(TypeError, match="one scalar result, got a list; see jacobian"):
        grad(lambda x: [x])(1.0)
    with pytest.raises(TypeError, match=r"expected a list of Values .*, got float 1\.0 at \[0\]"):
        gradient(Value(1.0), [1.0])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="expected a list of Values to differentiate by, got Value Value"):
        gradient(Value(1.0), Value(1.0))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a Value to differentiate, got str 'y'"):
        gradient("y", [])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="v: expected a list of 2, got a list of 1"):
        jvp(lambda x: x[0], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="u: expected a list of 2, got a list of 3"):
        vjp(lambda x: [x, x], 1.0)[1]([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="expected a real number"):
        jvp(lambda x: x, 1.0, "1")
    with pytest.raises(TypeError, match="expected a real number"):
        grad(lambda x: x)("1")


# --- what the gradient's graph is made of ---


def test_gradient_by_leaves_interior_values_and_strangers() -> None:
    """∂y/∂y = 1, ∂y/∂z of an interior z, 0 for what y does not depend on, the same for a name given twice."""
    x, stranger = Value(3.0), Value(1.0)
    z = x * x
    y = z * z
    assert [g.data for g in gradient(y, [y, z, x, stranger, x])] == [1.0, 18.0, 108.0, 0.0, 108.0]
    assert gradient(y, []) == []
    assert [g.data for g in gradient(x, iter([x]))] == [1.0]


def test_accumulation_is_one_dot() -> None:
    """Σ (∂y/∂user)(∂user/∂x) is one n-ary dot, its terms in the order in which the users were made [E6c]; with partials
    of 1 one total; of one term no sum, and of 1 or -1 no product."""
    x, u, v, w = (Value(k, name) for k, name in zip((2.0, 3.0, 5.0, 7.0), "xuvw"))
    (g,) = gradient(u * x * u + v * x + w * x, [x])
    assert g.op is table.dot
    assert g.args[3:] == (u, v, w, 0.0)
    (g,) = gradient(total([x + u, square(x), x + 1.0]), [x])
    assert g.op is table.dot
    (g,) = gradient(u * (x + v) + w * (1.0 + x), [x])
    assert g.op is table.total
    assert g.args == (u, w)
    assert gradient(w * (x + 1.0), [x])[0] is w
    (g,) = gradient(w * (1.0 - x), [x])
    assert (g.op, g.args) == (table.neg, (w,))
    assert gradient(-x, [x])[0].data == -1.0
    (g,) = gradient(x + x, [x])
    assert (g.data, g.args) == (2.0, ())


def test_gradient_reads_the_graph_and_changes_nothing_in_it() -> None:
    """gradient() leaves data, grad, labels and args of the graph as they were, and backward() after it is unharmed."""
    x, w = Value(2.0, "x"), Value(3.0, "w")
    y = tanh(x * w)
    before = [(n, n.data, n.grad, n.label, n.args, n.partials) for n in topological_order(y)]
    gradient(y, [x, w])
    assert [(n, n.data, n.grad, n.label, n.args, n.partials) for n in topological_order(y)] == before
    y.backward()
    assert x.grad == gradient(y, [x])[0].data


def test_a_sum_that_is_several_gradients_has_the_name_of_the_first_or_of_the_one_asked_for() -> None:
    """δ, where a = z; no leaf gives its name to it, and no value of the graph gets one."""
    w, b, x = Value(2.0, "w"), Value(1.0, "b"), Value(3.0, "x")
    z = dot([w], [x], b)
    z.label = "z"
    a = table.identity(z)
    a.label = "a"
    J = a * a * x
    J.label = "J"
    (by_w,) = gradient(J, [w])
    assert by_w.label == "∂J/∂w"
    assert isinstance(by_w.args[0], Value)
    assert by_w.args[0].label == "∂J/∂z"
    by_b, by_z, by_a = gradient(J, [b, z, a])
    assert by_b is by_z is by_a
    assert by_a.label == "∂J/∂a"
    assert gradient(J, [b])[0].label == "∂J/∂z"
    assert [v.label for v in (w, b, x, z, a, J)] == ["w", "b", "x", "z", "a", "J"]


def test_gradients_are_named() -> None:
    """∂y/∂x is its label where both have one; what is no node of its own (w here) keeps the name that it has."""
    x, w = Value(2.0, "x"), Value(3.0, "w")
    z = w * x
    z.label = "z"
    y = square(square(z))
    assert gradient(y, [x])[0].label == ""
    y.label = "y"
    dx, dw = gradient(y, [x, w])
    assert (dx.label, dw.label) == ("∂y/∂x", "∂y/∂w")
    assert [arg.label for arg in dx.args] == ["∂y/∂z", "w"]  # type: ignore[union-attr]
    assert gradient(z, [x])[0] is w
    assert w.label == "w"


def test_upstream() -> None:
    """gradient(y, xs, ∂J/∂y) are the gradients of J: of the part of a graph that lies below y."""
    x, w = Value(2.0, "x"), Value(3.0, "w")
    y = x * w
    J = square(y)
    (upstream,) = gradient(J, [y])
    assert [g.data for g in gradient(y, [x, w], upstream)] == [g.data for g in gradient(J, [x, w])] == [36.0, 24.0]
    assert [g.data for g in gradient(y, [x, y], 0.5)] == [1.5, 0.5]


def test_push_forward_from_interior_values() -> None:
    """What a variable is made of does not count: at z = x², ∂(z x)/∂t = z' x + z x', with the z' and x' given."""
    x = Value(3.0)
    z = x * x
    y = z * x
    tangent = {x: 1.0, z: 10.0}
    push_forward(topological_order(y), tangent, NOTHING, recorded_partials)
    assert (tangent[z], tangent[y]) == (10.0, 39.0)


def test_constants_stay_floats_in_the_gradient() -> None:
    """A constant has no partial and is no node: of 3 x² the gradient graph is x alone, times floats."""
    x = Value(2.0)
    (g,) = gradient(3.0 * x**2, [x])
    assert [node for node in topological_order(g) if node.op is None] == [x]
    (third,) = gradient(gradient(gradient(x**2 * 3.0, [x])[0], [x])[0], [x])
    assert third.data == 0.0


def test_data_changed_after_the_forward_pass_is_refused() -> None:
    """The gradient as graph speaks of the recorded pass; if an operand was changed so that it would not, it says so."""
    x, w = Value(3.0, "x"), Value(2.0)
    y = w * x
    y.label = "y"
    w.data = 7.0
    with pytest.raises(ValueError, match=r"an operand of the mul node y was changed .* was 2\.0 then and is 7\.0 now"):
        gradient(y, [x])
    y.label = ""
    with pytest.raises(ValueError, match="an operand of the mul node was changed"):
        gradient(y, [x])
    w.data = math.nan
    with pytest.raises(ValueError, match="is nan now"):
        gradient(y, [x])
    w.data = 2.0
    assert gradient(y, [x])[0] is w


def test_kinks_as_in_backward() -> None:
    """stop_gradient and the branch not taken get no gradient, not even one of 0 times inf."""
    x = Value(0.0)
    assert gradient(where(x > 0, log(x), 2.0 * x), [x])[0].data == 2.0
    assert gradient(x * stop_gradient(x + 3.0), [x])[0].data == 3.0
    (slope,) = gradient(where(Value(0.0), sqrt(x), x), [x])
    assert slope.data == 1.0
    assert math.isinf(gradient(sqrt(x), [x])[0].data)


def test_under_no_grad_and_detect_anomaly() -> None:
    """Under no_grad the gradient is a number without history, and transforms find what they find elsewhere; under
    detect_anomaly an infinite derivative is refused."""
    x = Value(3.0)
    y = x * x * x
    with no_grad():
        (g,) = gradient(y, [x])
        assert grad(lambda x: x * x)(3.0) == 6.0
        assert hessian(lambda x: x * x * x)(3.0) == 18.0
        assert jvp(lambda x: x * x, 3.0, 1.0) == (9.0, 6.0)
        assert vjp(lambda x: [x * x, x], 3.0)[1]([1.0, 2.0]) == 8.0
        slope = grad(lambda t: t * t)(x)
    assert (g.data, g.args, slope.data, slope.args) == (27.0, (), 6.0, ())
    assert grad(no_grad()(lambda x: x * x))(3.0) == 0.0
    with detect_anomaly():
        assert jvp(sqrt, 4.0, 1.0) == (2.0, 0.25)
        with pytest.raises(FloatingPointError, match=rf"sqrt = 0\.0 of \(leaf = 0\.0\) .* is inf; made at {__file__}:"):
            jvp(lambda x: 2.0 * sqrt(x), 0.0, 1.0)
        assert jvp(lambda t: where(less(0.0, t), sqrt(t), 2.0 * t), 0.0, 1.0) == (0.0, 2.0)  # a branch not taken
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"sqrt|div"):
        grad(sqrt)(0.0)


def test_partials_of_constants_divide_as_ieee_754_does() -> None:
    """1/0 of two constants inside a partial is inf, as it was when the partial was recorded."""
    c, x = Value(1.0), Value(2.0)
    assert gradient(x / 0.0, [x])[0].data == math.inf == (x / 0.0).partials[0]
    assert math.isnan(gradient(c * 0.0 / 0.0, [c])[0].data)


AWKWARD = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 40.0, 1e-310, math.inf, -math.inf, math.nan])


@thorough(300)
@given(e=expressions(most_leaves=3), data=st.data())
def test_simplification_is_exact(e: Expression, data: st.DataObject) -> None:
    """Wherever the recorded chain rule gives NaN, inf or -inf the graph's gradient does: nothing that is left out of a
    graph, a product with 1 or a partial of 0, turns one into a number or one of those into another."""
    xs = [Value(data.draw(AWKWARD)) for _ in e.leaves]
    y = e(*xs)
    numbers = adjoints(y)
    for x, g in zip(xs, gradient(y, xs)):
        number = numbers.get(x, 0.0)
        if math.isfinite(number):
            assert g.data == pytest.approx(number, rel=1e-9, abs=1e-300)
        else:
            assert (math.isnan(number) and math.isnan(g.data)) or number == g.data


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: 0.0 * sqrt(x), 0.0, math.nan),  # 0 times inf
        (lambda x: 0.0 * (x * math.inf), 1.0, math.nan),
        (lambda x: 0.0 * x, math.inf, 0.0),
        (lambda x: (x - x) * math.inf, 1.0, math.nan),  # inf - inf
        (lambda x: dot([x, x], [math.inf, -math.inf]), 1.0, math.nan),
        (lambda x: total([x * math.inf, -(x * math.inf)]), 1.0, math.nan),
        (lambda x: x * math.nan, 1.0, math.nan),
        (lambda x: x + math.nan, 1.0, 1.0),
        (lambda x: x * x, math.inf, math.inf),
    ],
)
def test_a_nan_stays_a_nan(f: Callable[[Any], Any], x: float, expected: float) -> None:
    """The gradient by numbers, as graph and forwards: what IEEE 754 makes of the chain rule."""
    v = Value(x)
    for got in (grad(f)(x), gradient(f(v), [v])[0].data, jvp(f, x, 1.0)[1], jvp(f, v, 1.0)[1].data):
        assert got == expected or (math.isnan(got) and math.isnan(expected))


# --- the cost of a net ---

SMOOTH_NAMED = [row for row in SMOOTH if row.name in oracle.FUNCTIONS]


@thorough(15)
@given(net=nets(SMOOTH_NAMED, max_samples=3).filter(lambda net: sum(map(len, net.b.values())) <= 6))
def test_hessian_of_the_cost_is_the_jacobian_of_the_closed_form_gradient(net: Net) -> None:
    """∂²J/∂θ² of E3 by `hessian` = the Jacobian of E4 to E7, deltas.py run on mpmath's numbers: within 64 ulps of the
    Hessian's largest entry, times max(1, |z|) for each layer, by which exp and its like multiply an error; 50 digits
    leave 1e-40 of what is 0."""
    W, b = [net.W[l] for l in net.W], [net.b[l] for l in net.b]
    condition = [1.0] * len(W)

    def J(theta: Any) -> Any:
        W, b = theta
        losses = []
        for x, y in zip(net.X, net.Y):
            a = x
            for l, (W_l, b_l) in enumerate(zip(W, b), 2):
                f = table.row(net.activation(l))
                z = [dot(w, a, b_i) for w, b_i in zip(W_l, b_l)]
                condition[l - 2] = max(condition[l - 2], *(abs(z_i.data) for z_i in z))
                a = [f(z_i) for z_i in z]
            losses.append(half_squared_error(a, y))
        every = [w for W_l in W for row in W_l for w in row]
        return total(losses) / len(net.X) + 0.5 * net.lam * dot(every, every)

    H = [flat(row) for row in _rows(hessian(J)((W, b)))]
    exact = _closed_form_hessian(net)
    largest = max(abs(float(h)) for row in exact for h in row)
    for row, right in zip(H, exact, strict=True):
        for got, h in zip(row, right, strict=True):
            assert abs(got - h) <= 64 * math.prod(condition) * math.ulp(largest) + 1e-40


def flat(theta: Any) -> list[Any]:
    """All scalars of nested lists and tuples."""
    return [leaf for branch in theta for leaf in flat(branch)] if isinstance(theta, (list, tuple)) else [theta]


def _rows(H: Any) -> list[Any]:
    """The Hessian's rows: what stands in the places of (W, b)'s scalars."""
    W, b = H
    return [row for W_l in W for w in W_l for row in w] + [row for b_l in b for row in b_l]


def _closed_form_hessian(net: Net) -> list[list[Any]]:
    """By central differences of the closed-form gradient, in mpmath."""

    def exactly(x: Any) -> Any:
        return (
            {k: exactly(v) for k, v in x.items()}
            if isinstance(x, dict)
            else [exactly(v) for v in x]
            if isinstance(x, list)
            else mp.mpf(x)
        )

    def slope(f: Callable[[Any], Any], z: Any) -> Any:
        h = mp.mpf(2) ** -160
        return (f(z + h) - f(z - h)) / (2 * h)

    with mp.workprec(700):
        W, b, X, Y, lam = (exactly(part) for part in (net.W, net.b, net.X, net.Y, net.lam))
        f = {}
        for l in net.layers[1:]:
            name = net.activation(l)
            constants = operands_at(table.row(name), 0.0)[1:]
            f[l] = lambda z, g=oracle.FUNCTIONS[name], constants=constants: g(z, *map(mp.mpf, constants))
        f_prime = {l: partial(slope, f[l]) for l in f}

        def gradient_at(place: list[Any], j: int, x: Any) -> list[Any]:
            old, place[j] = place[j], x
            dW, db = deltas.cost_gradient(W, b, X, Y, f, f_prime, lam)
            place[j] = old
            return flat([list(dW.values()), list(db.values())])

        h = mp.mpf(2) ** -80
        places = [(row, j) for l in W for row in W[l] for j in units(row)] + [(b[l], j) for l in b for j in units(b[l])]
        return [
            [
                (ahead - behind) / (2 * h)
                for ahead, behind in zip(gradient_at(row, j, row[j] + h), gradient_at(row, j, row[j] - h))
            ]
            for row, j in places
        ]


def test_gradient_of_a_model_is_that_of_backward() -> None:
    """gradient(J, model.parameters()) are the numbers that J.backward() leaves in .grad."""
    model = MLP(2, [3, 2, 1], activation="tanh", seed=1)
    J = cost(model, [[0.5, -1.0], [0.25, 2.0]], [0.3, -0.7], lam=0.1)
    graph = gradient(J, model.parameters())
    J.backward()
    assert [g.data for g in graph] == pytest.approx([p.grad for p in model.parameters()], rel=1e-14, abs=1e-17)


# --- size, memory, determinism ---


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.mark.usefixtures("collector_off")
def test_a_million_nodes_in_a_thread_with_a_small_stack() -> None:
    """The gradient graph of a graph a million nodes deep is built, copied, pickled and freed in 256 KiB of stack."""
    n = 1_000_000
    seen: list[Any] = []

    def work() -> None:
        x, w = Value(2.0), Value(1.0)
        y = x
        for _ in range(n):
            y = y * w
        (g,) = gradient(y, [x])
        seen.append((g.data, len(topological_order(g))))
        twin = copy.deepcopy(g)
        seen.append((twin.data, twin is not g))
        data = pickle.dumps(g)
        del twin, g, y
        seen.append(pickle.loads(data).data)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert seen == [(1.0, n), (1.0, True), 1.0]


@pytest.mark.usefixtures("collector_off")
def test_ten_thousand_training_steps_hold_memory_flat() -> None:
    """With the collector off, steps by backward and steps by gradient graph leave nothing behind."""
    model = MLP(2, [2, 1], activation="tanh", seed=0)
    optimizer = SGD(model.parameters(), 0.05)
    X, Y = [[0.5, -1.0]], [0.3]

    def step(k: int) -> None:
        J = cost(model, X, Y, lam=0.01)
        optimizer.zero_grad()
        if k % 10:
            J.backward()
        else:
            for p, g in zip(model.parameters(), gradient(J, model.parameters())):
                p.grad = g.data
        optimizer.step()

    for k in range(200):
        step(k)
    blocks = sys.getallocatedblocks()
    for k in range(10_000):
        step(k)
    assert abs(sys.getallocatedblocks() - blocks) < 500


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize(
    "transform",
    [
        lambda x: x.backward(),
        lambda x: gradient(x * x, [x]),
        lambda x: hessian(lambda t: t * t * x)(x),
        lambda x: jvp(grad(lambda t: t * t * x), x, x),
        lambda x: vjp(lambda t: [t * x, t], x)[1]([1.0, x]),
    ],
)
def test_no_reference_cycles(transform: Callable[[Value], Any]) -> None:
    """What a transform made is freed when it is no longer used, without the collector."""
    x = Value(2.0)
    found = transform(tanh(x) * x)
    observers = [weakref.ref(node) for node in topological_order(*_values(found))]
    del found
    assert [ref for ref in observers if ref() not in (None, x)] == []
    assert gc.collect() == 0


def _values(found: Any) -> list[Value]:
    return [v for v in flat(found) if isinstance(v, Value)]


SCRIPT = """
import pickle
from tinygrad_sq import MLP, Value, cost, gradient, hessian, maximum, softmax
model = MLP(3, [4, 2], activation="gelu", seed=3)
J = cost(model, [[0.1, 0.2, 0.3], [1.0, -2.0, 3.0]], [[0.5, 0.25], [-1.0, 2.0]], lam=0.125)
gradients = gradient(J, model.parameters())
print([g.data.hex() for g in gradients])
print([v.data.hex() for v in gradient(gradients[0], model.parameters())])
print(hessian(lambda x: maximum(softmax(x)) * x[1])([0.3, 0.7, 0.7]))
print(gradients[0], pickle.dumps(gradients[0]).hex())
"""


def test_hash_seed_changes_nothing() -> None:
    """Gradients, their formulas and their pickles are the same, to the bit, in every process."""
    assert len(output_under_any_hash_seed(SCRIPT)) > 1000


def test_a_gradient_that_is_a_number_has_no_name() -> None:
    """∂(2 x)/∂x is 2 and no node, though y and x have names."""
    x = Value(3.0, "x")
    y = 2.0 * x
    y.label = "y"
    (g,) = gradient(y, [x])
    assert (g.data, g.op, g.label) == (2.0, None, "")

"""What the engine answers, case by case: the table of cases.py, and the rules about graphs."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import oracle
import pytest
from cases import CASES, Case
from mpmath import mpf
from processes import output_under_any_hash_seed

import tinygrad_sq
from tinygrad_sq import Value, table
from tinygrad_sq.graph import topological_order

ULPS = 2.0


def names_of_formulas() -> dict[str, Any]:
    return {name: getattr(tinygrad_sq, name) for name in (*table.rows, "softmax", "log_softmax")}


def same(got: float, expected: float) -> bool:
    """NaN is NaN, infinities and zeros are exact, and the rest is right to two ulp."""
    if math.isnan(expected) or math.isinf(expected) or expected == 0.0:
        return math.isnan(got) if math.isnan(expected) else got == expected
    return oracle.ulps(got, mpf(expected)) <= ULPS


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.expression} at {case.at}")
def test_case(case: Case) -> None:
    """The expression has the value and the gradient that the table says, and raises nothing on the way."""
    variables = {name: Value(x, name) for name, x in case.at.items()}
    root = eval(case.expression, names_of_formulas(), variables)
    if case.value is not None:
        assert same(root.data, case.value), root
    root.backward()
    for name, expected in case.gradient.items():
        if expected is not None:
            assert same(variables[name].grad, expected), (name, variables[name].grad)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.expression} at {case.at}")
def test_gradient_as_graph(case: Case) -> None:
    """Run on Values, the partials of each node give the numbers that it recorded, at kinks and singular points too."""
    variables = {name: Value(x, name) for name, x in case.at.items()}
    root = eval(case.expression, names_of_formulas(), variables)
    for node in topological_order(root):
        if node.op is None:
            continue
        for arg, partial, recorded in zip(node.args, node.op.gradient(node, *node.args), node.partials):
            if isinstance(arg, Value):
                assert (partial is None) == (recorded is None)
                if partial is not None and recorded is not None:
                    assert same(float(partial), recorded), node


def test_no_composition() -> None:
    """softplus, logsumexp and the like are one node each: composed from others they would overflow."""
    for function in (tinygrad_sq.softplus, tinygrad_sq.log_sigmoid, tinygrad_sq.sigmoid, tinygrad_sq.logsumexp):
        assert len(topological_order(function(Value(20.5)))) == 2


def test_where_never_poisons() -> None:
    """The branch not taken gets exactly 0, whatever is wrong with it."""
    x = Value(0.0)
    tinygrad_sq.where(x > 0, tinygrad_sq.log(x) / x, 2.0 * x).backward()
    assert x.grad == 2.0


def test_stored_derivative_that_is_infinite_does_not_raise() -> None:
    """0**0.5 and 1/0 record infinite derivatives; the forward pass goes on."""
    x = Value(0.0)
    assert (x**0.5).partials == (math.inf, None)
    assert (1.0 / x).partials == (None, -math.inf)
    assert tinygrad_sq.sqrt(x).partials == (math.inf,)


def test_constant_exponent_is_no_gradient_work() -> None:
    """x**n: the constant is a float and has no partial; no logarithm of x is taken."""
    node = Value(-2.0) ** 3
    assert node.args[1] == 3.0
    assert type(node.args[1]) is float
    assert node.partials == (12.0, None)


# --- graphs ---


@pytest.mark.parametrize("f", [lambda a: a + a, lambda a: a * a, lambda a: a / a, lambda a: a - a])
def test_both_slots_exist(f: Callable[[Value], Value]) -> None:
    """a ∘ a has two operands, both of them a."""
    a = Value(3.0)
    assert f(a).args == (a, a)


def test_sixty_doublings() -> None:
    """2^60 paths, 61 nodes, linear time."""
    x = v = Value(1.0)
    for _ in range(60):
        v = v + v
    v.backward()
    assert x.grad == v.data == 1.152921504606847e18 == 2.0**60


def test_backward_twice() -> None:
    """Leaves accumulate, interior gradients belong to one call: x**3 at 3 gives 27, then 54; with only the leaf zeroed
    between, 27."""
    x = Value(3.0)
    square = x * x
    cube = square * x
    cube.backward()
    assert x.grad == 27.0
    assert (square.grad, cube.grad) == (3.0, 1.0)
    cube.backward()
    assert x.grad == 54.0
    assert (square.grad, cube.grad) == (3.0, 1.0)
    x.grad = 0.0
    cube.backward()
    assert x.grad == 27.0


def test_backward_from_a_leaf() -> None:
    """∂x/∂x = 1, and it accumulates like any other."""
    x = Value(3.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0


def test_backward_of_two_roots_accumulates() -> None:
    """Gradients of two graphs over the same leaf add up."""
    x = Value(3.0)
    (2.0 * x).backward()
    (5.0 * x).backward()
    assert x.grad == 7.0


def test_data_changed_after_the_forward_pass() -> None:
    """The gradient is that of the recorded forward pass."""
    a = Value(3.0)
    square = a * a
    a.data = 100.0
    square.backward()
    assert a.grad == 6.0


def test_one_node_per_operator() -> None:
    """a - b, a / b, -a, a + 1, 1 - a... are one node each, and a constant is no node."""
    a, b = Value(3.0), Value(2.0)
    for node, name in (
        *((a - b, "sub"), (a / b, "div"), (-a, "neg"), (a + 1, "add"), (1 + a, "add"), (1 - a, "sub"), (1 / a, "div")),
        *((a * b, "mul"), (2 * a, "mul"), (a**2, "pow"), (2**a, "pow"), (abs(a), "abs"), (round(a), "round")),
    ):
        assert node.op is table.row(name)
        assert len(topological_order(node)) == 1 + sum(isinstance(arg, Value) for arg in node.args)


def test_sum_has_no_ghost_node() -> None:
    """sum([a, b]) is a + b, not (0 + a) + b."""
    a, b = Value(3.0), Value(2.0)
    s = sum([a, b])
    assert isinstance(s, Value)
    assert s.args == (a, b)
    assert sum([a]) is a
    assert (0.0 + a).args == (0.0, a)  # written by hand, it is meant


def test_nary_sums_are_one_node() -> None:
    """dot(w, x, b) and total(values) are one node each, however long."""
    w, x, b = [Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)], Value(5.0)
    z = tinygrad_sq.dot(w, x, b)
    assert z.data == 16.0
    assert z.args == (*w, *x, b)
    assert z.partials == (3.0, 4.0, 1.0, 2.0, 1.0)
    s = tinygrad_sq.total(w)
    assert (s.data, s.args, s.partials) == (3.0, (*w,), (1.0, 1.0))


def test_identity_and_order() -> None:
    """== and hash are those of identity, so Values live in sets and dicts; < > <= >= compare data."""
    a, b = Value(1.0), Value(1.0)
    assert a != b
    assert a == a
    assert len({a, b, a}) == 2
    assert {a: 1}[a] == 1
    assert a <= b
    assert a >= b
    assert not a < b
    assert not a > b
    assert a < 2
    assert a > 0
    assert sorted([Value(3.0), Value(1.0), Value(2.0)], key=float)[0].data == 1.0


SCRIPT = """
from tinygrad_sq import Value, dot, logsumexp, tanh
xs = [Value(0.1 * i, f"x{i}") for i in range(20)]
hidden = [tanh(dot(xs, xs[i:] + xs[:i], 0.1)) for i in range(20)]
logsumexp(hidden).backward()
print([x.grad.hex() for x in xs])
"""


def test_determinism() -> None:
    """The same script gives the same bits in any process, under any PYTHONHASHSEED."""
    assert "0x" in output_under_any_hash_seed(SCRIPT)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_are_independent(duplicate: Callable[[Value], Value]) -> None:
    """backward of a copy writes to the copy's leaves alone."""
    x = Value(3.0, "x")
    twin = duplicate(x * x)
    twin.backward()
    assert x.grad == 0.0
    leaf = twin.args[0]
    assert isinstance(leaf, Value)
    assert leaf is twin.args[1]
    assert (leaf.grad, leaf.label) == (6.0, "x")

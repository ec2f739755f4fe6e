"""`replay`: a recorded graph at other inputs."""

from __future__ import annotations

import math

import pytest
from expressions import Expression
from hypothesis import given
from hypothesis import strategies as st
from strategies import expressions

from tinygrad_sq import MLP, Value, cost, gradient, log, maximum, relu, replay, scope, sin, where
from tinygrad_sq.graph import topological_order
from tinygrad_sq.value import Value as ValueType


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@given(e=expressions(most_leaves=3), data=st.data())
def test_replay_is_the_function_evaluated_anew(e: Expression, data: st.DataObject) -> None:
    """replay(f(x), {x: x'}) is f(x'), value and gradient, to the bit."""
    xs = e.values()
    y = e(*xs)
    new = [Value(data.draw(st.floats(-3.0, 3.0))) for _ in xs]
    again, fresh = replay(y, {x: n for x, n in zip(xs, new) if x in topological_order(y)}), e(*new)
    assert same(again.data, fresh.data)
    for g, h in zip(gradient(again, new), gradient(fresh, new)):
        assert same(g.data, h.data)


def test_numbers_become_leaves_and_values_stay_themselves() -> None:
    """A number becomes a leaf with the old label and scope; a Value is put in as it is."""
    with scope("input"):
        x, y = Value(2.0, "x"), Value(3.0, "y")
    with scope("mine"):
        mine = Value(6.0)
    z = x * y
    again = replay(z, {x: 5.0})
    new, same_y = again.args
    assert again.data == 15.0
    assert isinstance(new, ValueType)
    assert (new.label, new.scope, new.data, x.data) == ("x", ("input",), 5.0, 2.0)
    assert same_y is y
    assert replay(z, {x: mine}).args[0] is mine
    assert mine.scope == ("mine",)
    bare = sin(Value(1.0))
    assert replay(z, {y: bare}).args == (x, bare)
    assert bare.scope == ()


def test_labels_and_scopes_are_kept() -> None:
    """What the formula of the graph says, the formula of the new one says."""
    model = MLP(2, [3, 1], activation="tanh", seed=0)
    x = [Value(0.5, "x[0]"), Value(1.0, "x[1]")]
    J = cost(model, [x], [0.25])
    again = replay(J, {x[0]: 0.5})
    old, new = topological_order(J), topological_order(again)
    assert [(n.label, n.scope, n.data, n.op) for n in new] == [(n.label, n.scope, n.data, n.op) for n in old]
    assert str(again) == str(J)
    assert again is not J


def test_without_inputs_it_counts_with_the_present_data() -> None:
    """Data changed after the recording counts, and makes the gradient possible again."""
    x, w = Value(2.0), Value(3.0)
    y = x * w
    w.data = 10.0
    with pytest.raises(ValueError, match=r"replay\(\) evaluates the graph again"):
        gradient(y, [x])
    assert gradient(replay(y), [x]) == [w]
    assert replay(y).data == 20.0
    assert y.data == 6.0


def test_interior_nodes_can_be_replaced() -> None:
    """What stands below a replaced node is not asked any more."""
    x = Value(-1.0, "x")
    z = log(x)
    y = z * z + x
    again = replay(y, {z: 3.0})
    assert again.data == 8.0
    assert math.isnan(y.data)
    assert replay(y, {y: 4.0}).data == 4.0
    assert replay(x, {}) is x


def test_the_branch_taken_by_python_is_kept_and_where_chooses_anew() -> None:
    """`if` was decided when the graph was recorded; where, maximum and relu are rows and decide again."""
    x = Value(2.0)
    taken = x * x if x > 0 else -x
    assert replay(taken, {x: -3.0}).data == 9.0
    chosen = where(x, x * x, 5.0)
    assert replay(chosen, {x: 0.0}).data == 5.0
    assert replay(maximum(x, 1.0) + relu(x), {x: -3.0}).data == 1.0


def test_an_input_that_the_graph_does_not_have() -> None:
    """The message names the graph and the stranger."""
    x, stranger = Value(2.0, "x"), Value(1.0, "s")
    y = x * x
    with pytest.raises(KeyError, match=r"the graph does not depend on Value.*label='s'"):
        replay(y, {stranger: 1.0})
    y.label = "y"
    with pytest.raises(KeyError, match="y does not depend on"):
        replay(y, {stranger: 1.0})
    with pytest.raises(TypeError, match=r"expected inputs to be a dict of .* Values, .*, got str 'x'"):
        replay(y, {"x": 1.0})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"expected a Value to evaluate again, got float 4\.0"):
        replay(4.0)  # type: ignore[arg-type]


def test_deep_graphs() -> None:
    """A hundred thousand nodes deep, without recursion."""
    x = y = Value(1.0)
    for _ in range(100_000):
        y = y + x
    assert replay(y, {x: 2.0}).data == 200_002.0

"""Value: operators, conversions, contexts, anomalies, copies, and graphs a million nodes deep."""

from __future__ import annotations

import copy
import gc
import math
import operator
import pickle
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_sq
from tinygrad_sq import Value, detect_anomaly, dot, log, no_grad, scope, table, tanh, total
from tinygrad_sq.graph import topological_order

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]


# --- making one ---


def test_a_leaf() -> None:
    """A new Value is a leaf: its data as a float, gradient 0, no op, no operands."""
    v = Value(3, "x")
    assert (v.data, v.grad, v.op, v.args, v.partials, v.label, v.scope) == (3.0, 0.0, None, (), (), "x", ())
    assert type(v.data) is float
    assert Value(3).label == ""


@pytest.mark.parametrize("make", [tanh, lambda x: x * x, lambda x: 2.0 * x])
def test_a_node_starts_without_a_gradient(make: Callable[[Value], Value]) -> None:
    """What was just computed has gradient 0, whether it is recorded or not, and no label."""
    recorded = make(Value(0.5))
    with no_grad():
        unrecorded = make(Value(0.5))
    assert [(y.grad, y.label) for y in (recorded, unrecorded)] == [(0.0, ""), (0.0, "")]


@pytest.mark.parametrize(
    "x", [2, True, 2.5, np.float64(2.5), np.float32(2.5), np.int64(2), np.bool_(True), np.array(2.5), Fraction(5, 2)]
)
def test_numbers_become_floats(x: Any) -> None:
    """Any real number is accepted and stored as a float."""
    assert Value(x).data == float(x)
    assert type(Value(x).data) is float


def test_decimals_become_floats() -> None:
    """Decimal is a real number, though Python's numeric tower leaves it out."""
    assert Value(Decimal("2.5")).data == 2.5  # type: ignore[arg-type]


@pytest.mark.parametrize("x", ["x", None, 1j, [1], (), {}, np.complex64(1j), np.array([1.0]), np.array("a"), object()])
def test_what_is_no_number(x: Any) -> None:
    """TypeError says what is accepted and what came."""
    with pytest.raises(TypeError, match=r"expected a real number \(int, float, .*\) .*, got \w+ "):
        Value(x)


def test_a_value_of_a_value() -> None:
    """TypeError says what to do instead."""
    with pytest.raises(TypeError, match=r"takes a number, got a Value; use Value\(data=1.0, grad=0.0\) itself"):
        Value(Value(1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("label", [3, None, b"x"])
def test_a_label_is_a_str(label: Any) -> None:
    """Anything else is refused here, and not when a formula is written."""
    with pytest.raises(TypeError, match=r"expected a label to be a str, got \w+ "):
        Value(1.0, label)


def test_an_integer_too_large() -> None:
    """OverflowError says so, in the constructor and as an operand."""
    for make in (Value, Value(1.0).__add__):
        with pytest.raises(OverflowError, match="int too large for a float"):
            make(10**400)


def test_no_other_attributes() -> None:
    """Slots only: a misspelt attribute is an error, not a silent new one."""
    with pytest.raises(AttributeError):
        Value(1.0).gard = 0.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("v", "expected"),
    [
        (Value(1.5), "Value(data=1.5, grad=0.0)"),
        (Value(1.5, "w"), "Value(data=1.5, grad=0.0, label='w')"),
        (Value(1.5) * 2, "Value(data=3.0, grad=0.0, op=mul)"),
    ],
)
def test_repr(v: Value, expected: str) -> None:
    """repr shows data, gradient, label and op: of this node, not of the graph below it."""
    assert repr(v) == expected


def test_format() -> None:
    """f"{v:.2f}" formats the data; f"{v}" is str(v), the formula."""
    v = Value(1.23456, "w")
    assert f"{v:.2f}" == "1.23"
    assert f"{v}" == str(v) == "w = 1.23456"


# --- operators ---


@pytest.mark.parametrize("op", OPERATORS)
@given(a=st.floats(0.5, 8.0), b=st.floats(-3.0, 3.0).filter(bool))
def test_operators_compute_what_floats_do(op: Callable[[Any, Any], Any], a: float, b: float) -> None:
    """Value ∘ Value, Value ∘ float and float ∘ Value have the data of float ∘ float and the same partials."""
    both, left, right = op(Value(a), Value(b)), op(Value(a), b), op(a, Value(b))
    assert both.data == left.data == right.data == op(a, b)
    assert left.partials == (both.partials[0], None)
    assert right.partials == (None, both.partials[1])
    assert left.args[1] == b
    assert right.args[0] == a


def test_in_place_operators_make_new_nodes() -> None:
    """v += w leaves the old node as it is."""
    v = w = Value(2.0)
    v += 3.0
    assert (v.data, w.data, v.args) == (5.0, 2.0, (w, 3.0))


def test_unary_operators() -> None:
    """-v, +v, abs(v), round(v)."""
    v = Value(-2.5)
    assert ((-v).data, (+v), abs(v).data, round(v).data) == (2.5, v, 2.5, -2.0)
    assert ((-v).partials, abs(v).partials, round(v).partials) == ((-1.0,), (-1.0,), (0.0,))


@pytest.mark.parametrize("op", OPERATORS + COMPARISONS)
@pytest.mark.parametrize("other", ["x", None, [1.0], 1j])
def test_unknown_operands(op: Callable[[Any, Any], Any], other: Any) -> None:
    """An operand that is no number gets Python's own TypeError, from either side."""
    for pair in ((Value(1.0), other), (other, Value(1.0))):
        with pytest.raises(TypeError, match=r"not supported|unsupported|can't multiply|can only concatenate"):
            op(*pair)


def test_other_types_may_answer() -> None:
    """Value returns NotImplemented for what it does not know, so that the other operand's method is asked."""

    class Other:
        def __radd__(self, other: object) -> str:
            return "mine"

        def __gt__(self, other: object) -> bool:
            return True

    assert Value(1.0) + Other() == "mine"
    assert Value(1.0) < Other()


@pytest.mark.parametrize("relation", COMPARISONS)
@given(a=st.integers(-2, 2), b=st.integers(-2, 2))
def test_comparison_is_that_of_the_data(relation: Callable[[Any, Any], bool], a: int, b: int) -> None:
    """Values, floats and both mixed compare by data, to a plain bool."""
    expected = relation(a, b)
    assert relation(Value(a), Value(b)) is expected
    assert relation(Value(a), b) is expected
    assert relation(a, Value(b)) is expected


def test_conversions_leave_the_graph() -> None:
    """float, int and bool look at the data."""
    v = Value(2.75)
    assert (float(v), int(v), bool(v), bool(Value(0.0)), bool(Value(math.nan))) == (2.75, 2, True, False, True)
    assert math.sin(v) == math.sin(2.75)
    assert int(Value(-2.75)) == -2


def test_radd_of_zero() -> None:
    """0 + v is v for the int where sum() starts; any other number is an operand."""
    v = Value(2.0)
    assert 0 + v is v
    for zero in (0.0, False, np.float64(0.0)):
        assert (zero + v).op is table.add
    assert (1 + v).args == (1.0, v)


# --- numpy ---


@pytest.mark.parametrize("op", OPERATORS)
def test_numpy_arrays_on_either_side(op: Callable[[Any, Any], Any]) -> None:
    """ndarray ∘ v and v ∘ ndarray are object arrays of Values, elementwise, with the constants on their side."""
    v, xs = Value(2.0), np.array([1.0, 3.0])
    for result, data, i in ((op(xs, v), op(xs, 2.0), 1), (op(v, xs), op(2.0, xs), 0)):
        assert result.dtype == object
        assert [r.data for r in result] == list(data)
        assert all(r.args[i] is v and type(r.args[1 - i]) is float for r in result)


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("scalar", [np.float64(2.0), np.float32(2.0), np.int64(2)])
def test_numpy_scalars_on_either_side(op: Callable[[Any, Any], Any], scalar: Any) -> None:
    """np.float64(2) ** v is a Value, and so is v ** np.float64(2)."""
    v = Value(3.0)
    for result, expected in ((op(scalar, v), op(2.0, 3.0)), (op(v, scalar), op(3.0, 2.0))):
        assert type(result) is Value
        assert result.data == expected


def test_numpy_functions_of_object_arrays() -> None:
    """np.exp and the like of an object array of Values go through the methods; sums and products through operators."""
    xs = np.array([Value(0.1), Value(0.2)])
    for name in ("exp", "log", "sin", "tanh", "sqrt"):
        for got, x in zip(getattr(np, name)(xs), xs):
            assert got.op is table.row(name)
            assert got.args == (x,)
    y = (xs @ np.array([2.0, 3.0])) + np.sum(xs)
    y.backward()
    assert [x.grad for x in xs] == [3.0, 4.0]


# --- contexts ---


def test_no_grad() -> None:
    """Inside, values are computed and nothing is recorded; outside again, recording goes on. A decorator too."""
    x = Value(2.0)
    with no_grad():
        y = tanh(x * 3.0) + dot([x], [x])
        assert (y.op, y.args, y.partials) == (None, (), ())
    assert y.data == math.tanh(6.0) + 4.0
    assert (x * 3.0).op is table.mul

    @no_grad()
    def f(x: Value) -> Value:
        return x * x

    assert f(x).args == ()
    assert f(x).data == 4.0


def test_no_grad_ends_with_an_exception() -> None:
    """An exception that leaves the block restores recording."""

    def fail() -> None:
        with no_grad():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (Value(1.0) + 1.0).args


def test_detach() -> None:
    """A leaf with the same data and label; no gradient passes it."""
    x = Value(3.0, "x")
    y = x.detach()
    assert (y.data, y.label, y.args) == (3.0, "x", ())
    (x * y).backward()
    assert (x.grad, y.grad) == (3.0, 3.0)
    square = x * x
    assert square.detach().args == ()


def test_scope() -> None:
    """Leaves and nodes made inside belong to the scope; scopes nest and end."""
    with scope("layer 2"):
        a = Value(1.0)
        with scope("neuron 0"):
            b, c = a * 2.0, tanh(a)
        d = a + b
    assert (a.scope, b.scope, c.scope, d.scope) == (
        ("layer 2",),
        ("layer 2", "neuron 0"),
        ("layer 2", "neuron 0"),
        ("layer 2",),
    )
    assert (a * 1.0).scope == Value(1.0).scope == ()


def test_contexts_are_per_thread() -> None:
    """What one thread switches on, another one does not see."""
    seen: list[Any] = []

    def other() -> None:
        v = Value(1.0)
        seen.extend([v.scope, (v * 2.0).op, log(v * 0.0).data])

    with no_grad(), detect_anomaly(), scope("here"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [(), table.mul, -math.inf]


# --- anomalies ---


def line() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


def test_anomaly_of_a_value() -> None:
    """The error names the op, the operands with their labels, the value and the line."""
    with detect_anomaly():
        x, y = Value(0.0, "x"), Value(2.0)
        product = x * y
        here = line() + 2
        with pytest.raises(FloatingPointError) as caught:
            operator.truediv(product, x)
    assert str(caught.value) == f"div of (mul = 0.0, x = 0.0) is nan, at {__file__}:{here}"


def test_anomaly_of_a_value_with_a_constant() -> None:
    """Constants and unlabelled leaves are operands like others; n-ary rows and methods give the user's line too."""
    with detect_anomaly():
        x = Value(-1.0)
        with pytest.raises(FloatingPointError, match=r"^pow of \(leaf = -1.0, 0.5\) is nan, at .*test_value.py:\d+$"):
            x**0.5
        with pytest.raises(FloatingPointError, match=rf"^total of \(leaf = -1.0, inf\) is inf, at .*:{line() + 1}$"):
            total([x, math.inf])
        with pytest.raises(FloatingPointError, match=rf"^log of \(leaf = -1.0\) is nan, at .*:{line() + 1}$"):
            x.log()


def test_anomaly_of_a_gradient() -> None:
    """A gradient that is not finite: the error names the operand, the op that it comes through and the line."""
    with detect_anomaly():
        x = Value(0.0, "x")
        here = line() + 1
        root = x.sqrt() * 2.0
        with pytest.raises(FloatingPointError) as caught:
            root.backward()
    assert str(caught.value) == (
        f"the gradient of (x = 0.0) is inf: it comes through sqrt = 0.0 of (x = 0.0), made at {__file__}:{here}"
    )
    assert x.grad == 0.0


def test_anomaly_of_a_gradient_by_overflow() -> None:
    """Finite local derivatives may overflow in their product; the op below is named, not an innocent one above."""
    x = Value(1e-200, "x")
    with detect_anomaly():
        here = line() + 1
        y = x * 1e200
        root = y * 1e200
        with pytest.raises(FloatingPointError) as caught:
            root.backward()
    assert str(caught.value) == (
        "the gradient of (x = 1e-200) is inf: it comes through mul = 1.0 of (x = 1e-200, 1e+200), "
        f"made at {__file__}:{here}"
    )


def test_anomaly_points_at_the_guilty_user() -> None:
    """Of several users of a value, the one with the infinite derivative is named."""
    x = Value(0.0, "x")
    bad = x.sqrt()
    root = x * 2.0 + bad + x * 3.0
    with (
        detect_anomaly(),
        pytest.raises(
            FloatingPointError,
            match=r"\(x = 0.0\) is inf: it comes through sqrt = 0.0 of \(x = 0.0\), made at a line outside",
        ),
    ):
        root.backward()


def test_no_anomaly() -> None:
    """Finite values and gradients pass, and gradients are what they are without it."""
    with detect_anomaly():
        x = Value(2.0)
        (x * x + tanh(x) * 0.0).backward()
    assert x.grad == 4.0
    assert (1.0 / Value(0.0)).data == math.inf


def test_anomaly_of_a_root_that_is_a_leaf() -> None:
    """backward from a leaf passes."""
    with detect_anomaly():
        x = Value(2.0)
        x.backward()
    assert x.grad == 1.0


def test_internal_recomputation_is_no_anomaly() -> None:
    """Where a partial is computed again on Values, their infinities are not reported as the user's."""
    with detect_anomaly():
        x = Value(0.0)
        assert x.sqrt().partials == (math.inf,)


# --- gradients ---


def test_nothing_is_passed_on_where_no_gradient_arrives() -> None:
    """0 from a branch not taken never meets an infinite derivative: 0 · inf would be NaN."""
    x = Value(0.0)
    table.where(1.0, x, log(x) / x).backward()
    assert x.grad == 1.0


def test_gradient_of_what_the_root_does_not_depend_on() -> None:
    """It is left alone; stop_gradient makes its operand such a one."""
    x, y = Value(2.0), Value(3.0)
    y.grad = 5.0
    (x * table.stop_gradient(y)).backward()
    assert (x.grad, y.grad) == (3.0, 5.0)


def test_zeros_are_positive() -> None:
    """A gradient to which nothing was added is 0.0 and never shows as -0.0."""
    x, c = Value(2.0), Value(1.0)
    node = table.stop_gradient(x * 1.0)
    inner = node.args[0]
    assert isinstance(inner, Value)
    (node * c).backward()
    assert math.copysign(1.0, inner.grad) == math.copysign(1.0, x.grad) == 1.0


def test_where_no_gradient_arrives() -> None:
    """What is computed and then not taken has gradient 0.0, whatever an earlier backward left there."""
    x = Value(2.0)
    y = x * x
    y.backward()
    table.where(0.0, y, x).backward()
    assert (repr(y.grad), x.grad) == ("0.0", 5.0)


@given(xs=st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=5), data=st.data())
def test_chain_rule_on_random_polynomials(xs: list[float], data: st.DataObject) -> None:
    """On graphs of + - × the engine's gradient is that of exact fractions, within rounding."""
    values: list[Any] = [Value(x) for x in xs]
    # Beside each number, its exact gradient: forward mode in fractions.
    exact = [(Fraction(x), [Fraction(int(i == j)) for j in range(len(xs))]) for i, x in enumerate(xs)]
    for _ in range(data.draw(st.integers(1, 12))):
        i, j = (data.draw(st.integers(0, len(values) - 1)) for _ in range(2))
        (a, da), (b, db) = exact[i], exact[j]
        op = data.draw(st.sampled_from("+-*"))
        if op == "*" and abs(a * b) < 100:
            values.append(values[i] * values[j])
            exact.append((a * b, [a * q + p * b for p, q in zip(da, db)]))
        elif op == "-":
            values.append(values[i] - values[j])
            exact.append((a - b, [p - q for p, q in zip(da, db)]))
        else:
            values.append(values[i] + values[j])
            exact.append((a + b, [p + q for p, q in zip(da, db)]))
    values[-1].backward()
    for leaf, d in zip(values[: len(xs)], exact[-1][1]):
        assert leaf.grad == pytest.approx(float(d), rel=1e-9, abs=1e-7)


# --- copies ---


def make_graph() -> tuple[list[Value], Value]:
    """Two leaves and a root with labels, scopes, constants and a shared node."""
    with scope("layer 2"):
        w, x = Value(0.5, "w"), Value(-1.5, "x")
        z = dot([w], [x], 0.25)
        a = tanh(z)
        return [w, x], a * z + z / 3.0


def fields(v: Value) -> tuple[Any, ...]:
    return v.data, v.grad, v.op, v.partials, v.label, v.scope, type(v)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_are_complete(duplicate: Callable[[Value], Value]) -> None:
    """A copy has every node with every field, shares none, and has the same shape."""
    _, root = make_graph()
    root.backward()
    old, new = topological_order(root), topological_order(duplicate(root))
    assert list(map(fields, new)) == list(map(fields, old))
    assert not set(new) & set(old)
    place = {node: i for i, node in enumerate(old)} | {node: i for i, node in enumerate(new)}

    def shape(order: list[Value]) -> list[list[Any]]:
        return [[place[arg] if isinstance(arg, Value) else ("constant", arg) for arg in node.args] for node in order]

    assert shape(new) == shape(old)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_of_a_model_share_its_leaves(duplicate: Callable[[Any], Any]) -> None:
    """Parameters and a graph over them, copied together, still are parameters and the graph over them."""
    leaves, root = make_graph()
    (w, x), twin = duplicate((leaves, root))
    assert w in topological_order(twin)
    assert x in topological_order(twin)
    twin.backward()
    root.backward()
    assert (w.grad, x.grad) == (leaves[0].grad, leaves[1].grad) != (0.0, 0.0)


def test_two_graphs_in_one_copy_share_what_they_shared() -> None:
    """deepcopy of two roots over one node copies that node once."""
    x = Value(1.0)
    shared = x * 2.0
    one, two = copy.deepcopy([shared + 1.0, shared + 2.0])
    assert one.args[0] is two.args[0]


def test_shallow_copy() -> None:
    """copy.copy gives another node over the same operands."""
    _, root = make_graph()
    twin = copy.copy(root)
    assert twin is not root
    assert twin.args == root.args
    assert fields(twin) == fields(root)


class Weight(Value):
    __slots__ = ()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_of_a_subclass(duplicate: Callable[[Value], Value]) -> None:
    """A subclass stays one."""
    v = duplicate(Weight(1.0, "w"))
    assert type(v) is Weight
    assert (v.data, v.label) == (1.0, "w")


# --- depth and memory ---

DEEP = 1_000_000


@pytest.fixture
def small_stack() -> Iterator[None]:
    """Threads with a stack of 256 KiB: whatever recurses in C or in Python dies there."""
    old = threading.stack_size(256 * 1024)
    yield
    threading.stack_size(old)


def in_thread(work: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("small_stack")
def test_a_million_nodes_deep() -> None:
    """Build, backward, zero, repr, copy, pickle and free a chain of a million nodes, on a stack of 256 KiB."""

    def work() -> None:
        x = Value(1.0, "x")
        chain = x
        for _ in range(DEEP):
            chain = chain + x
        assert repr(chain) == f"Value(data={DEEP + 1.0}, grad=0.0, op=add)"
        chain.backward()
        assert x.grad == DEEP + 1
        x.grad = 0.0
        twins = [copy.deepcopy(chain), pickle.loads(pickle.dumps(chain))]
        last = weakref.ref(chain)
        del chain
        assert last() is None
        while twins:
            twin = twins.pop()
            assert twin.data == DEEP + 1
            leaf = topological_order(twin)[0]
            twin.backward()
            assert (leaf.label, leaf.grad, x.grad) == ("x", DEEP + 1, 0.0)

    with no_collector():  # which would look through all of it again and again
        in_thread(work)


def test_no_reference_cycles() -> None:
    """With the collector off, a graph dies with its last reference, after backward too."""
    with no_collector():
        leaves, root = make_graph()
        alive = [weakref.ref(node) for node in topological_order(root)]
        root.backward()
        del root, leaves
        assert not any(ref() for ref in alive)


def test_anomaly_keeps_nothing_alive() -> None:
    """detect_anomaly remembers lines, not nodes."""
    with no_collector(), detect_anomaly():
        leaves, root = make_graph()
        alive = [weakref.ref(node) for node in topological_order(root)]
        root.backward()
        del root, leaves
        assert not any(ref() for ref in alive)


def test_ten_thousand_steps_hold_memory_flat() -> None:
    """With the collector off, 10,000 training steps leave no byte behind but rounding."""
    w, b = Value(0.5), Value(0.1)

    def steps(n: int) -> None:
        for _ in range(n):
            loss = (tanh(w * 2.0 + b) - 0.3) ** 2 + w / (b + 3.0)
            w.grad = b.grad = 0.0
            loss.backward()
            w.data -= 0.01 * w.grad
            b.data -= 0.01 * b.grad

    with no_collector():
        steps(9_000)
        tracemalloc.start()
        steps(10)
        before, _ = tracemalloc.get_traced_memory()
        steps(990)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 1000


def test_weak_references() -> None:
    """Values can be weakly referenced."""
    v = Value(1.0)
    assert weakref.ref(v)() is v


def test_import_exports() -> None:
    """Every public name of the package's core is there."""
    for name in ("Value", "no_grad", "detect_anomaly", "scope", *table.rows):
        assert hasattr(tinygrad_sq, name)

"""`paths`: the products of local derivatives over all paths add up to the gradient; each is found once."""

from __future__ import annotations

import math
import re
from itertools import islice, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from expressions import Expression
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import output_under_any_hash_seed
from strategies import expressions
from test_formula import well_formed

from tinygrad_sq import MLP, Value, half_squared_error, paths, replay, tanh, total, where
from tinygrad_sq.graph import topological_order


def every_path(y: Value, w: Value) -> list[tuple[tuple[Value, ...], tuple[int, ...], tuple[float, ...]]]:
    """All of them, by walking the graph."""
    if y is w:
        return [((y,), (), ())]
    return [
        ((y, *nodes), (k, *operands), (local, *locals_))
        for k, (arg, local) in enumerate(zip(y.args, y.partials))
        if isinstance(arg, Value) and local is not None
        for nodes, operands, locals_ in every_path(arg, w)
    ]


@settings(max_examples=150, deadline=None)
@given(e=expressions(most_leaves=3, most_steps=9), data=st.data())
def test_each_path_once(e: Expression, data: st.DataObject) -> None:
    """All paths and no other, counted right, each with the product of its local derivatives, the largest first; their
    sum is the gradient, to rounding."""
    y = e(*e.values())
    w = data.draw(st.sampled_from(topological_order(y)))
    expected = every_path(y, w)
    p = paths(y, w)
    found = list(p)
    assert p.count == len(expected) == len(found)
    assert {path[:2] for path in found} == {path[:2] for path in expected}
    assert all(path.locals == tuple(v.partials[k] for v, k in zip(path.nodes, path.operands)) for path in found)
    for path in found:
        product = 1.0
        for local in path.locals:
            product *= local
        assert repr(path.product) == repr(product)
    sizes = [abs(path.product) for path in found]
    assert all(math.isnan(a) or a >= b * (1.0 - 1e-12) for a, b in pairwise(sizes))
    y.backward()
    assert p.gradient == w.grad or math.isnan(w.grad)
    rounding = 1e-13 * (sum(sizes) + 1.0)
    assert math.isnan(p.gradient) or abs(p.total - p.gradient) <= rounding
    assert math.isnan(p.gradient) or abs(math.fsum(path.product for path in found) - p.total) <= rounding


def net() -> tuple[Value, dict[str, Value]]:
    """J of one sample on a 2-3-2-1 net, and its values by their labels."""
    model = MLP(2, [3, 2, 1], activation="tanh", output_activation="tanh", seed=0)
    J = half_squared_error(model([Value(0.8, "x[0]"), Value(-0.5, "x[1]")]), 0.5)
    J.label = "J"
    return J, {v.label: v for v in topological_order(J) if v.label}


def test_a_net() -> None:
    """To a first weight lead as many paths as layer 3 has units, to an input six, to a last weight one."""
    J, values = net()
    assert [paths(J, values[name]).count for name in ("W1[0,1]", "x[0]", "W3[0,1]", "J")] == [2, 6, 1, 1]
    w, x = Value(-3.0, "w"), Value(2.0, "x")
    assert str(paths((w * x + 1.0) * x, x)) == GOLDEN


GOLDEN = """\
∂y/∂x as a sum over the 2 paths from y to x, each a product of local derivatives

∂y/∂(w * x + 1) · ∂(w * x + 1)/∂(w * x) · ∂(w * x)/∂x
= 2 · 1 · (-3) = -6

∂y/∂x
= -5

Sum over all paths: -11
By the backward pass: ∂y/∂x = -11"""


def test_two_to_the_sixty() -> None:
    """Counted exactly and added up at once; the first ones are there at once, too."""
    a = Value(1.1, "a")
    v = a
    for _ in range(60):
        v = v + v
    p = paths(v, a, limit=3)
    assert p.count == 2**60
    assert p.total == p.gradient == 2.0**60
    assert len({path.operands for path in islice(p, 100)}) == 100
    text = str(p)
    assert text.startswith("∂y/∂a as a sum over the 1,152,921,504,606,846,976 paths from y to a, each a product")
    assert "... and 1,152,921,504,606,846,973 paths more, none of a larger product" in text
    assert text.count("\n= 1 · 1 · 1 · 1 · 1 · ... · 1 · 1 · 1 · 1 · 1 = 1\n") == 3
    assert text.count(" · (50 more) · ") == 3


def test_the_largest_of_very_many() -> None:
    """Of 2^40 different products, the largest in order: 1.5^40, then 40 that have one factor 1.25 instead."""
    a = Value(1.0, "a")
    v = a
    for _ in range(40):
        v = v * 1.5 + v * 1.25
    products = [path.product for path in islice(paths(v, a), 42)]
    assert products[0] == pytest.approx(1.5**40)
    assert products[1:41] == pytest.approx([1.5**39 * 1.25] * 40)
    assert products[41] == pytest.approx(1.5**38 * 1.25**2)


def test_more_paths_than_a_number_can_be_written() -> None:
    """A count of thousands of digits is said by its size; the graph may be deep."""
    a = v = Value(0.5, "a")
    for _ in range(15000):
        v = v + v
    p = paths(v, a, limit=1)
    assert p.count == 2**15000
    assert "as a sum over the about 10^4515 paths" in str(p)
    assert p.total == p.gradient == math.inf


def test_long_counts() -> None:
    """A count of up to 24 digits is written out."""
    a = v = Value(1.0, "a")
    for _ in range(23):
        v = total([v] * 10)
    assert f" over the 500,{'000,' * 6}000 paths from y to a" in str(paths(total([v] * 5), a, limit=0))
    assert " over the about 10^24 paths from y to a" in str(paths(total([v] * 10), a, limit=0))


def test_one_path_and_none() -> None:
    """Said in a sentence each: y itself; one; none that gradient flows on; none at all. A limit of 0 lists none."""
    a, b = Value(1.0, "a"), Value(2.0, "b")
    assert str(paths(a, a)).startswith(
        "∂a/∂a by the only path from a to a, a product of local derivatives\n\n∂a/∂a\n= 1\n"
    )
    assert "\n\n∂y/∂a\n= 3\n\nSum" in str(paths(a * 3.0, a))
    assert "\n= 0.111111 · 1.11111 = 0.123457\n" in str(paths(a * (10 / 9) * (1 / 9), a))
    assert str(paths(where(a, a, b), b)) == "No gradient flows from y to b: ∂y/∂b = 0"
    assert str(paths(tanh(a), b)) == "y does not depend on b: ∂y/∂b = 0"
    p = paths(tanh(a), tanh(b))
    assert (p.count, p.total, p.gradient, list(p)) == (0, 0.0, 0.0, [])
    assert "... and 2 paths more" in str(paths(a + a, a, limit=0))
    assert "paths more" not in str(paths(a + a, a, limit=2))
    assert "... and 1 paths more" in paths(a + a, a).text(limit=1)
    assert "paths more" not in paths(a + a, a).text(limit=None)
    assert "paths more" not in str(paths(total([a] * 10), a))
    assert "... and 1 paths more" in str(paths(total([a] * 11), a))


def test_zeros_infinities_and_nan() -> None:
    """What is NaN or infinite comes first, what is 0 last; none is left out."""
    x, zero = Value(2.0, "x"), Value(0.0)
    y = x * 3.0 + x * 0.0 + x / zero + x * -5.0
    products = [path.product for path in paths(y, x)]
    assert products == [math.inf, -5.0, 3.0, 0.0]
    p = paths(x * -0.0, x)
    assert (repr(p.total), repr(p.gradient)) == ("0.0", "0.0")  # as a leaf's grad, to which -0.0 is added
    y = (x / zero) * 0.0 + x
    assert repr([path.product for path in paths(y, x)]) == "[nan, 1.0]"


def test_long_names_are_explained() -> None:
    """Where a name stands for a long formula, a line says for which."""
    x = Value(0.5, "x")
    assert "\nwhere t1 = tanh(x + 1.234567) * tanh(x + 2.345678) = " in str(
        paths(tanh(tanh(x + 1.234567) * tanh(x + 2.345678)), x)
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.0, Value(1.0)), TypeError, "paths takes two Values, got float 1.0"),
        ((Value(1.0), "w"), TypeError, "paths takes two Values, got str 'w'"),
        ((Value(1.0), Value(1.0), -1), ValueError, "expected a limit of 0 or more, got -1"),
    ],
)
def test_what_is_wrong(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    """Is named, with what was expected."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        paths(*arguments)


def test_changed_data() -> None:
    """Numbers that no longer belong together are not shown."""
    w, x = Value(2.0, "w"), Value(3.0, "x")
    y = w * x
    x.data = 4.0
    with pytest.raises(ValueError, match=r"operands were changed after the forward pass"):
        paths(y, w)
    assert paths(replay(y), w).gradient == 4.0


def test_html_and_latex() -> None:
    """Well formed; every factor a fraction; the same bytes in every process."""
    J, values = net()
    p = paths(J, values["W1[0,1]"])
    page = ElementTree.fromstring(p.html())
    assert len(page.findall(".//{http://www.w3.org/1998/Math/MathML}mfrac")) >= 2 * 9
    assert well_formed(p.latex())
    assert r"\frac{\partial a^{4}_{0}}{\partial z^{4}_{0}}\text{ · }" in p.latex()
    script = """
from tinygrad_sq import MLP, Value, half_squared_error, paths
x = Value(0.25, "x")
p = paths(half_squared_error(MLP(2, [3, 2, 1], "tanh", seed=1)([x, 0.5]), [0.1]), x)
print(p, p.html(), p.latex())
"""
    assert "∂y/∂x" in output_under_any_hash_seed(script)

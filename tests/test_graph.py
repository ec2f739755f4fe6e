"""The order in which a graph is visited, on graphs that have nothing to do with numbers."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from processes import output_under_any_hash_seed

from tinygrad_sq.graph import Node, topological_order


class Named(Node):
    __slots__ = ("name",)

    def __init__(self, name: str, *args: object) -> None:
        self.name = name
        self.args = args


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[Named], list[Named]]:
    """All nodes of a random acyclic graph, and some of them as roots; operands may repeat, and some are constants."""
    nodes: list[Named] = []
    for i in range(draw(st.integers(1, 25))):
        operands = st.sampled_from(nodes) | st.sampled_from([1.0, "a constant"]) if nodes else st.just(1.0)
        nodes.append(Named(str(i), *draw(st.lists(operands, max_size=4))))
    return nodes, draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=4))


def reference(roots: list[Named]) -> list[Named]:
    """Depth first, operands from left to right, each node after its operands: in the fewest words, recursively."""
    order: dict[Named, None] = {}

    def visit(node: Named) -> None:
        for arg in node.args:
            if isinstance(arg, Named) and arg not in order:
                visit(arg)
        order.setdefault(node)

    for root in roots:
        visit(root)
    return list(order)


def edges(order: list[Named]) -> Iterator[tuple[Named, Named]]:
    return ((arg, node) for node in order for arg in node.args if isinstance(arg, Named))


@given(dags())
def test_order_property(graph: tuple[list[Named], list[Named]]) -> None:
    """Each node stands exactly once, after all of its operands."""
    _, roots = graph
    order = topological_order(*roots)
    position = {node: i for i, node in enumerate(order)}
    assert len(position) == len(order)
    for arg, node in edges(order):
        assert position[arg] < position[node]


@given(dags())
def test_exactly_what_the_roots_depend_on(graph: tuple[list[Named], list[Named]]) -> None:
    """The roots are in the order, all operands of what is in it are, and everything in it is a root or an operand."""
    _, roots = graph
    order = topological_order(*roots)
    assert set(roots) <= set(order)
    assert set(order) == set(roots) | {arg for arg, _ in edges(order)}


@given(dags())
def test_order_is_depth_first_from_left_to_right(graph: tuple[list[Named], list[Named]]) -> None:
    """The order is that of the recursive walk: the graph alone decides it."""
    _, roots = graph
    assert topological_order(*roots) == reference(roots)


def test_several_roots_share() -> None:
    """Roots one after another, what they share once; no roots, no nodes; a root given twice counts once."""
    a = Named("a")
    b, c = Named("b", a), Named("c", a, 2.0)
    assert topological_order(b, c) == [a, b, c]
    assert topological_order(c, b) == [a, c, b]
    assert topological_order(a, b, b, a) == [a, b]
    assert topological_order() == []


def test_diamond() -> None:
    """A node that two others use comes before both, though one of them is an operand of the other."""
    a = Named("a")
    b = Named("b", a)
    c = Named("c", b, a)
    d = Named("d", a, c, b)
    assert topological_order(d) == [a, b, c, d]


def test_deep_and_wide() -> None:
    """200,000 operands in a row and 200,000 in a list are ordinary cases."""
    node = Named("0")
    for i in range(200_000):
        node = Named(str(i), node)
    assert len(topological_order(node)) == 200_001
    leaves = [Named("leaf") for _ in range(200_000)]
    assert topological_order(Named("all", *leaves))[:-1] == leaves


SCRIPT = """
from tinygrad_sq import Value
from tinygrad_sq.graph import topological_order
leaves = [Value(i, f"x{i}") for i in range(50)]
y = sum(a * b for a in leaves[::7] for b in leaves[::3])
print([v.label or v.op.name for v in topological_order(y)])
"""


def test_order_does_not_depend_on_hashes() -> None:
    """The same order under any PYTHONHASHSEED, in any process."""
    assert "x49" in output_under_any_hash_seed(SCRIPT)

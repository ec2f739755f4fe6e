"""`paths`: the chain rule as a sum over paths, each of them a product of local derivatives."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tinygrad_sq.calculus import push_forward
from tinygrad_sq.graph import topological_order
from tinygrad_sq.study.explain import check_unchanged
from tinygrad_sq.study.names import Names
from tinygrad_sq.study.sheet import Block, Item, Line, Sheet, definitions, excerpt, factor, number
from tinygrad_sq.value import NOTHING, Value, adjoints, recorded_partials

MOST_FACTORS = 10  # of a path that are written out


class Path(NamedTuple):
    """A way from y down to w, from operand to operand.

    nodes     the values on it, y first and w last
    operands  for each value but w, which of its operands the next one is: a + a has two ways to a
    locals    for each value but w, its local derivative by the next one
    product   of them all, what the path adds to ∂y/∂w; multiplied from y on, as the backward pass does
    """

    nodes: tuple[Value, ...]
    operands: tuple[int, ...]
    locals: tuple[float, ...]
    product: float


class Paths(Sheet):
    """All ways on which gradient flows from `y` to `w`. It shows itself as a list of the first `limit` of them.

    count     how many there are, exactly
    total     the sum of all their products, added up from w on to y
    gradient  ∂y/∂w by the backward pass: the same sum, added up from y on to w

    Iterating gives every one, the largest |product| first, and finds each as it is asked for.
    """

    def __init__(self, y: Value, w: Value, limit: int) -> None:
        self.y = y
        self.w = w
        self.limit = limit
        order = topological_order(y)
        self._edges: dict[Value, list[_Edge]] = {w: []}
        for node in order:
            edges = [
                _Edge(operand, arg, local)
                for operand, (arg, local) in enumerate(zip(node.args, node.partials))
                if isinstance(arg, Value) and local is not None and arg in self._edges
            ]
            if edges and node is not w:
                check_unchanged(node)
                self._edges[node] = edges
        self.count = self._count()
        rates = {w: 1.0}
        push_forward(order, rates, NOTHING, recorded_partials)
        self.total = rates.get(y, 0.0) + 0.0
        self.gradient = adjoints(y).get(w, 0.0) + 0.0
        self._depends = w in order
        self.names = Names(order if self._depends else topological_order(y, w), self._edges, y)

    def _count(self) -> int:
        """The number of ways from a value is the sum of those from its operands; forgotten once all users know it,
        since it may have as many digits as the graph is deep."""
        users = Counter(edge.arg for edges in self._edges.values() for edge in edges)
        counts = {self.w: 1}
        for node, edges in self._edges.items():
            for edge in edges:
                counts[node] = counts.get(node, 0) + counts[edge.arg]
                users[edge.arg] -= 1
                if not users[edge.arg]:
                    del counts[edge.arg]
        return counts.get(self.y, 0)

    def __iter__(self) -> Iterator[Path]:
        ways = _Ways(self._edges)
        for rank in range(self.count):
            yield ways.path(self.y, rank)

    def blocks(self, limit: int | None) -> list[Block]:
        names, dy_dw = self.names, self.names.derivative(self.y, self.w)
        if not self.count:
            start, verb = ("No gradient flows from ", " to ") if self._depends else ("", " does not depend on ")
            return [Line([start, names[self.y], verb, names[self.w], ": ", dy_dw, " = 0"])]
        shown = list(islice(self, self.limit if limit is None else min(limit, self.limit)))
        ends: list[Item] = [" from ", names[self.y], " to ", names[self.w]]
        if self.count == 1:
            blocks: list[Block] = [Line([dy_dw, " by the only path", *ends, ", a product of local derivatives"])]
        else:
            which = f" as a sum over the {_counted(self.count)} paths"
            blocks = [Line([dy_dw, which, *ends, ", each a product of local derivatives"])]
        for path in shown:
            blocks += self._lines(path)
        if self.count > len(shown):
            blocks.append(Line([f"... and {_counted(self.count - len(shown))} paths more, none of a larger product"]))
        blocks += definitions(names, {node for path in shown for node in path.nodes})
        blocks.append(Line(["Sum over all paths: ", number(self.total)], heading=True))
        blocks.append(Line(["By the backward pass: ", dy_dw, " = ", number(self.gradient)]))
        return blocks

    def _lines(self, path: Path) -> list[Line]:
        first, last = excerpt(len(path.locals), MOST_FACTORS)
        symbols: list[Item] = []
        numbers: list[Item] = []
        for i in (*first, *last):
            if i:
                symbols.append(" · ")
                numbers.append(" · ")
            if last and i == last[0]:
                symbols.append(f"({last[0] - len(first)} more) · ")
                numbers.append("... · ")
            symbols.append(self.names.derivative(path.nodes[i], path.nodes[i + 1]))
            numbers.append(factor(path.locals[i]) if i else number(path.locals[i], 6))
        if len(path.locals) != 1:
            numbers += [" = " if path.locals else "", number(path.product, 6)]
        return [Line(symbols or [self.names.derivative(self.y, self.w)], heading=True), Line(["= ", *numbers])]


def _counted(n: int) -> str:
    return f"{n:,}" if n < 10**24 else f"about 10^{math.log10(n):.0f}"


class _Edge(NamedTuple):
    operand: int
    arg: Value
    local: float


class _Way(NamedTuple):
    """The way through an edge of a value and on by the way of that rank from there; `order` is -log |product|."""

    order: float
    edge: int
    rank: int


class _Ways:
    """The ways from every value to w by the size of their product, found one after the other.

    The k-th largest way from a value goes through one of its edges and on by a way that is no more than the k-th from
    there. So each value keeps the ways found, and a heap with the next one through each edge; to find one more, only
    the values along one way have to look further (Jiménez and Marzal 1999, the recursive enumeration algorithm).
    """

    def __init__(self, edges: dict[Value, list[_Edge]]) -> None:
        self.edges = edges
        self.found: dict[Value, list[_Way]] = {}
        self.heaps: dict[Value, list[_Way]] = {}
        for node, ways_on in edges.items():
            heap = [_Way(_order(edge.local, self.found[edge.arg][0].order), i, 0) for i, edge in enumerate(ways_on)]
            heapq.heapify(heap)
            self.found[node] = [heapq.heappop(heap) if heap else _Way(0.0, 0, 0)]
            self.heaps[node] = heap

    def path(self, y: Value, rank: int) -> Path:
        """The way from y of that rank; they are asked for one after the other, and the first one is known."""
        if rank:
            self._find_one_more(y)
        nodes, operands, locals_ = [y], [], []
        product = 1.0
        while edges := self.edges[nodes[-1]]:
            way = self.found[nodes[-1]][rank]
            edge = edges[way.edge]
            rank = way.rank
            nodes.append(edge.arg)
            operands.append(edge.operand)
            locals_.append(edge.local)
            product *= edge.local
        return Path(tuple(nodes), tuple(operands), tuple(locals_), product)

    def _find_one_more(self, y: Value) -> None:
        """One more way from y, and from each value on the last way found that has none to offer beyond it."""
        asked = []
        node = y
        while self.edges[node]:
            asked.append(node)
            last = self.found[node][-1]
            node = self.edges[node][last.edge].arg
            if len(self.found[node]) > last.rank + 1:
                break
        for node in reversed(asked):
            last = self.found[node][-1]
            edge = self.edges[node][last.edge]
            further = self.found[edge.arg][last.rank + 1 : last.rank + 2]
            heap = self.heaps[node]
            for way in further:
                heapq.heappush(heap, _Way(_order(edge.local, way.order), last.edge, last.rank + 1))
            if heap:
                self.found[node].append(heapq.heappop(heap))


def _order(local: float, rest: float) -> float:
    """-log |local · the rest of the product|; what is NaN comes first, as what is infinite does."""
    order = (-math.log(abs(local)) if local else math.inf) + rest
    return -math.inf if math.isnan(order) else order


def paths(y: Value, w: Value, limit: int = 10) -> Paths:
    """∂y/∂w as Σ over the paths from y to w of Π of the local derivatives along it.

    limit  how many to show, those with the largest |product|

    They are counted exactly and added up, however many they are; iterating over the result gives them one by one. A
    branch that `where` did not take is no path.

    Raises TypeError for what is not a Value, ValueError for a limit below 0 and if data was changed after the forward
    pass (see `replay`).
    """
    for v in (y, w):
        if not isinstance(v, Value):
            raise TypeError(f"paths takes two Values, got {type(v).__name__} {v!r:.60}")
    if limit < 0:
        raise ValueError(f"expected a limit of 0 or more, got {limit}")
    return Paths(y, w, limit)

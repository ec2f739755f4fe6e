"""Names for the values of a graph, for their operations and for their local derivatives, short enough for a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from tinygrad_sq.calculus import graph_partials
from tinygrad_sq.context import context_with
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import CLOSED
from tinygrad_sq.study.formula import LATEX, TEXT, Notation, Piece, part_numbers
from tinygrad_sq.value import Value, record

LONGEST_NAME = 32
LONGEST_FORMULA = 200


class Formula(NamedTuple):
    """A formula as plain text and as LaTeX."""

    text: str
    latex: str


class Names:
    """What to call each value of `order`, a graph in topological order.

    A label, the number of a leaf without one, or else the operation on its operands' names: `W2[0,2] * a2[2]`. Where
    that is long, t1, t2, ... for those of `told`, which are explained elsewhere, and dots for the others. A `root`
    without a label is y, if nothing else is.
    """

    def __init__(self, order: Collection[Value], told: Collection[Value], root: Value) -> None:
        y = root if root.op and not root.label and all(node.label != "y" for node in order) else None
        self._y = y
        self.parts: list[Value] = []
        free = part_numbers(order)
        self._pieces: dict[Notation, dict[Value, Piece]] = {TEXT: {}, LATEX: {}}
        text, latex = self._pieces.values()
        for node in order:
            if node.op is None or node.label:
                text[node], latex[node] = TEXT.leaf(node), LATEX.leaf(node)
                continue
            if node is y:
                text[node], latex[node] = TEXT.name("y"), LATEX.name("y")
                continue
            text[node] = TEXT.operation(node.op, node.args, text)
            short = len(text[node]) <= LONGEST_NAME
            if short and not (node in told and TEXT.dots in text[node]):
                latex[node] = LATEX.operation(node.op, node.args, latex)
            elif node in told:
                self.parts.append(node)
                k = next(free)
                text[node], latex[node] = TEXT.piece(TEXT.part(k)), LATEX.piece(LATEX.part(k))
            else:
                text[node], latex[node] = TEXT.piece(TEXT.dots), LATEX.piece(LATEX.dots)
        self._partials: dict[Value, tuple[Value, list[Value | float | None]]] = {}

    def is_given(self, v: Value) -> bool:
        """Whether its name is made up here: y, t1, t2, ..."""
        return v is self._y or v in self.parts

    def binds_loosely(self, v: Value) -> bool:
        """Whether its name has to stand in parentheses after a ∂."""
        return self._pieces[TEXT][v].precedence < CLOSED

    def __getitem__(self, v: Value) -> Formula:
        return Formula(*[str(pieces[v]) for pieces in self._pieces.values()])

    def definition(self, node: Value) -> Formula:
        """Its name and the operation that made it, on its operands' names: `a2[0] = tanh(z2[0])`."""
        assert node.op
        name = self[node]
        formula = Formula(*[str(n.operation(node.op, node.args, pieces)) for n, pieces in self._pieces.items()])
        if formula == name:
            return name
        if len(formula.text) > LONGEST_FORMULA:
            words = f"{node.op.symbol} of {len(node.args)} operands"
            formula = Formula(words, LATEX.symbol(words))
        return Formula(*map(" = ".join, zip(name, formula)))

    def derivative(self, y: Value, x: Value) -> Formula:
        """∂y/∂x."""
        (above, below), (upper, lower) = ([pieces[v] for v in (y, x)] for pieces in self._pieces.values())
        return Formula(f"∂{above:5}/∂{below:5}", rf"\frac{{\partial {upper:5}}}{{\partial {lower:5}}}")

    def local(self, node: Value, operand: int) -> Formula:
        """∂node/∂(its operand of that place) as a formula of the names of its operands: the row's own partial."""
        if node not in self._partials:
            copy = again(node)
            with context_with(recording=True, origins=None):
                self._partials = {node: (copy, graph_partials(copy))}
        copy, partials = self._partials[node]
        partial = partials[operand]
        assert partial is not None
        texts = []
        for notation, pieces in self._pieces.items():
            known: dict[Any, Piece] = {mine: pieces[v] for mine, v in zip(copy.args, node.args) if isinstance(v, Value)}
            texts.append(_written(partial, notation, {**known, copy: pieces[node]}))
        return Formula(*texts) if len(texts[0]) <= LONGEST_FORMULA else Formula(TEXT.dots, LATEX.dots)


def rounded(x: float, digits: int = 6) -> float:
    return float(f"{x:.{digits}g}")


def again(node: Value) -> Value:
    """The operation that made `node`, done once more, on leaves with the present data of its operands."""
    assert node.op
    leaves = {arg: Value(arg.data) for arg in node.args if isinstance(arg, Value)}
    with context_with(recording=True, origins=None):
        return record(node.op, tuple([leaves[arg] if isinstance(arg, Value) else arg for arg in node.args]))


def _written(partial: Value | float, notation: Notation, known: Mapping[Value, Piece]) -> str:
    if not isinstance(partial, Value):
        return str(notation.constant(rounded(partial)))
    pieces: dict[Any, Piece] = dict(known)
    for node in topological_order(partial):
        if node in pieces:
            continue
        if node.op is None:
            pieces[node] = notation.leaf(node)
            continue
        chosen = _chosen(node)
        if chosen is None:
            pieces[node] = notation.operation(node.op, node.args, pieces)
        else:
            pieces[node] = pieces[chosen] if isinstance(chosen, Value) else notation.constant(chosen)
    return str(pieces[partial])


def _chosen(node: Value) -> Value | float | None:
    """The operand that a choice between operands came out as, if the node is one: the only one that it depends on.

    A derivative is written as it is here: 1 / x, that of log, and not both branches that log has.
    """
    assert node.op
    if not (isinstance(node.op.partials, tuple) and None in node.op.partials):
        return None
    data = [arg.data if isinstance(arg, Value) else arg for arg in node.args]
    depends_on = [arg for arg, d in zip(node.args, node.op.gradient(node.data, *data)) if d is not None]
    return depends_on[0] if depends_on else None

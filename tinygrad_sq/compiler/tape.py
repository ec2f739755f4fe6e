"""Tape: the graph as a list of native instructions, without what is computed twice or not at all.

Rows are asked for their native spelling by calling them on `Term`s, which record like Values do. Chains of sums and
products that the user wrote by hand become one instruction, the sum of products that `dot` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import chain
from typing import Any, TypeAlias

from tinygrad_sq import table
from tinygrad_sq.graph import topological_order
from tinygrad_sq.op import Op
from tinygrad_sq.value import Value

# An operand: the number of an instruction, or a constant.
Operand: TypeAlias = "int | float"

PRODUCTS = "products"  # operands w1, x1, w2, x2, ..., b: Σ w x + b
INPUT, PARAMETER = "input", "parameter"  # operand k: the k-th scalar of the sample, of the parameters


# The native spelling, and the operands.
Instruction: TypeAlias = "tuple[str, tuple[Operand, ...]]"


class Term:
    """An instruction's result, for the rows' native spellings to compute with."""

    __slots__ = ("index", "tape")

    def __init__(self, tape: Tape, index: int) -> None:
        self.tape = tape
        self.index = index

    def __record__(self, op: Op, args: tuple[Any, ...]) -> Any:
        result = self.tape.apply(op, [_operand(arg) for arg in args])
        return Term(self.tape, result) if type(result) is int else result

    # fmt: off
    def __add__(self, other: Any) -> Any: return table.add(self, other)
    def __radd__(self, other: Any) -> Any: return table.add(other, self)
    def __sub__(self, other: Any) -> Any: return table.sub(self, other)
    def __rsub__(self, other: Any) -> Any: return table.sub(other, self)
    def __mul__(self, other: Any) -> Any: return table.mul(self, other)
    def __rmul__(self, other: Any) -> Any: return table.mul(other, self)
    def __truediv__(self, other: Any) -> Any: return table.div(self, other)
    def __rtruediv__(self, other: Any) -> Any: return table.div(other, self)
    def __neg__(self) -> Any: return table.neg(self)
    # fmt: on


class Tape:
    """The instructions that compute `roots` from the leaves `inputs` and `parameters`, which are the first of them;
    other leaves are constants.

    labels     the names of some of them
    refers     for each, the instructions whose results it takes
    uses       for each, how often the roots and what they depend on take it
    live       those that the roots depend on, in order
    in_order   the sums of products among them whose order is not their own to choose
    constants  the other leaves
    nodes      how many there are in the graph
    """

    def __init__(self, roots: Sequence[Value], inputs: Sequence[Value], parameters: Sequence[Value]) -> None:
        leaves = [*inputs, *parameters]
        self.instructions: list[Instruction] = [(INPUT, (k,)) for k in range(len(inputs))]
        self.instructions += [(PARAMETER, (k,)) for k in range(len(parameters))]
        self.refers: list[list[int]] = [[] for _ in leaves]
        self.labels = {k: leaf.label for k, leaf in enumerate(leaves)}
        self.constants: list[Value] = []
        self._numbers: dict[object, int] = {}
        self._sums: dict[int, tuple[Op, Sequence[Operand]]] = {}
        results: dict[Value | float, Operand] = {leaf: k for k, leaf in enumerate(leaves)}
        order = topological_order(*roots)
        self.nodes = len(order)
        for node in order:
            if node in results:
                continue
            if node.op is None:
                results[node] = float(node.data)  # an int would be the number of an instruction
                self.constants.append(node)
            else:
                args: list[Any] = [results.get(arg, arg) for arg in node.args]
                results[node] = result = self.apply(node.op, args)
                if type(result) is int and (label := node.label or self._formula(node.op, args)):
                    self.labels.setdefault(result, label)
        self.roots = [results[root] for root in roots]
        self.uses = self._uses()
        self.in_order: set[int] = set()
        self.live = self._merge_products(self.uses)

    def apply(self, op: Op, args: Sequence[Operand]) -> Operand:
        """The instruction that op's native spelling makes of these operands; of constants alone, the number."""
        refers = [x for x in args if type(x) is int]
        if not refers:
            return float(op.forward(*args))
        native = op.native
        if callable(native):
            native = native(*[Term(self, x) if type(x) is int else x for x in args])
            if not isinstance(native, str):
                return _operand(native)
        if native is None and op.products is None:
            raise TypeError(f"{op.name} cannot be compiled: its row has no native spelling (column `native`)")
        if native is None or (isinstance(op.arity, range) and len(args) != 2):
            if op.products is None:  # a row of any number of operands, natively of two: one after the other
                return reduce(lambda x, y: self.apply(op, (x, y)), args)
            pairs, bias = op.products(*args)
            index = self._find(PRODUCTS, (*chain.from_iterable(pairs), bias), refers)
        else:
            index = self._find(native, tuple(args), refers)
        if op.products is not None:
            self._sums[index] = op, args
        return index

    def _find(self, native: str, operands: tuple[Operand, ...], refers: list[int]) -> int:
        """The number of the instruction, which may be there already."""
        instruction = native, operands
        key: object = instruction
        if len(refers) < len(operands):  # -0.0 is not 0.0, and 1 is not 1.0
            key = native, *[x if type(x) is int else repr(x) for x in operands]
        index = self._numbers.setdefault(key, len(self.instructions))
        if index == len(self.instructions):
            self.instructions.append(instruction)
            self.refers.append(refers)
        return index

    def _formula(self, op: Op, args: Sequence[Operand]) -> str:
        """A name for what is spelled out, of something that has a name: step(z2[0]), sech(z2[0])."""
        names = [self.labels.get(x, "") for x in args if type(x) is int]
        return f"{op.name}({names[0]})" if callable(op.native) and len(args) == 1 and names[0] else ""

    def _uses(self) -> list[int]:
        """Of each instruction, how often the roots and what they depend on take it."""
        uses = [0] * len(self.instructions)
        for root in self.roots:
            if type(root) is int:
                uses[root] += 1
        for index in range(len(uses) - 1, -1, -1):
            if uses[index]:
                for x in self.refers[index]:
                    uses[x] += 1
        return uses

    def _terms(self, index: int) -> list[tuple[Operand, Operand]]:
        """The products that it adds up, in this order, from the bias on."""
        op, args = self._sums[index]
        assert op.products
        pairs, bias = op.products(*args)
        return [(1.0, bias), *pairs] if type(bias) is int or bias else pairs

    def _in_any_order(self, index: int) -> bool:
        """Whether its terms are those of a row of many operands, which does not say in which order it adds them up."""
        op, _ = self._sums[index]
        return isinstance(op.arity, range)

    def _merge_products(self, uses: list[int]) -> list[int]:
        """Write a sum of sums and products as one, where those are of no other use. Gives what is live after it.

        Additions keep their order, so that a + (b - c) does not become (a + b) - c, which is another number; but for
        those within a row of many operands, the order of which is the row's own.
        """
        inner = {index for index in self._sums if uses[index] == 1}
        merged: dict[int, list[tuple[Operand, Operand]]] = {}
        for index in sorted(self._sums):
            if not uses[index] or inner.isdisjoint(self.refers[index]):
                continue
            any_order = self._in_any_order(index)
            terms: list[tuple[Operand, Operand]] = []
            joined = False
            for term in self._terms(index):
                _, x = term
                if not (_alone(term) and type(x) is int and x in inner):
                    terms.append(term)
                    continue
                inside = merged.get(x) or self._terms(x)
                if len(inside) > 1 and (x in self.in_order or not self._in_any_order(x)):
                    if len(terms) > 1:
                        terms.append(term)
                        continue
                    terms, inside = inside, terms  # a + s is s + a
                    any_order = False
                joined = True
                uses[x] = 0
                merged.pop(x, None)
                terms += inside
            if joined:
                if any_order:
                    terms.sort(key=_alone, reverse=True)
                else:
                    self.in_order.add(index)
                merged[index] = terms
        for index, terms in merged.items():
            # What the products are added to stands first, or second: x y + b is b + x y.
            first = next((k for k, term in enumerate(terms[:2]) if _alone(term)), None)
            bias = 0.0 if first is None else terms.pop(first)[1]
            operands = (*chain.from_iterable(terms), bias)
            self.instructions[index] = PRODUCTS, operands
            self.refers[index] = [x for x in operands if type(x) is int]
        return [index for index, count in enumerate(uses) if count]


def _alone(term: tuple[Operand, Operand]) -> bool:
    """Whether the product is its second factor alone."""
    return type(term[0]) is float and term[0] == 1.0


def _operand(x: Any) -> Operand:
    return x.index if isinstance(x, Term) else float(x)


def is_instruction(native: str) -> bool:
    """Whether a native spelling is one of LLVM's instructions or intrinsics, and not a function to call."""
    return native in (PRODUCTS, "copy", "select", "fadd", "fsub", "fmul", "fdiv", "fneg") or native.startswith(
        ("fcmp ", "llvm.")
    )

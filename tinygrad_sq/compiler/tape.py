"""Tape: the graph as a list of native instructions, without what is computed twice or not at all.

Rows are asked for their native spelling by calling them on `Term`s, which record like Values do. Chains of sums and
products that the user wrote by hand become one instruction, the sum of products that `dot` is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from tinygrad_sq import table
from tinygrad_sq.graph import topological_order
from tinygrad_sq.table import Op
from tinygrad_sq.value import Value

# An operand: the number of an instruction, or a constant.
Operand: TypeAlias = "int | float"
Products: TypeAlias = "tuple[list[tuple[Operand, Operand]], Operand]"

PRODUCTS = "products"  # operands w1, x1, w2, x2, ..., b: Σ w x + b
INPUT, PARAMETER = "input", "parameter"  # operand k: the k-th scalar of the sample, of the parameters


class Instruction(NamedTuple):
    native: str
    operands: tuple[Operand, ...]
    label: str = ""


class Term:
    """An instruction's result, for the rows' native spellings to compute with."""

    __slots__ = ("index", "tape")

    def __init__(self, tape: Tape, index: int) -> None:
        self.tape = tape
        self.index = index

    def __record__(self, op: Op, args: tuple[Any, ...]) -> Any:
        return self.tape.apply(op, args)

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
    """The instructions that compute `roots` from the leaves `inputs` and `parameters`; other leaves are constants."""

    def __init__(self, roots: Sequence[Value], inputs: Sequence[Value], parameters: Sequence[Value]) -> None:
        self.instructions: list[Instruction] = []
        self.products: dict[int, Products] = {}
        self._known: dict[Any, int] = {}
        terms: dict[Value, Any] = {}
        for kind, leaves in ((INPUT, inputs), (PARAMETER, parameters)):
            for k, leaf in enumerate(leaves):
                terms[leaf] = Term(self, self._append(kind, (k,), leaf.label))
        for node in topological_order(*roots):
            if node in terms:
                continue
            if node.op is None:
                terms[node] = node.data
            else:
                args = [terms[arg] if isinstance(arg, Value) else arg for arg in node.args]
                terms[node] = term = self.apply(node.op, args)
                if isinstance(term, Term) and node.label:
                    self._name(term.index, node.label)
        self.roots: list[Operand] = [_operand(terms[root]) for root in roots]
        self._merge_products()

    def apply(self, op: Op, args: Sequence[Any]) -> Any:
        """The Term (or, of constants, the number) that op's native spelling makes of these operands."""
        if not any(isinstance(arg, Term) for arg in args):
            return op.forward(*args)
        native = op.native(*args) if callable(op.native) else op.native
        if native is not None and not isinstance(native, str):
            return native
        operands = tuple(map(_operand, args))
        if native is None and op.products is None:
            raise TypeError(f"{op.name} cannot be compiled: its row has no native spelling (column `native`)")
        if native is None or (isinstance(op.arity, range) and len(operands) != 2):
            if op.products is None:  # a row of any number of operands, natively of two: one after the other
                result = args[0]
                for arg in args[1:]:
                    result = self.apply(op, (result, arg))
                return result
            pairs, bias = op.products(*operands)
            index = self._append(PRODUCTS, (*(x for pair in pairs for x in pair), bias))
        else:
            index = self._append(native, operands)
        if op.products is not None:
            self.products[index] = op.products(*operands)
        return Term(self, index)

    def _append(self, native: str, operands: tuple[Operand, ...], label: str = "") -> int:
        key = native, tuple([(type(x), repr(x)) for x in operands])  # -0.0 is not 0.0, and 1 is not 1.0
        if key not in self._known:
            self._known[key] = len(self.instructions)
            self.instructions.append(Instruction(native, operands, label))
        return self._known[key]

    def _name(self, index: int, label: str) -> None:
        if not self.instructions[index].label:
            self.instructions[index] = self.instructions[index]._replace(label=label)

    def live(self) -> list[int]:
        """The instructions that the roots depend on, in order."""
        needed = {root for root in self.roots if isinstance(root, int)}
        for index in range(len(self.instructions) - 1, -1, -1):
            native, operands, _ = self.instructions[index]
            if index in needed and native not in (INPUT, PARAMETER):
                needed.update(x for x in operands if isinstance(x, int))
        return sorted(needed)

    def _merge_products(self) -> None:
        """Write sums of sums of products as one, where the inner ones are of no other use."""
        live = self.live()
        uses = Counter(x for i in live for x in self._refers(i))
        uses.update(root for root in self.roots if isinstance(root, int))
        changed: set[int] = set()
        for index in live:
            if index not in self.products:
                continue
            pairs, bias = self.products[index]
            merged: list[tuple[Operand, Operand]] = []
            inside: set[int] = set()
            for w, x in [*pairs, (1.0, bias)]:
                one = type(w) is float and w == 1.0
                if one and isinstance(x, int) and uses[x] == 1 and x in self.products:
                    inside.add(x)
                    inner_pairs, x = self.products[x]
                    if len(inner_pairs) > len(merged):  # whose list is needed no more: a long chain is not copied
                        inner_pairs[:0] = merged
                        merged = inner_pairs
                    else:
                        merged += inner_pairs
                if not (one and type(x) is float and x == 0.0):
                    merged.append((w, x))
            if inside:
                self.products[index] = merged, 0.0
                changed -= inside
                changed.add(index)
        for index in changed:
            merged, _ = self.products[index]
            first = next((k for k, (w, _) in enumerate(merged) if type(w) is float and w == 1.0), None)
            bias = 0.0 if first is None else merged.pop(first)[1]
            operands = (*(x for pair in merged for x in pair), bias)
            self.instructions[index] = Instruction(PRODUCTS, operands, self.instructions[index].label)

    def _refers(self, index: int) -> list[int]:
        native, operands, _ = self.instructions[index]
        return [] if native in (INPUT, PARAMETER) else [x for x in operands if isinstance(x, int)]


def _operand(x: Any) -> Operand:
    return x.index if isinstance(x, Term) else float(x)


def is_instruction(native: str) -> bool:
    """Whether a native spelling is one of LLVM's instructions or intrinsics, and not a function to call."""
    return native in (PRODUCTS, "copy", "select", "fadd", "fsub", "fmul", "fdiv", "fneg") or native.startswith(
        ("fcmp ", "llvm.")
    )

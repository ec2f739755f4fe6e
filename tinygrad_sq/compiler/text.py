"""The rolled program as text: one line a nest, in the names of the values that it was rolled from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinygrad_sq.compiler.roll import ROW, SCALAR, Nest, Rolled
from tinygrad_sq.compiler.tape import PRODUCTS

_COUNTERS = "ijklmnopqrstuvw"

# How LLVM's instructions are written on paper; what is not here is a function and written as one.
_WRITTEN = {
    "fadd": "{0} + {1}",
    "fsub": "{0} - {1}",
    "fmul": "{0} · {1}",
    "fdiv": "{0} / {1}",
    "fneg": "-{0}",
    "fcmp olt": "[{0} < {1}]",
    "fcmp oeq": "[{0} = {1}]",
    "select": "where({0}, {1}, {2})",
    "copy": "{0}",
}

_Terms = Sequence[tuple[str, int]]  # (counter, stride) of each loop around


def to_text(program: Rolled, per_sample: bool = False) -> str:
    """The nests in order: `for i < 16: z2[i] = b1[i] + Σ_{j < 2} W1[i,j] · x[j]` is E2.

    δ2[i] stands for ∂J/∂z2[i], and `sum` for the sum over the samples; there is none where results are `per_sample`.
    """
    return "\n".join(_line(program, nest, per_sample) for nest in program.nests)


def _line(program: Rolled, nest: Nest, per_sample: bool) -> str:
    counters = _COUNTERS[: len(nest.loops)]
    head = ", ".join(f"{i} < {loop.rounds}" for i, loop in zip(counters, nest.loops))
    if nest.table:
        count = len(nest.spaces) + 2 * len(nest.segments)
        operands = [f"place[{i}]" for i in range(1, count + 1)]
        result = "place[0]"
    else:
        terms = [[(i, loop.strides[k]) for i, loop in zip(counters, nest.loops)] for k in range(len(nest.places))]
        result = _output(program, nest.places[0], terms[0]) if nest.sink else ""
        if not nest.sink:
            result = _name(program, SCALAR if nest.uniform else ROW, nest.places[0], terms[0])
        spaces = [*nest.spaces, *(space for segment in nest.segments for space in segment.spaces)]
        operands = [_name(program, s, p, t) for s, p, t in zip(spaces, nest.places[1:], terms[1:])]
        if nest.native == PRODUCTS:
            operands = [operands[0], *_products(program, nest, terms, _COUNTERS[len(nest.loops)])]
    if nest.native == PRODUCTS:
        bias, *sums = operands
        formula = " + ".join(([] if bias == "0" else [bias]) + sums)
    elif nest.native in _WRITTEN:
        formula = _WRITTEN[nest.native].format(*operands)
    else:
        formula = f"{nest.native.removeprefix('llvm.')}({', '.join(operands)})"
    if nest.sink and not per_sample:
        formula = f"sum({formula})"
    return f"{f'for {head}: ' if head else ''}{result} = {formula}"


def _products(program: Rolled, nest: Nest, terms: Sequence[_Terms], counter: str) -> list[str]:
    sums = []
    for k, segment in enumerate(nest.segments):
        at = len(nest.spaces) + 1 + 2 * k
        factors = [
            _name(program, space, nest.places[at + side], [*terms[at + side], (counter, segment.strides[side])])
            if not segment.table
            else f"place[{counter}]"
            for side, space in enumerate(segment.spaces)
        ]
        product = " · ".join(factor for factor in factors if factor != "1")
        sums.append(product if segment.terms == 1 else f"Σ_{{{counter} < {segment.terms}}} {product}")
    return sums


def _name(program: Rolled, space: str, place: int, terms: _Terms) -> str:
    constant = place - program.parameters
    if space == SCALAR and 0 <= constant < len(program.constants) and not any(stride for _, stride in terms):
        return f"{program.constants[constant]:g}"
    return _pattern([program.labels.get((space, place + s), "") for s in (0, *(s for _, s in terms))], terms)


def _output(program: Rolled, place: int, terms: _Terms) -> str:
    return _pattern([program.outputs[place + s] for s in (0, *(s for _, s in terms))], terms)


_INDEXED = re.compile(r"(.*)\[([\d,]+)\]")


def _pattern(labels: Sequence[str], terms: _Terms) -> str:
    """The name with its indices as functions of the counters: from that of the first round, and of one step along each.

    W1[0,0], with W1[1,0] a step along i and W1[0,1] a step along j, is W1[i,j].
    """
    first, *steps = [_INDEXED.fullmatch(re.sub(r"∂J/∂z(\d+)", r"δ\1", label)) for label in labels]
    if first is None:
        return labels[0] or "?"
    start = [int(n) for n in first[2].split(",")]
    indices = [[str(n)] if n else [] for n in start]
    for step, (counter, stride) in zip(steps, terms):
        if stride == 0:
            continue
        if step is None or step[1] != first[1]:
            return f"{labels[0]} and on"
        for index, before, after in zip(indices, start, step[2].split(",")):
            change = int(after) - before
            if change:
                index.insert(0, counter if change == 1 else f"{change}{counter}")
    return f"{first[1]}[{','.join('+'.join(index) or '0' for index in indices)}]"

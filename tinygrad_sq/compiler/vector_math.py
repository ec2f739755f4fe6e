"""Vector functions written out in LLVM IR: what nets call most, without a call for every register of a row.

Each takes the emitter to write with and the vector x, and gives the result to 1 ulp (tanh: 4), with the
infinities and NaN of libm. `1 + x` in their formulas is one fused operation.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial, log
from typing import Protocol


class Emitter(Protocol):
    """Of `lower`: the type of the vectors, and a way to write an instruction and get the name of its result."""

    real: str
    width: int

    @property
    def vector(self) -> str: ...
    def new(self, text: str) -> str: ...
    def constant(self, x: float) -> str: ...
    def call(self, native: str, operands: list[str], uniform: bool) -> str: ...


def exp(e: Emitter, x: str) -> str:
    """2ᵏ exp(r), where k is x / log 2 rounded to an integer and exp(r) a Taylor polynomial."""
    double = e.real == "double"
    bits, terms, low, high = (52, 13, -746.0, 710.0) if double else (23, 8, -105.0, 90.0)
    integers = f"<{e.width} x i{64 if double else 32}>"
    rounding = e.constant(1.5 * 2.0**bits)  # added to a number, leaves its nearest integer in the lowest bits
    log2 = log(2.0) if double else 0.693145751953125  # in so few bits that its product with k is exact
    rest = 2.3190468138462996e-17 if double else 1.428606765330187e-06

    def op(native: str, *operands: str) -> str:
        return e.call(native, list(operands), False)

    def power(rounded: str) -> str:
        """2 to the integer in the lowest bits of a number that was rounded."""
        k = e.new(f"bitcast {e.vector} {rounded} to {integers}")
        exponent = e.new(f"shl {integers} {k}, {_splat(bits, e.width, integers)}")
        one = _splat((1023 if double else 127) << bits, e.width, integers)
        return e.new(f"bitcast {integers} {e.new(f'add {integers} {exponent}, {one}')} to {e.vector}")

    for bound, beyond in (low, "olt"), (high, "ogt"):
        outside = e.new(f"fcmp {beyond} {e.vector} {x}, {e.constant(bound)}")
        x = e.new(f"select <{e.width} x i1> {outside}, {e.vector} {e.constant(bound)}, {e.vector} {x}")
    k = op("fsub", op("llvm.fma", x, e.constant(1.0 / log(2.0)), rounding), rounding)
    r = op("llvm.fma", k, e.constant(-rest), op("llvm.fma", k, e.constant(-log2), x))
    p = e.constant(1.0 / factorial(terms))
    for n in reversed(range(terms)):
        p = op("llvm.fma", p, r, e.constant(1.0 / factorial(n)))
    # In two factors, of which each is in range where the result is.
    half = op("llvm.fma", k, e.constant(0.5), rounding)
    other = op("fadd", op("fsub", k, op("fsub", half, rounding)), rounding)
    return op("fmul", op("fmul", p, power(half)), power(other))


def tanh(e: Emitter, x: str) -> str:
    """(1 - E²) / (1 + E²) with E = exp(-|x|), which the row `sech` computes as well; near 0 the Taylor series."""

    def op(native: str, *operands: str) -> str:
        return e.call(native, list(operands), False)

    one = e.constant(1.0)
    size = op("llvm.fabs", x)
    E = exp(e, op("fneg", size))
    far = op("fmul", op("llvm.fma", op("fneg", E), E, one), op("fdiv", one, op("llvm.fma", E, E, one)))
    square = op("fmul", x, x)
    *coefficients, p = map(e.constant, _series(12))
    for c in reversed(coefficients):
        p = op("llvm.fma", p, square, c)
    near = e.new(f"fcmp olt {e.vector} {size}, {e.constant(0.33)}")
    signed = op("llvm.copysign", far, x)
    return e.new(f"select <{e.width} x i1> {near}, {e.vector} {op('fmul', x, p)}, {e.vector} {signed}")


def _series(terms: int) -> list[float]:
    """c in tanh x = Σ c[n] x²ⁿ⁺¹, which tanh' = 1 - tanh² tells one after the other."""
    c = [Fraction(1)]
    while len(c) < terms:
        c.append(-sum((a * b for a, b in zip(c, reversed(c))), Fraction(0)) / (2 * len(c) + 1))
    return [float(x) for x in c]


def _splat(x: int, width: int, kind: str) -> str:
    lane = kind.partition("x ")[2].rstrip(">")
    return f"<{', '.join([f'{lane} {x}'] * width)}>"


FUNCTIONS: dict[str, Callable[[Emitter, str], str]] = {"exp": exp, "tanh": tanh}

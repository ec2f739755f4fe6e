"""Vector functions written out in LLVM IR: what nets call most, without a call for every register of a row.

Each takes the emitter to write with and the vector x, and gives the result to 1.5 ulp (tanh: 4), with the infinities
and NaN of libm.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
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
    """2ᵏ (1 + d) of `_parts`."""
    op = partial(_op, e)
    d, power, rest = _parts(e, x)
    return op("fmul", op("fmul", op("fadd", d, e.constant(1.0)), power), rest)


def tanh(e: Emitter, x: str) -> str:
    """(1 - E²) / (1 + E²) with E = exp(-|x|), which the row `sech` computes as well; E² - 1 = d² + 2 d of d = E - 1."""
    op = partial(_op, e)
    one = e.constant(1.0)
    minus = op("fneg", op("llvm.fabs", x))
    E = exp(e, minus)
    d, power, _ = _parts(e, minus)
    d = op("llvm.fma", d, power, op("fsub", power, one))  # near 0 the power is 1: nothing cancels
    above = op("llvm.fma", d, d, op("fadd", d, d))
    return op("llvm.copysign", op("fmul", above, op("fdiv", one, op("llvm.fma", E, E, one))), x)


def _parts(e: Emitter, x: str) -> tuple[str, str, str]:
    """d, and 2ᵏ in two factors: exp(x) = 2ᵏ (1 + d), with the integer k nearest to x / log 2. The second factor is 1
    but for results that are too large or too small for one factor."""
    op = partial(_op, e)
    double = e.real == "double"
    bits, degree, low, high = (52, 9, -746.0, 710.0) if double else (23, 4, -105.0, 90.0)
    bias = 1023 if double else 127
    integers = f"<{e.width} x i{64 if double else 32}>"
    rounding = e.constant(1.5 * 2.0**bits)  # added to a number, leaves its nearest integer in the lowest bits
    log2 = log(2.0) if double else 0.693145751953125  # in so few bits that its product with k is exact
    rest = 2.3190468138462996e-17 if double else 1.428606765330187e-06

    def clamp(x: str, low: float, high: float) -> str:
        for bound, beyond in (low, "olt"), (high, "ogt"):
            outside = e.new(f"fcmp {beyond} {e.vector} {x}, {e.constant(bound)}")
            x = e.new(f"select <{e.width} x i1> {outside}, {e.vector} {e.constant(bound)}, {e.vector} {x}")
        return x

    def power(k: str) -> str:
        """2ᵏ, by its exponent."""
        k = e.new(f"bitcast {e.vector} {op('fadd', k, rounding)} to {integers}")
        exponent = e.new(f"shl {integers} {k}, {_splat(bits, e.width, integers)}")
        one = _splat(bias << bits, e.width, integers)
        return e.new(f"bitcast {integers} {e.new(f'add {integers} {exponent}, {one}')} to {e.vector}")

    x = clamp(x, low, high)
    k = op("fsub", op("llvm.fma", x, e.constant(1.0 / log(2.0)), rounding), rounding)
    r = op("llvm.fma", k, e.constant(-rest), op("llvm.fma", k, e.constant(-log2), x))
    *coefficients, p = map(e.constant, exp_polynomial(degree))
    for c in reversed(coefficients):
        p = op("llvm.fma", p, r, c)
    d = op("llvm.fma", op("fmul", p, r), r, r)
    within = clamp(k, 2.0 - bias, bias - 1.0)
    return d, power(within), power(op("fsub", k, within))


@cache
def exp_polynomial(degree: int) -> list[float]:
    """The coefficients, 1/2, 1/6, ..., of a polynomial for (exp(r) - 1 - r) / r² where |r| ≤ log(2) / 2.

    They are Taylor's to a higher degree, whose last terms are replaced by what they are but for a multiple of
    Chebyshev's Tₙ, which is small all over the interval (Lanczos 1938).
    """
    c = [Fraction(1, factorial(n + 2)) for n in range(degree + 5)]
    zero, radius = Fraction(0), Fraction(log(2.0) / 2.0)
    T = [[Fraction(1)], [zero, 1 / radius]]  # Tₙ(r / radius)
    while len(T) < len(c):
        T.append([2 * a / radius - b for a, b in zip([zero, *T[-1]], [*T[-2], zero, zero])])
    for n in reversed(range(degree + 1, len(c))):
        c = [a - c[n] / T[n][n] * t for a, t in zip(c, T[n])][:n]
    return [float(x) for x in c]


def _op(e: Emitter, native: str, *operands: str) -> str:
    return e.call(native, list(operands), False)


def _splat(x: int, width: int, kind: str) -> str:
    lane = kind.partition("x ")[2].rstrip(">")
    return f"<{', '.join([f'{lane} {x}'] * width)}>"


FUNCTIONS: dict[str, Callable[[Emitter, str], str]] = {"exp": exp, "tanh": tanh}

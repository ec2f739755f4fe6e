"""What each row of the table must answer, by mpmath: the first of the three oracles.

Only the functions are written down here, in the most obvious way. Their derivatives are difference quotients with a
step so small, in a precision so high, that 50 digits of them are right: no derivative formula is typed twice.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp

SELU_SCALE = mp.mpf("1.0507009873554804934193349852946")
SELU_ALPHA = mp.mpf("1.6732632423543772848170429916717")


def _erfc(x: Any) -> Any:
    return mp.erfc(x) if x < 1e5 else mp.mpf(0)  # mpmath raises far out


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _dot(*xs: Any) -> Any:
    n = len(xs) // 2
    return sum((w * x for w, x in zip(xs[:n], xs[n:-1])), xs[-1])


# fmt: off
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "pow": lambda x, y: mp.exp(y * mp.log(x)),
    "square": lambda x: x * x, "half_square": lambda x: x * x / 2,
    "sqrt": mp.sqrt,
    "exp": mp.exp,
    "expm1": lambda x: mp.exp(x) - 1,
    "log": mp.log,
    "log1p": lambda x: mp.log(1 + x),
    "xlogy": lambda x, y: x * mp.log(y),
    "logsumexp": lambda *xs: mp.log(sum(map(mp.exp, xs))),
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan,
    "asin": mp.asin, "acos": mp.acos, "atan": mp.atan,
    "atan2": mp.atan2,
    "hypot": lambda x, y: mp.sqrt(x * x + y * y),
    "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "sech": lambda x: 1 / mp.cosh(x),
    "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "gaussian": lambda x: mp.exp(-x * x),
    "erf": mp.erf, "erfc": _erfc,
    "normal_pdf": lambda x: mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi),
    "normal_cdf": lambda x: _erfc(-x / mp.sqrt(2)) / 2,
    "identity": lambda x: x,
    "sigmoid": _sigmoid,
    "log_sigmoid": lambda x: mp.log(_sigmoid(x)),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "hardtanh": lambda x: min(max(x, -1), 1),
    "leaky_relu": lambda x, slope: x if x > 0 else slope * x,
    "elu": lambda x, alpha: x if x > 0 else alpha * (mp.exp(x) - 1),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (mp.exp(x) - 1)),
    "gelu": lambda x: x * _erfc(-x / mp.sqrt(2)) / 2,
    "silu": lambda x: x * _sigmoid(x),
    "abs": abs,
    "sign": mp.sign,
    "step": lambda x: 1 if x > 0 else 0,
    "floor": mp.floor,
    "round": mp.nint,
    "less": lambda x, y: 1 if x < y else 0,
    "equal": lambda x, y: 1 if x == y else 0,
    "maximum": lambda *xs: max(xs),
    "minimum": lambda *xs: min(xs),
    "clamp": lambda x, lo, hi: min(max(x, lo), hi),
    "where": lambda c, x, y: x if c != 0 else y,
    "stop_gradient": lambda x: x,
    "total": lambda *xs: sum(xs),
    "dot": _dot,
}
# fmt: on


def _bits(point: Sequence[float]) -> int:
    """A precision in which a difference quotient at `point` keeps 50 digits, however far apart the magnitudes."""
    return 500 + max(4 * abs(math.frexp(x)[1]) + int(2.0 * min(x * x, 2000.0)) for x in point)


def value(name: str, point: Sequence[float]) -> Any:
    """The function called `name` at `point`, to 50 digits."""
    with mp.workprec(_bits(point)):
        return mp.mpf(FUNCTIONS[name](*map(mp.mpf, point)))


def _slope(f: Callable[..., Any], point: Sequence[Any], i: int, h: Any, side: int = 0) -> Any:
    """The difference quotient of f by operand i, over both sides of the point (0), after it (1) or before it (-1)."""

    def moved(steps: int) -> Any:
        return f(*point[:i], point[i] + steps * h, *point[i + 1 :])

    before, after = side <= 0, side >= 0
    return (moved(after) - moved(-before)) / ((before + after) * h)


def partial(name: str, point: Sequence[float], i: int, side: int = 0) -> Any:
    """The partial derivative by operand i at `point`, to 50 digits: two-sided, or from one side."""
    with mp.workprec(_bits(point) + 1100 * (point[i] == 0)):
        xs = [mp.mpf(x) for x in point]
        # The quotient is wrong by the square of h times how fast f bends, as x**y does y times over.
        bend = max(0, *(math.frexp(x)[1] for x in point))
        h = min(abs(xs[i]) or mp.mpf(2) ** -1100, mp.mpf(1)) * mp.mpf(2) ** -(120 + bend)
        return mp.mpf(_slope(FUNCTIONS[name], xs, i, h, side))


def second_partial(name: str, point: Sequence[float], i: int, j: int) -> Any:
    """The second partial derivative by operands i and j at a `point` that is 1e-20 or more away from any trouble."""
    with mp.workprec(1500):
        h = mp.mpf(2) ** -250

        def first(*xs: Any) -> Any:
            return _slope(FUNCTIONS[name], xs, i, h)

        return mp.mpf(_slope(first, [mp.mpf(x) for x in point], j, h))


# Where a factor or an intermediate result underflows, its last bits are gone: 5e-321 of absolute error is forgiven.
UNDERFLOW = 1024 * mp.mpf(5e-324)
LARGEST = mp.mpf(sys.float_info.max)


def ulps(got: float, exact: Any, scale: Any = 0) -> float:
    """How many units in the last place `got` is away from `exact`; units of `scale` where that is larger."""
    if math.isnan(got):
        return math.inf
    if math.isinf(got):  # right if the exact answer overflows, or nearly does
        return 0.0 if exact * mp.sign(got) > LARGEST * (1 - mp.mpf(2) ** -50) else math.inf
    unit = math.ulp(float(min(max(abs(exact), scale), LARGEST)))
    difference = abs(mp.mpf(got) - min(max(exact, -LARGEST), LARGEST))
    return float(max(difference - UNDERFLOW, 0) / unit)

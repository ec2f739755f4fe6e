"""The table's forward functions, floats to float: `math`'s, with the answers of IEEE 754 where Python raises, and
accurate to a few ulp where the obvious formula is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import copysign, inf, isnan, nan


def _everywhere(
    f: Callable[[float], float], outside: Callable[[float], float] = lambda x: nan, even: bool = False
) -> Callable[[float], float]:
    """`f`, with `outside(x)` for its ValueError and an infinity (of x's sign unless `even`) for its OverflowError."""

    def forward(x: float) -> float:
        try:
            return f(x)
        except ValueError:
            return outside(x)
        except OverflowError:
            return inf if even else copysign(inf, x)

    return forward


def _pole(at: float, value: float) -> Callable[[float], float]:
    return lambda x: value if x == at else nan


sqrt = _everywhere(math.sqrt)
exp = _everywhere(math.exp, even=True)
expm1 = _everywhere(math.expm1, even=True)
log = _everywhere(math.log, _pole(0.0, -inf))
log1p = _everywhere(math.log1p, _pole(-1.0, -inf))
sin = _everywhere(math.sin)
cos = _everywhere(math.cos)
tan = _everywhere(math.tan)
asin = _everywhere(math.asin)
acos = _everywhere(math.acos)
sinh = _everywhere(math.sinh)
cosh = _everywhere(math.cosh, even=True)
acosh = _everywhere(math.acosh)
atanh = _everywhere(math.atanh, lambda x: copysign(inf, x) if math.fabs(x) == 1.0 else nan)


def div(x: float, y: float) -> float:
    try:
        return x / y
    except ZeroDivisionError:
        return nan if x == 0.0 or isnan(x) else copysign(inf, x) * copysign(1.0, y)


def pow(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        return -inf if x < 0.0 and _odd(y) else inf
    except ValueError:  # a pole at 0, or a negative base under a fraction
        return nan if x != 0.0 else copysign(inf, x) if _odd(y) else inf


def _odd(y: float) -> bool:
    return math.fabs(math.fmod(y, 2.0)) == 1.0  # exact, where % rounds


def sech(x: float) -> float:
    e = exp(-math.fabs(x))
    return 2.0 * e / (1.0 + e * e)


def _split(x: float) -> tuple[float, float]:
    """x = high + low, where high has at most 26 significant bits, so that its square is exact (Veltkamp)."""
    t = 134217729.0 * x
    high = t - (t - x)
    return high, x - high


def exp_minus(c: float, x: float) -> float:
    """exp(-c x²), c = 1 or 1/2. Rounding x² first would cost x² ulps in the tail."""
    if math.fabs(x) > 40.0:
        return 0.0
    high, low = _split(x)
    return math.exp(-c * high * high) * math.exp(-c * low * (x + high))


_SQRT_HALF, _SQRT_HALF_LOW = 0.7071067811865476, -4.833646656726457e-17


def normal_cdf(x: float) -> float:
    """½ erfc(-x/√2), with the rounding error of x/√2 put back to first order: it would cost x² ulps in the tail."""
    if math.fabs(x) > 40.0:
        return 0.0 if x < 0.0 else 1.0
    a = -x * _SQRT_HALF
    (xh, xl), (ch, cl) = _split(x), _split(_SQRT_HALF)
    error = -(((xh * ch + a) + xh * cl + xl * ch) + xl * cl + x * _SQRT_HALF_LOW)
    return 0.5 * math.erfc(a) - math.exp(-a * a) / math.sqrt(math.pi) * error


def sigmoid(x: float) -> float:
    e = exp(-math.fabs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


def softplus(x: float) -> float:
    return relu(x) + math.log1p(exp(-math.fabs(x)))


def relu(x: float) -> float:
    return 0.0 if x <= 0.0 else x


def clamp(x: float, lo: float, hi: float) -> float:
    return minimum(maximum(x, lo), hi)


def maximum(*xs: float) -> float:
    return nan if any(map(isnan, xs)) else max(xs) or sum((x for x in xs if x == 0.0), -0.0)  # 0.0 is above -0.0


def minimum(*xs: float) -> float:
    return nan if any(map(isnan, xs)) else min(xs) or -sum((-x for x in xs if x == 0.0), -0.0)


def total(*xs: float) -> float:
    s = 0.0
    for x in xs:
        s += x
    return s


def dot(*xs: float) -> float:
    n = len(xs) // 2
    s = xs[-1]
    for w, x in zip(xs, xs[n:-1]):  # in this order, from the bias on: the same bits on every machine and Python
        s += w * x
    return s


def logsumexp(*xs: float) -> float:
    m = maximum(*xs)
    if not math.isfinite(m):
        return m
    rest = [math.exp(x - m) for x in xs]
    rest.remove(1.0)
    return m + math.log1p(math.fsum(rest))


def floor(x: float) -> float:
    return copysign(math.floor(x), x) if math.isfinite(x) else x


def round(x: float) -> float:
    return copysign(x - math.remainder(x, 1.0), x) if math.isfinite(x) else x


def sign(x: float) -> float:
    return x if x == 0.0 or isnan(x) else copysign(1.0, x)


def step(x: float) -> float:
    return 1.0 if x > 0.0 else 0.0

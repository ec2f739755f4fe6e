"""The derivative table: every primitive of the engine is one row, and everything else reads the rows.

A row is an `Op`, and op.py says what its columns are. It can be called: `tanh(0.5)` is a float, `tanh(v)` of a `Value`
records a node. Partials are written with rows and Python's operators, given the output and then the operands: numbers
on floats, a graph on Values.

Gradient policy at the points where a function has a kink: the derivative where there is one; the minimum-norm
subgradient of a convex function (and of minus a concave one); otherwise the limit; NaN where nothing is defined.
Values follow IEEE 754: no row raises, `div(1.0, 0.0)` is inf and `log(-1.0)` is NaN.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable, Iterable
from math import fabs, inf
from sys import maxsize
from typing import Any, NamedTuple

from tinygrad_sq import ieee
from tinygrad_sq.op import POSITIVE, REALS, UNIT, Op, commas
from tinygrad_sq.op import row as row
from tinygrad_sq.op import rows as rows

# --- what several rows share ---


def _elementary(name: str, partial: Callable[..., Any], doc: str, **columns: Any) -> Op:
    """A function of one operand that math (or ieee, where math's raises), cmath and libm know by this name."""
    forward = getattr(ieee, name, None) or getattr(math, name)
    return Op(name, forward, (partial,), doc, analytic=getattr(cmath, name), native=name, **columns)


def _where(condition: Any, a: Any, b: Any) -> Any:
    """`where`, without a node when the condition is a number."""
    return where(condition, a, b) if hasattr(condition, "__record__") else a if condition else b


def _power(x: Any, n: Any) -> Any:
    """x to the power n, without a node for the power 1."""
    return x if type(n) is float and n == 1.0 else pow(x, n)


class Branch(NamedTuple):
    """A partial while compile records: 1 where the condition is not 0, and None, no gradient at all, elsewhere."""

    condition: Any


def _taken(condition: Any) -> Any:
    """1 for the branch that the condition takes, None for the other: no gradient at all."""
    return Branch(condition) if getattr(condition, "traced", False) else 1.0 if condition else None


def _list(*values: Any) -> tuple[Any, ...]:
    """The operands of a function that may be called with several values or with one iterable of them."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], Iterable) else values


def _dot_operands(w: Iterable[Any], x: Iterable[Any], b: Any = 0.0) -> tuple[Any, ...]:
    try:
        w, x = tuple(w), tuple(x)
    except TypeError as error:
        raise TypeError(f"dot takes two lists, dot([a], [b]), got {type(w).__name__} and {type(x).__name__}") from error
    if len(w) != len(x):
        raise ValueError(f"dot takes two lists of one length, got {len(w)} weights and {len(x)} values")
    return (*w, *x, b)


def _dot_partials(z: Any, *xs: Any) -> tuple[Any, ...]:
    n = len(xs) // 2
    return xs[n:-1] + xs[:n] + (1.0,)


def _pow_native(x: Any, y: Any) -> Any:
    """The commonest powers by multiplication; the others by libm."""
    return {1.0: x, 2.0: x * x, 3.0: x * x * x, -1.0: 1.0 / x}.get(y, "pow") if type(y) is float else "pow"


def _sech_native(x: Any) -> Any:
    e = exp(-abs(x))
    return 2.0 * e * (1.0 / (1.0 + e * e))


def _sigmoid_native(x: Any) -> Any:
    e = exp(-abs(x))
    return where(less(x, 0.0), e, 1.0) / (1.0 + e)


def _logsumexp_native(*xs: Any) -> Any:
    m = maximum(xs)
    return where(equal(m - m, 0.0), m + log(total([exp(x - m) for x in xs])), m)


def _exp_minus_native(c: float, x: Any) -> Any:
    """exp(-c x²), c = 1 or 1/2, with the rounding error of x², which one fused multiplication and addition tells."""
    x = minimum(abs(x), 40.0)
    minus = -(x * x)
    return exp(c * minus) * (1.0 - c * dot([x], [x], minus))


def _normal_cdf_native(x: Any) -> Any:
    """½ erfc(-x/√2), with the rounding error of -x/√2 put back to first order; √½ is split into 8 bits and the rest."""
    x = clamp(x, -40.0, 40.0)
    factors = [0.70703125, 7.553118654752440e-05]
    minus = -dot([x, x], factors)
    return 0.5 * erfc(minus) + exp(-minus * minus) / math.sqrt(math.pi) * dot([x, x], factors, minus)


def _extremum_partials(y: Any, *xs: Any) -> tuple[Any, ...]:
    """Each of k tied operands gets 1/k, the minimum-norm subgradient."""
    ties = [equal(x, y) for x in xs]
    k = total(ties)
    return tuple([tie / k for tie in ties])


def _gap_of_two_largest(*xs: float) -> float:
    ordered = sorted(xs)
    return ordered[-1] - ordered[-2] if len(xs) > 1 else inf


def _dot_latex(*args: object) -> str:
    n = len(args) // 2
    products = [rf"{w:2} \cdot {x:2}" for w, x in zip(args[:n], args[n:])]
    return " + ".join(products if str(args[-1]) == "0" else [*products, f"{args[-1]:1}"])


def _dot_text(*args: object) -> str:
    n = len(args) // 2
    bias = "" if str(args[-1]) == "0" else f", {args[-1]}"
    return f"dot([{commas(*args[:n])}], [{commas(*args[n:-1])}]{bias})"


def softmax(zs: Iterable[Any]) -> list[Any]:
    """exp(z_i) / Σ_j exp(z_j) for each i: of floats or of Values; a few ulp of each, however large the z."""
    zs = list(zs)
    m = stop_gradient(maximum(zs))
    weights = [exp(z - m) for z in zs]
    s = total(weights)
    return [w / s for w in weights]


def log_softmax(zs: Iterable[Any]) -> list[Any]:
    """z_i - log Σ_j exp(z_j) for each i: of floats or of Values."""
    zs = list(zs)
    lse = logsumexp(zs)
    return [z - lse for z in zs]


# --- the rows. In partials, y (z for two operands) is the output. Where that is NaN, outside the domain, the partial
# is y itself and not the constant, so that every higher derivative is NaN too. ---

# fmt: off
# arithmetic
add: Op = Op("add", operator.add, (1.0, 1.0), "x + y", symbol="+", arity=2, method=False,
    text="{0:1} + {1:1}", latex="{0:1} + {1:1}", precedence=1, analytic=operator.add, native="fadd",
    products=lambda x, y: ([(1.0, x), (1.0, y)], 0.0))
sub: Op = Op("sub", operator.sub, (1.0, -1.0), "x - y", symbol="−", arity=2, method=False,
    text="{0:1} - {1:2}", latex="{0:1} - {1:2}", precedence=1, analytic=operator.sub, native="fsub",
    products=lambda x, y: ([(1.0, x), (-1.0, y)], 0.0))
mul: Op = Op("mul", operator.mul, lambda z, x, y: (y, x), "x y", symbol="×", arity=2,
    method=False, text="{0:2} * {1:2}", latex=r"{0:2} \cdot {1:2}", precedence=2, analytic=operator.mul, native="fmul",
    products=lambda x, y: ([(x, y)], 0.0))
div: Op = Op("div", ieee.div, (lambda z, x, y: 1.0 / y, lambda z, x, y: -z / y), "x / y", symbol="÷",
    arity=2, method=False, text="{0:2} / {1:3}", latex=r"\frac{{{0}}}{{{1}}}", precedence=2, kink=lambda x, y: fabs(y),
    analytic=operator.truediv, native="fdiv")
neg: Op = Op("neg", operator.neg, (-1.0,), "-x", symbol="−", method=False,
    text="-{0:3}", latex="-{0:3}", precedence=3, analytic=operator.neg, native="fneg",
    products=lambda x: ([(-1.0, x)], 0.0))
pow: Op = Op("pow", ieee.pow,
    (lambda z, x, y: _where(y, y * _power(x, y - 1.0), _where(x, y * z / x, 0.0)),
     lambda z, x, y: _where(x, z * log(x), _where(less(y, 0.0), -inf, 0.0))),
    "x to the power y", symbol="xʸ", arity=2, method=False, domain=(POSITIVE, REALS),
    text="{0:5}**{1:4}", latex="{{{0:5}}}^{{{1}}}", precedence=4, analytic=operator.pow, native=_pow_native)

# roots, exponentials, logarithms
square: Op = Op("square", None, (lambda y, x: 2.0 * x,), "x²", symbol="x²", text="{0:5}**2",
    latex="{{{0:5}}}^2", precedence=4, analytic=lambda x: x * x, native=lambda x: x * x)
half_square: Op = Op("half_square", None, (lambda y, x: x,), "½ x², the summand of E1", symbol="½x²",
    latex=r"\tfrac{{1}}{{2}} {{{0:5}}}^2", latex_precedence=2, method=False, analytic=lambda x: 0.5 * x * x,
    native=lambda x: 0.5 * x * x)
sqrt: Op = Op("sqrt", ieee.sqrt, (lambda y, x: 0.5 / y,), "√x", symbol="√", latex=r"\sqrt{{{0}}}",
    domain=(POSITIVE,), analytic=cmath.sqrt, native="llvm.sqrt")
exp: Op = _elementary("exp", lambda y, x: y, "e to the power x", latex="e^{{{0}}}", latex_precedence=4)
expm1: Op = Op("expm1", ieee.expm1, (lambda y, x: exp(x),), "e^x - 1, exact near 0", native="expm1")
log: Op = _elementary("log", lambda y, x: _where(less(x, 0.0), y, 1.0 / x), "ln, the natural logarithm of x",
    latex=r"\ln", domain=(POSITIVE,))
log1p: Op = Op("log1p", ieee.log1p,
    (lambda y, x: _where(less(x, -1.0), y, 1.0 / (1.0 + x)),), "log(1 + x), exact near 0",
    latex=r"\ln\left(1 + {0:1}\right)", domain=((-1.0, inf),), native="log1p")
xlogy: Op = Op("xlogy", None,
    (lambda z, x, y: log(y), lambda z, x, y: _where(less(y, 0.0), x * log(y), _where(hypot(x, y), x / y, 0.0))),
    "x log(y), and 0 where x is 0", arity=2, latex=r"{0:2} \ln\left({1}\right)", latex_precedence=2,
    domain=(REALS, POSITIVE), method=False, native=lambda x, y: where(x, x * log(y), where(equal(y, y), 0.0, y)))
logsumexp: Op = Op("logsumexp", ieee.logsumexp, lambda y, *xs: tuple(softmax(xs)), "log Σ exp(x_i)", symbol="log Σ exp",
    arity=range(1, maxsize), operands=_list, method=False,
    latex=lambda *args: rf"\ln\left({' + '.join(f'e^{{{arg}}}' for arg in args)}\right)", native=_logsumexp_native)

# trigonometry
sin: Op = _elementary("sin", lambda y, x: cos(x), "sine, x in radians", latex=r"\sin")
cos: Op = _elementary("cos", lambda y, x: -sin(x), "cosine, x in radians", latex=r"\cos")
tan: Op = _elementary("tan", lambda y, x: 1.0 + square(y), "tangent, x in radians", latex=r"\tan",
    kink=lambda x: fabs(math.cos(x)))
asin: Op = _elementary("asin", lambda y, x: 1.0 / sqrt((1.0 - x) * (1.0 + x)), "arc sine, in radians",
    latex=r"\arcsin", domain=(UNIT,))
acos: Op = _elementary("acos", lambda y, x: -1.0 / sqrt((1.0 - x) * (1.0 + x)), "arc cosine, in radians",
    latex=r"\arccos", domain=(UNIT,))
atan: Op = _elementary("atan", lambda y, x: square(1.0 / hypot(1.0, x)), "arc tangent, in radians", latex=r"\arctan")
atan2: Op = Op("atan2", math.atan2,
    (lambda t, y, x: x / hypot(y, x) / hypot(y, x), lambda t, y, x: -y / hypot(y, x) / hypot(y, x)),
    "the angle of the point (x, y), in radians; its arguments are y, x", arity=2, method=False,
    kink=lambda y, x: math.hypot(y, x) if x > 0.0 else fabs(y), native="atan2")
hypot: Op = Op("hypot", math.hypot, (lambda z, x, y: _where(z, x / z, 0.0), lambda z, x, y: _where(z, y / z, 0.0)),
    "√(x² + y²), without overflow", arity=2, method=False, latex=r"\sqrt{{{{{0:5}}}^2 + {{{1:5}}}^2}}", kink=math.hypot,
    analytic=lambda x, y: cmath.sqrt(x * x + y * y), native="hypot")

# hyperbolic functions
sinh: Op = _elementary("sinh", lambda y, x: cosh(x), "hyperbolic sine", latex=r"\sinh")
cosh: Op = _elementary("cosh", lambda y, x: sinh(x), "hyperbolic cosine", latex=r"\cosh")
tanh: Op = _elementary("tanh", lambda y, x: square(sech(x)), "hyperbolic tangent", latex=r"\tanh")
sech: Op = Op("sech", ieee.sech, (lambda y, x: -y * tanh(x),), "hyperbolic secant, 1 / cosh(x)",
    analytic=lambda x: 1.0 / cmath.cosh(x), native=_sech_native)
asinh: Op = _elementary("asinh", lambda y, x: 1.0 / hypot(1.0, x), "inverse hyperbolic sine")
acosh: Op = _elementary("acosh", lambda y, x: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), "inverse hyperbolic cosine",
    domain=((1.0, inf),))
atanh: Op = _elementary("atanh", lambda y, x: _where(less(1.0, abs(x)), y, 1.0 / ((1.0 - x) * (1.0 + x))),
    "inverse hyperbolic tangent", domain=(UNIT,))

# the normal distribution
gaussian: Op = Op("gaussian", lambda x: ieee.exp_minus(1.0, x), (lambda y, x: -2.0 * (x * y),), "exp(-x²)",
    latex="e^{{-{{{0:5}}}^2}}", latex_precedence=4, analytic=lambda x: cmath.exp(-x * x),
    native=lambda x: _exp_minus_native(1.0, x))
erf: Op = Op("erf", math.erf, (lambda y, x: 2.0 / math.sqrt(math.pi) * gaussian(x),), "the error function",
    native="erf")
erfc: Op = Op("erfc", math.erfc, (lambda y, x: -2.0 / math.sqrt(math.pi) * gaussian(x),), "1 - erf(x)", native="erfc")
normal_pdf: Op = Op("normal_pdf", lambda x: ieee.exp_minus(0.5, x) / math.sqrt(2.0 * math.pi), (lambda y, x: -x * y,),
    "density of the standard normal distribution", symbol="φ", latex=r"\varphi",
    analytic=lambda x: cmath.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi),
    native=lambda x: _exp_minus_native(0.5, x) / math.sqrt(2.0 * math.pi))
normal_cdf: Op = Op("normal_cdf", ieee.normal_cdf, (lambda y, x: normal_pdf(x),),
    "distribution function of the standard normal distribution", symbol="Φ", latex=r"\Phi", native=_normal_cdf_native)

# activations
identity: Op = Op("identity", None, (1.0,), "x: the activation of a linear layer", symbol="id", latex="{0:5}",
    analytic=lambda x: x, native=lambda x: x)
sigmoid: Op = Op("sigmoid", ieee.sigmoid, (lambda y, x: y * sigmoid(-x),), "the logistic function 1 / (1 + e^-x)",
    symbol="σ", latex=r"\sigma", analytic=lambda x: 1.0 / (1.0 + cmath.exp(-x)), native=_sigmoid_native)
log_sigmoid: Op = Op("log_sigmoid", None, (lambda y, x: sigmoid(-x),), "log sigmoid(x)",
    symbol="log σ", latex=r"\ln\sigma", native=lambda x: -softplus(-x))
softplus: Op = Op("softplus", ieee.softplus, (lambda y, x: sigmoid(x),), "log(1 + e^x)",
    analytic=lambda x: cmath.log(1.0 + cmath.exp(x)), native=lambda x: relu(x) + log1p(exp(-abs(x))))
relu: Op = Op("relu", ieee.relu, (lambda y, x: step(x),), "max(0, x)", kink=fabs,
    native=lambda x: maximum(x, 0.0))
relu6: Op = Op("relu6", None, (lambda y, x: less(0.0, x) * less(x, 6.0),),
    "x between 0 and 6", kink=lambda x: min(fabs(x), fabs(x - 6.0)), native=lambda x: clamp(x, 0.0, 6.0))
hardtanh: Op = Op("hardtanh", None, (lambda y, x: less(-1.0, x) * less(x, 1.0),),
    "x between -1 and 1", kink=lambda x: fabs(fabs(x) - 1.0), native=lambda x: clamp(x, -1.0, 1.0))
leaky_relu: Op = Op("leaky_relu", lambda x, slope: x if x > 0.0 else slope * x,
    (lambda y, x, slope: _where(step(x), 1.0, slope), lambda y, x, slope: _where(step(x), 0.0, x)),
    "x, or slope x (slope 0.01) where x is not positive", arity=2,
    operands=lambda x, slope=0.01: (x, slope), kink=lambda x, slope: fabs(x),
    native=lambda x, slope: where(less(0.0, x), x, slope * x))
elu: Op = Op("elu", None,
    (lambda y, x, alpha: _where(step(x), 1.0, alpha * exp(0.5 * x) * exp(0.5 * x)),  # exp(x) may be subnormal
     lambda y, x, alpha: _where(step(x), 0.0, expm1(x))),
    "x, or alpha (e^x - 1) (alpha 1) where x is not positive", arity=2,
    operands=lambda x, alpha=1.0: (x, alpha), kink=lambda x, alpha: fabs(x),
    native=lambda x, alpha: where(less(0.0, x), x, alpha * expm1(x)))
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
selu: Op = Op("selu", None, (lambda y, x: _where(step(x), _SELU_SCALE, _SELU_SCALE * _SELU_ALPHA * exp(x)),),
    "elu scaled so that layers keep mean 0 and variance 1", kink=fabs,
    native=lambda x: _SELU_SCALE * elu(x, _SELU_ALPHA))
gelu: Op = Op("gelu", None, (lambda y, x: normal_cdf(x) + x * normal_pdf(x),),
    "x Φ(x), Φ the standard normal distribution function", native=lambda x: x * normal_cdf(x))
silu: Op = Op("silu", None, (lambda y, x: sigmoid(x) * (1.0 + x * sigmoid(-x)),),
    "x sigmoid(x), the swish", analytic=lambda x: x / (1.0 + cmath.exp(-x)), native=lambda x: x * sigmoid(x))

# pieces and choices
abs: Op = Op("abs", fabs, (lambda y, x: sign(x),), "|x|", symbol="|x|", text="abs({0})",
    latex=r"\left|{0}\right|", kink=fabs, native="llvm.fabs")
sign: Op = Op("sign", ieee.sign, (0.0,), "-1, 0 or 1", kink=fabs,
    native=lambda x: where(less(0.0, x), 1.0, where(less(x, 0.0), -1.0, x)))
step: Op = Op("step", ieee.step, (0.0,), "1 where x > 0, else 0",
    kink=fabs, native=lambda x: less(0.0, x))
floor: Op = Op("floor", ieee.floor, (0.0,), "the largest integer not above x",
    latex=r"\left\lfloor {0} \right\rfloor", kink=lambda x: fabs(x - math.floor(x + 0.5)), native="llvm.floor")
round: Op = Op("round", ieee.round, (0.0,),
    "the nearest integer, halves to even", kink=lambda x: fabs(x - math.floor(x) - 0.5), method=False,
    native="llvm.rint")
less: Op = Op("less", lambda x, y: 1.0 if x < y else 0.0, (0.0, 0.0), "1 where x < y, else 0", symbol="<", arity=2,
    text="({0:1} < {1:1})", latex=r"\left[{0} < {1}\right]", kink=lambda x, y: fabs(x - y), method=False,
    native="fcmp olt")
equal: Op = Op("equal", lambda x, y: 1.0 if x == y else 0.0, (0.0, 0.0), "1 where x = y, else 0", symbol="=", arity=2,
    text="({0:1} == {1:1})", latex=r"\left[{0} = {1}\right]", kink=lambda x, y: fabs(x - y), method=False,
    native="fcmp oeq")
maximum: Op = Op("maximum", ieee.maximum, _extremum_partials, "the largest operand", symbol="max",
    arity=range(1, maxsize), operands=_list, latex=r"\max", kink=_gap_of_two_largest, native="llvm.maximum")
minimum: Op = Op("minimum", ieee.minimum, _extremum_partials, "the smallest operand", symbol="min",
    arity=range(1, maxsize), operands=_list, latex=r"\min",
    kink=lambda *xs: _gap_of_two_largest(*(-x for x in xs)), native="llvm.minimum")
clamp: Op = Op("clamp", ieee.clamp,
    (lambda y, x, lo, hi: less(lo, x) * less(x, hi),
     lambda y, x, lo, hi: less(lo, hi) * (1.0 - less(lo, x)),
     lambda y, x, lo, hi: 1.0 - less(maximum(x, lo), hi)),
    "x, but not below lo nor above hi; on a bound the gradient belongs to the bound", arity=3,
    kink=lambda x, lo, hi: min(fabs(x - lo), fabs(x - hi), fabs(lo - hi)),
    native=lambda x, lo, hi: minimum(maximum(x, lo), hi))
where: Op = Op("where", lambda condition, x, y: x if condition else y,
    (None, lambda z, c, x, y: _taken(c), lambda z, c, x, y: _taken(equal(c, 0.0))),
    "x where the condition is not 0, else y; the branch not taken gets no gradient at all", arity=3, method=False,
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{else}} \end{{cases}}", kink=lambda c, x, y: fabs(c),
    native="select")
stop_gradient: Op = Op("stop_gradient", None, (None,), "x, of which nothing that follows is a function",
    method=False, native=lambda x: x)

# sums
total: Op = Op("total", ieee.total, lambda y, *xs: (1.0,) * len(xs), "the sum Σ x_i", symbol="Σ", arity=range(maxsize),
    operands=_list, text=lambda *args: f"total([{commas(*args)}])",
    latex=lambda *args: " + ".join(f"{a:1}" for a in args), latex_precedence=1, method=False,
    analytic=lambda *xs: sum(xs), products=lambda *xs: ([(1.0, x) for x in xs], 0.0))
dot: Op = Op("dot", ieee.dot, _dot_partials, "Σ w_i x_i + b, of a list of w, a list of x and b (0): E2's z",
    symbol="Σ w x + b", arity=range(1, maxsize, 2), operands=_dot_operands, text=_dot_text, latex=_dot_latex,
    latex_precedence=1, method=False, analytic=ieee.dot,
    products=lambda *xs: (list(zip(xs, xs[len(xs) // 2 : -1])), xs[-1]))
# fmt: on

globals()["__all__"] = [*rows, "softmax", "log_softmax"]  # as `__all__ =` type checkers would misunderstand it

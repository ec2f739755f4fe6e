"""What the engine answers in every awkward case, as one table: expression, point, value, gradient, and what PyTorch
2.14 and JAX 0.10 answer, in float64, where they differ. The tests run it; the documentation prints it."""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple


class Case(NamedTuple):
    """`expression` of the variables `at`, written as a user would write it."""

    expression: str
    at: dict[str, float]
    value: float | None  # None: not the point of the case
    gradient: dict[str, float | None]  # None: unspecified
    others: str = ""


def case(expression: str, value: float | None = None, others: str = "", /, **variables: object) -> Case:
    """`x=(2.0, 4.0)`: x is 2 and its gradient 4. `x=2.0`: the gradient is unspecified."""
    at, gradient = {}, {}
    for name, x in variables.items():
        at[name], gradient[name] = x if isinstance(x, tuple) else (x, None)
    return Case(expression, at, value, gradient, others)


KINKS = [
    case("relu(x)", 0.0, x=(0.0, 0.0)),
    case("relu(x)", 0.0, x=(-0.0, 0.0)),
    case("abs(x)", 0.0, "JAX: gradient 1", x=(0.0, 0.0)),
    case("abs(x)", 0.0, "JAX: gradient 1", x=(-0.0, 0.0)),
    case("relu(x)", nan, x=nan),
    case("maximum(x, y)", 2.0, x=(2.0, 0.5), y=(2.0, 0.5)),
    case("minimum(x, y)", 2.0, x=(2.0, 0.5), y=(2.0, 0.5)),
    case("maximum(x, x)", 2.0, x=(2.0, 1.0)),
    case("minimum(x, x)", 2.0, x=(2.0, 1.0)),
    case("maximum([x, y, z])", 2.0, x=(2.0, 1 / 3), y=(2.0, 1 / 3), z=(2.0, 1 / 3)),
    case("maximum([x, y, z])", 2.0, x=(2.0, 0.5), y=(1.0, 0.0), z=(2.0, 0.5)),
    case("minimum([x, y, z])", 1.0, x=(2.0, 0.0), y=(1.0, 0.5), z=(1.0, 0.5)),
    case("leaky_relu(x)", 0.0, "JAX: gradient 1", x=(0.0, 0.01)),
    case("leaky_relu(x, 0.2)", 0.0, "JAX: gradient 1", x=(0.0, 0.2)),
    case("relu6(x)", 6.0, x=(6.0, 0.0)),
    case("relu6(x)", 0.0, x=(0.0, 0.0)),
    case("hardtanh(x)", 1.0, "JAX: gradient 1", x=(1.0, 0.0)),
    case("hardtanh(x)", -1.0, "JAX: gradient 1", x=(-1.0, 0.0)),
    case("elu(x)", 0.0, x=(0.0, 1.0)),
    case("sign(x)", 1.0, x=(3.0, 0.0)),
    case("sign(x)", 0.0, x=(0.0, 0.0)),
    case("floor(x)", 1.0, x=(1.5, 0.0)),
    case("floor(x)", 2.0, x=(2.0, 0.0)),
    case("round(x)", 2.0, x=(1.5, 0.0)),
    case("round(x)", 2.0, x=(2.5, 0.0)),
    case("round(x)", 0.0, x=(0.5, 0.0)),
]

POWERS = [
    case("sqrt(x)", 0.0, x=(0.0, inf)),
    case("x**0.5", 0.0, x=(0.0, inf)),
    case("1/x", inf, x=(0.0, -inf)),
    case("1/x", -inf, x=(-0.0, -inf)),
    case("a/b", inf, a=(1.0, inf), b=(0.0, -inf)),
    case("a/b", nan, a=(0.0, inf), b=(0.0, nan)),
    case("log(x)", -inf, x=(0.0, inf)),
    case("log(x)", -inf, x=(-0.0, -inf)),
    case("log(x)", nan, "PyTorch and JAX: gradient -1", x=(-1.0, nan)),
    case("x*log(x)", nan, x=(0.0, nan)),
    case("xlogy(x, 2.0)", 0.0, x=(0.0, 0.6931471805599453)),
    case("where(c, a, b)", 2.0, c=(1.0, 0.0), a=(2.0, 1.0), b=(3.0, 0.0)),
    case("where(c, a, b)", 3.0, c=(0.0, 0.0), a=(2.0, 0.0), b=(3.0, 1.0)),
    case("where(x > 0, log(x), x)", -1.0, x=(-1.0, 1.0)),
    case("where(c, x, 1/y)", 2.0, "PyTorch and JAX: gradient NaN by y", c=1.0, x=(2.0, 1.0), y=(0.0, 0.0)),
    case("a**b", 1.0, "JAX: gradient NaN by a", a=(0.0, 0.0), b=(0.0, 0.0)),
    case("a**b", 0.0, a=(0.0, 1.0), b=(1.0, 0.0)),
    case("a**b", 0.0, a=(0.0, 0.0), b=(2.0, 0.0)),
    case("a**b", 0.0, a=(0.0, inf), b=(0.5, 0.0)),
    case("a**b", inf, "JAX: gradient NaN by b", a=(0.0, -inf), b=(-1.0, -inf)),
    case("a**b", 4.0, a=(-2.0, -4.0), b=(2.0, nan)),
    case("a**b", -8.0, a=(-2.0, 12.0), b=(3.0, nan)),
    case("a**b", 1.0, a=(-2.0, 0.0), b=(0.0, nan)),
    case("a**b", nan, a=(-2.0, nan), b=(0.5, nan)),
    case("x**2", 4.0, x=(-2.0, -4.0)),
    case("x**0", 1.0, x=(0.0, 0.0)),
    case("x**1", inf, x=(inf, 1.0)),
    case("2**x", 8.0, x=(3.0, 5.545177444479562)),
    case("0**x", 1.0, x=(0.0, 0.0)),
    case("1**x", 1.0, x=(3.0, 0.0)),
    case("(-2)**x", 4.0, x=(2.0, nan)),
    case("(-2)**x", nan, x=(0.5, nan)),
]

OVERFLOW = [
    case("sigmoid(x)", 1.0, x=(1000.0, 0.0)),
    case("sigmoid(x)", 0.0, x=(-1000.0, 0.0)),
    case("sigmoid(x)", 1.0, "PyTorch and JAX: gradient 0", x=(40.0, 4.248354255291589e-18)),
    case("sigmoid(x)", 4.248354255291589e-18, x=(-40.0, 4.248354255291589e-18)),
    case("tanh(x)", 1.0, x=(1000.0, 0.0)),
    case("tanh(x)", 1.0, "PyTorch and JAX: gradient 0", x=(20.0, 1.6993417021166355e-17)),
    case("softplus(x)", 1000.0, x=(1000.0, 1.0)),
    case("softplus(x)", 0.0, x=(-1000.0, 0.0)),
    case("softplus(x)", 0.6931471805599453, x=(0.0, 0.5)),
    case("softplus(x)", 20.500000001250153, "PyTorch: 20.5, gradient 1", x=(20.5, 0.9999999987498471)),
    case("log_sigmoid(x)", -1000.0, x=(-1000.0, 1.0)),
    case("logsumexp([x, y])", 1000.6931471805599, x=(1000.0, 0.5), y=(1000.0, 0.5)),
    case("log_softmax([x, y, z])[0]", 0.0, x=(1000.0, 0.0), y=(0.0, 0.0), z=(-1000.0, 0.0)),
    case("log_softmax([x, y, z])[1]", -1000.0, x=(1000.0, -1.0), y=(0.0, 1.0), z=(-1000.0, 0.0)),
    case("log_softmax([x, y, z])[2]", -2000.0, x=(1000.0, -1.0), y=(0.0, 0.0), z=(-1000.0, 1.0)),
    case("exp(x)", inf, x=(710.0, inf)),
    case("exp(x)", 0.0, x=(-800.0, 0.0)),
]

NODES = [
    case("a + a", 6.0, a=(3.0, 2.0)),
    case("a * a", 9.0, a=(3.0, 6.0)),
    case("a / a", 1.0, a=(3.0, 0.0)),
    case("a - a", 0.0, a=(3.0, 0.0)),
]

SECTIONS = {
    "Kinks and ties": KINKS,
    "Singular points and powers": POWERS,
    "Overflow and cancellation": OVERFLOW,
    "One value, used twice": NODES,
}
CASES = [case for cases in SECTIONS.values() for case in cases]

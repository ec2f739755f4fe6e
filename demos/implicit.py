"""The derivative of a root that Newton's method finds, by the implicit function theorem and not through the iterations.

Kepler's equation E − e sin E = M gives a planet's place on its orbit: M grows evenly with time, e is the eccentricity,
and E, an angle, is to be found. It has no closed form, but its derivatives do: of g(E, M, e) = E − e sin E − M = 0

    ∂E/∂M = −(∂g/∂M) / (∂g/∂E) = 1 / (1 − e cos E)        ∂E/∂e = −(∂g/∂e) / (∂g/∂E) = sin E / (1 − e cos E)

Written with the package's rows, given the output E, they make the root a primitive with derivatives of every order.
"""

import math
from typing import Any

from tinygrad_sq import Value, cos, custom_op, grad, gradient, hessian, sin


def solve(M: float, e: float) -> float:
    """E by Newton's method, on floats: nothing of the loop is recorded."""
    E = M
    for _ in range(50):
        step = (E - e * math.sin(E) - M) / (1.0 - e * math.cos(E))
        E -= step
        if abs(step) < 1e-15:
            break
    return E


def by_mean_anomaly(E: Any, M: Any, e: Any) -> Any:
    return 1.0 / (1.0 - e * cos(E))


def by_eccentricity(E: Any, M: Any, e: Any) -> Any:
    return sin(E) / (1.0 - e * cos(E))


def main() -> None:
    # Before the row joins the table, gradcheck holds its first and second derivatives against differences of `solve`.
    kepler = custom_op(
        "kepler", solve, (by_mean_anomaly, by_eccentricity), domain=((-math.pi, math.pi), (0.0, 0.9)), symbol="E"
    )

    M, e = Value(1.0, "M"), Value(0.2056, "e")  # Mercury's orbit
    E = kepler(M, e)
    print(f"E = {E.data:.15f}, and E - e sin E - M = {E.data - e.data * math.sin(E.data) - M.data:.1e}")
    for name, derivative in zip(("∂E/∂M", "∂E/∂e"), gradient(E, [M, e])):
        print(f"{name} = {derivative}")
    print(f"Hessian: {hessian(kepler, argnums=(0, 1))(1.0, 0.2056)}")
    print(f"∂³E/∂M³ = {grad(grad(grad(kepler)))(1.0, 0.2056):.12f}")


if __name__ == "__main__":
    main()

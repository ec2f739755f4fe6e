"""Newton's method on Rosenbrock's valley, in 2 and in 20 dimensions: gradient and Hessian of one plain function.

f(x) = Σ 100 (x_{i+1} − x_i²)² + (1 − x_i)² has its minimum, 0, at (1, ..., 1), in a bent valley that gradient descent
follows for thousands of steps. Newton's step p solves H p = −∇f: near the end, each doubles the number of right digits.
"""

from collections.abc import Sequence
from typing import Any

from tinygrad_sq import hessian, value_and_grad


def rosenbrock(x: Sequence[Any]) -> Any:
    return sum(100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1))


def solve(H: list[list[float]], g: list[float]) -> list[float]:
    """The p of H p = g, by Gaussian elimination with pivots."""
    n = len(g)
    rows = [[*row, g_i] for row, g_i in zip(H, g)]
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k])]
    p = [0.0] * n
    for k in reversed(range(n)):
        p[k] = (rows[k][n] - sum(rows[k][j] * p[j] for j in range(k + 1, n))) / rows[k][k]
    return p


def newton(x: list[float], steps: int = 30) -> None:
    print(f"{len(x)} dimensions\n step         f(x)     |∇f(x)|   x")
    for step in range(steps):
        f, g = value_and_grad(rosenbrock)(x)
        norm = sum(g_i**2 for g_i in g) ** 0.5
        print(f"{step:5} {f:12.4e} {norm:11.2e}   {', '.join(f'{x_i:.4f}' for x_i in x[:5])}{', ...' * (len(x) > 5)}")
        if norm < 1e-12:
            break
        p = solve(hessian(rosenbrock)(x), [-g_i for g_i in g])
        x = [x_i + p_i for x_i, p_i in zip(x, p)]
    print()


def main() -> None:
    x = [-1.2, 1.0]
    value, gradient = value_and_grad(rosenbrock)(x)
    print(f"At {x} f = {value:.6g}, ∇f = {gradient}, and the Hessian is")
    for row in hessian(rosenbrock)(x):
        print("".join(f"{h:10.6g}" for h in row))
    print()
    newton(x)
    newton([2.0] * 20)


if __name__ == "__main__":
    main()

"""Backpropagation in closed form, E2 to E7, on plain floats: what the engine is held to. Knows nothing of the engine.

The letters are the derivation's. Layers are numbered from 1, the input, to n_l, the output; units from 0.

W[l][i][j]   weight from unit j of layer l to unit i of layer l+1      l = 1 .. n_l - 1
b[l][i]      bias of unit i of layer l+1                               l = 1 .. n_l - 1
z[l][i]      pre-activation of unit i of layer l                       l = 2 .. n_l
a[l][i]      its activation; a[1] is x                                 l = 1 .. n_l
delta[l][i]  ∂J/∂z[l][i] of one sample                                 l = 2 .. n_l
f[l]         activation of layer l, a function of one float; f_prime[l] its derivative    l = 2 .. n_l
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TypeAlias

Vector: TypeAlias = Sequence[float]
Vectors: TypeAlias = Mapping[int, Vector]
Matrices: TypeAlias = Mapping[int, Sequence[Vector]]
Functions: TypeAlias = Mapping[int, Callable[[float], float]]


def sample_cost(output: Vector, y: Vector) -> float:
    """½ ‖h(x) − y‖² (E1). ValueError if `output` and `y` are not of one length."""
    _expect(y, output, "y", "target", "output unit")
    return sum((output[i] - y[i]) ** 2 for i in units(y)) / 2


def cost(W: Matrices, b: Vectors, X: Sequence[Vector], Y: Sequence[Vector], f: Functions, lam: float = 0.0) -> float:
    """(1/m) Σ_s ½ ‖h(x^s) − y^s‖² + (λ/2) Σ W² over m samples (E3). ValueError if a shape does not fit."""
    _check_samples(X, Y)
    errors = [sample_cost(forward(W, b, x, f)[1][len(W) + 1], y) for x, y in zip(X, Y)]
    return sum(errors) / len(X) + lam / 2 * sum(w**2 for l in W for row in W[l] for w in row)


def forward(W: Matrices, b: Vectors, x: Vector, f: Functions) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """z^{l+1} = W^l a^l + b^l, a^{l+1} = f(z^{l+1}), a^1 = x (E2): (z, a). ValueError if a shape does not fit."""
    _check_net(W, b, x, f)
    z: dict[int, list[float]] = {}
    a = {1: list(x)}
    for l in range(1, len(W) + 1):
        z[l + 1] = [sum(W[l][i][j] * a[l][j] for j in units(a[l])) + b[l][i] for i in units(b[l])]
        a[l + 1] = [f[l + 1](z_i) for z_i in z[l + 1]]
    return z, a


def deltas(W: Matrices, y: Vector, z: Vectors, a: Vectors, f_prime: Functions) -> dict[int, list[float]]:
    """δ^l = ∂J/∂z^l of one sample, from the output layer back to layer 2 (E5, E6); z, a as `forward` returns them.

    E5  δ_i^{n_l} = −(y_i − a_i^{n_l}) f'(z_i^{n_l})
    E6  δ_i^l = (Σ_j δ_j^{l+1} W_ji^l) f'(z_i^l)

    ValueError if `y` is not as long as the output, or f' of a layer is missing.
    """
    n = len(W) + 1
    _expect_keys("f_prime", f_prime, 2, n)
    _expect(y, a[n], "y", "target", "output unit")
    delta = {n: [-(y[i] - a[n][i]) * f_prime[n](z[n][i]) for i in units(y)]}
    for l in range(n - 1, 1, -1):
        delta[l] = [
            sum(delta[l + 1][j] * W[l][j][i] for j in units(delta[l + 1])) * f_prime[l](z[l][i]) for i in units(z[l])
        ]
    return delta


def gradient(
    W: Matrices, b: Vectors, x: Vector, y: Vector, f: Functions, f_prime: Functions
) -> tuple[dict[int, list[list[float]]], dict[int, list[float]]]:
    """∂J/∂W and ∂J/∂b of one sample, in the shapes of W and b. ValueError if a shape does not fit.

    E7W  ∂J/∂W_ij^l = a_j^l δ_i^{l+1}
    E7b  ∂J/∂b_i^l = δ_i^{l+1}
    """
    z, a = forward(W, b, x, f)
    delta = deltas(W, y, z, a, f_prime)
    dW = {l: [[a[l][j] * delta[l + 1][i] for j in units(a[l])] for i in units(b[l])] for l in W}
    db = {l: delta[l + 1] for l in W}
    return dW, db


def input_gradient(W: Matrices, delta: Vectors) -> list[float]:
    """∂J/∂x_i = Σ_j δ_j^2 W_ji^1 of one sample: E6 at the input, which has no activation and so no factor f'."""
    return [sum(delta[2][j] * W[1][j][i] for j in units(delta[2])) for i in units(W[1][0])]


def cost_gradient(
    W: Matrices,
    b: Vectors,
    X: Sequence[Vector],
    Y: Sequence[Vector],
    f: Functions,
    f_prime: Functions,
    lam: float = 0.0,
) -> tuple[dict[int, list[list[float]]], dict[int, list[float]]]:
    """∂J/∂W and ∂J/∂b of the cost of m samples (E3), in the shapes of W and b. ValueError if a shape does not fit.

    E4W  ∂J/∂W_ij^l = (1/m) Σ_s ∂J^s/∂W_ij^l + λ W_ij^l
    E4b  ∂J/∂b_i^l = (1/m) Σ_s ∂J^s/∂b_i^l
    """
    _check_samples(X, Y)
    m = len(X)
    dWs, dbs = zip(*[gradient(W, b, x, y, f, f_prime) for x, y in zip(X, Y)])
    dW = {
        l: [[sum(dW_s[l][i][j] for dW_s in dWs) / m + lam * W[l][i][j] for j in units(W[l][i])] for i in units(W[l])]
        for l in W
    }
    db = {l: [sum(db_s[l][i] for db_s in dbs) / m for i in units(b[l])] for l in W}
    return dW, db


def units(layer: Sized) -> range:
    """The indices of a layer's units."""
    return range(len(layer))


def _check_net(W: Matrices, b: Vectors, x: Vector, f: Functions) -> None:
    n = len(W) + 1
    if n == 1:
        raise ValueError("W: expected at least one layer of weights, got none")
    _expect_keys("W", W, 1, n - 1)
    _expect_keys("b", b, 1, n - 1)
    _expect_keys("f", f, 2, n)
    below: Sized = x
    for l in range(1, n):
        _expect(b[l], W[l], f"b[{l}]", "bias", f"row of W[{l}]")
        for i in units(W[l]):
            _expect(W[l][i], below, f"W[{l}][{i}]", "weight", f"unit of layer {l}")
        below = W[l]


def _check_samples(X: Sequence[Vector], Y: Sequence[Vector]) -> None:
    if len(X) == 0:
        raise ValueError("X: expected at least one sample, got none")
    _expect(Y, X, "Y", "target vector", "sample of X")


def _expect_keys(name: str, keyed: Mapping[int, object], first: int, last: int) -> None:
    if keyed.keys() != {*range(first, last + 1)}:
        raise ValueError(f"{name}: expected the layers {first} to {last} as keys, got {[*keyed]}")


def _expect(vector: Sized, per: Sized, name: str, what: str, unit: str) -> None:
    if len(vector) != len(per):
        raise ValueError(f"{name}: expected length {len(per)}, one {what} per {unit}, got {len(vector)}")

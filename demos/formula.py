"""A formula that is no net: how sure is a measured g? Derivatives turn uncertain readings into an uncertain result.

A pendulum of length L swings with the period T, for an amplitude θ in radians, so that g = (2π/T)² L (1 + θ²/16)². Each
reading r ± u_r contributes (∂g/∂r) u_r, and the contributions add as squares: the law of propagation of uncertainty
(JCGM 100:2008, equation 10). The derivatives come from one call of backward.
"""

import math
from pathlib import Path

from tinygrad_sq import Value
from tinygrad_sq.study.draw import to_svg

OUT = Path("out")


def main() -> None:
    L = Value(0.994, "L")  # m
    T = Value(2.003, "T")  # s
    theta = Value(0.087, "θ")  # rad
    uncertainty = {L: 0.002, T: 0.004, theta: 0.009}

    g = (2.0 * math.pi / T) ** 2 * L * (1.0 + theta**2 / 16.0) ** 2
    g.label = "g"
    g.backward()

    print("reading              ∂g/∂reading   contribution to u(g) in m/s²")
    contributions = {r: r.grad * u for r, u in uncertainty.items()}
    for r, u in uncertainty.items():
        print(f"{r.label} = {r.data:.3f} ± {u:.3f} {r.grad:+15.5f} {contributions[r]:+15.6f}")
    u_g = math.sqrt(sum(c * c for c in contributions.values()))
    print(f"\ng = {g.data:.3f} ± {u_g:.3f} m/s²")

    # The same by hand: g is a product of powers but for θ, so relative uncertainties add, with the exponent as factor.
    by_hand = {L: g.data / L.data, T: -2.0 * g.data / T.data, theta: g.data * theta.data / (4.0 + theta.data**2 / 4.0)}
    largest = max(abs(r.grad / by_hand[r] - 1.0) for r in by_hand)
    print(f"largest relative difference from the derivatives worked out by hand: {largest:.1g}")

    OUT.mkdir(exist_ok=True)
    (OUT / "formula.svg").write_text(to_svg(g), encoding="utf-8")
    print(f"wrote {OUT / 'formula.svg'}: the formula as a graph, with the derivative by each part of it")


if __name__ == "__main__":
    main()

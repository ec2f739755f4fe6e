"""A curve through measurements, by SciPy's optimiser and this package's gradient.

The speed of an enzyme reaction against the concentration of what it converts (cells treated with puromycin), and the
law of Michaelis and Menten, v = V c / (K + c). Data: M. A. Treloar, "Effects of Puromycin on Galactosyltransferase in
Golgi Membranes", M.Sc. thesis, University of Toronto, 1974; printed in D. M. Bates and D. G. Watts, "Nonlinear
Regression Analysis and Its Applications", Wiley, 1988, appendix A1.3. To run it: pip install '.[plot]' scipy
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    from matplotlib.figure import Figure
    from scipy.optimize import minimize
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}; this demo needs: pip install '.[plot]' scipy") from None

from tinygrad_sq import grad, hessian, square, total, value_and_grad

OUT = Path("out")

CONCENTRATION = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.10, 1.10]  # ppm
SPEED = [76.0, 47.0, 97.0, 107.0, 123.0, 139.0, 159.0, 152.0, 191.0, 201.0, 207.0, 200.0]  # counts per minute²


def speed(c: float, V: Any, K: Any) -> Any:
    return V * c / (K + c)


def misfit(theta: Sequence[Any]) -> Any:
    """The sum of squared residuals."""
    return total([square(v - speed(c, *theta)) for c, v in zip(CONCENTRATION, SPEED)])


def main() -> None:
    fit = minimize(value_and_grad(misfit), x0=[200.0, 0.1], jac=True, method="L-BFGS-B", options={"ftol": 1e-15})
    V, K = map(float, fit.x)
    print(f"{fit.nfev} evaluations: misfit {fit.fun:.2f}, gradient {grad(misfit)(fit.x)}")

    # Near the minimum the misfit is ½ xᵀ H x: so H says how far V and K may be off (σ² the variance of a residual).
    (h_VV, h_VK), (_, h_KK) = hessian(misfit)([V, K])
    sigma2 = fit.fun / (len(SPEED) - 2)
    error_V, error_K = ((2.0 * sigma2 * h / (h_VV * h_KK - h_VK**2)) ** 0.5 for h in (h_KK, h_VV))
    print(f"V = {V:.1f} ± {error_V:.1f}   K = {K:.4f} ± {error_K:.4f} ppm   σ = {sigma2**0.5:.2f}")

    axes = (figure := Figure(layout="constrained")).subplots()
    grid = [0.01 * k for k in range(121)]
    axes.plot(grid, [speed(c, V, K) for c in grid], label=f"v = {V:.1f} c / ({K:.4f} + c)")
    axes.plot(CONCENTRATION, SPEED, "o", label="measured")
    axes.set(xlabel="concentration c [ppm]", ylabel="speed v [counts/min²]", ylim=(0.0, None))
    axes.legend()
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / "curve_fit.svg")
    print(f"wrote {OUT / 'curve_fit.svg'}")


if __name__ == "__main__":
    main()

"""The losses of one residual: ρ(z), its slope ψ(z), and the weight by which z² has that slope.

The formulas are those of `catalogue.losses`, which has their sources.
"""

from __future__ import annotations

import math

from service.engine.kernel.compiled import compiled

NAMES = (
    "mse", "mae", "huber", "soft_l1", "cauchy", "log_cosh", "arctan", "tukey", "quantile",
)  # fmt: skip
MSE, MAE, HUBER, SOFT_L1, CAUCHY, LOG_COSH, ARCTAN, TUKEY, QUANTILE = range(len(NAMES))
TINY = 1.5e-154
"""√ of float64's smallest normal number: a residual below it weighs as much as there."""


@compiled
def rho(loss: int, z: float, delta: float) -> float:
    """ρ(z)."""
    if loss == MSE:
        return z * z
    size = abs(z)
    if loss == MAE:
        return size
    if loss == QUANTILE:
        return -delta * z if z < 0.0 else (1.0 - delta) * z
    if loss == HUBER:
        return 0.5 * z * z if size <= delta else delta * (size - 0.5 * delta)
    u = (z / delta) * (z / delta)
    if loss == SOFT_L1:
        return 2.0 * z * z / (1.0 + math.sqrt(1.0 + u))
    if loss == CAUCHY:
        return z * z * (math.log1p(u) / u) if u > 0.0 else z * z
    if loss == ARCTAN:
        return z * z * (math.atan(u) / u) if u > 0.0 else z * z
    if loss == TUKEY:
        return z * z / 6.0 * (3.0 - 3.0 * u + u * u) if u < 1.0 else delta * (delta / 6.0)
    s = size / delta
    if s >= 1.0:
        return delta * (delta * (s + math.log1p(math.exp(-2.0 * s)) - math.log(2.0)))
    if s > 1e-8:
        half = math.sinh(0.5 * s)
        return z * z * math.log1p(2.0 * half * half) / (s * s)
    return z * z / 2.0 if z == z else z


@compiled
def psi(loss: int, z: float, delta: float) -> float:
    """ψ(z) = dρ/dz; of a likelihood, whose z is (y − μ)/√V, that of z²."""
    if loss == MSE or loss >= len(NAMES):
        return 2.0 * z
    if loss == MAE:
        return math.copysign(1.0, z) if z != 0.0 else z
    if loss == QUANTILE:
        return 0.0 if z == 0.0 else (-delta if z < 0.0 else 1.0 - delta)
    if loss == HUBER:
        return min(max(z, -delta), delta) if z == z else z
    u = (z / delta) * (z / delta)
    if loss == SOFT_L1:
        return 2.0 * z / math.sqrt(1.0 + u)
    if loss == CAUCHY:
        return 2.0 * z / (1.0 + u)
    if loss == ARCTAN:
        return 2.0 * z / (1.0 + u * u)
    if loss == TUKEY:
        return z * (1.0 - u) * (1.0 - u) if u < 1.0 else 0.0 * z
    return delta * math.tanh(z / delta)


@compiled
def weight(loss: int, z: float, delta: float) -> float:
    """ψ(z)/(2z)."""
    apart = TINY if abs(z) < TINY else z
    return psi(loss, apart, delta) / (2.0 * apart)


@compiled
def rounded(loss: int, z: float, delta: float, width: float) -> tuple[float, float]:
    """A loss with a corner (mae, quantile), with a parabola for it within ±width: ρ(z) and the
    weight (Huber's way)."""
    size = abs(z)
    side = rho(loss, -1.0 if z < 0.0 else 1.0, delta)
    if size > width:
        return side * (size - width / 2.0), side / (2.0 * size)
    return side * z * z / (2.0 * width), side / (2.0 * max(size, width))

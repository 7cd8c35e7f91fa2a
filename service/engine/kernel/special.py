"""Special functions of one number that neither numba nor the C library has, and torch's edges.

Sources: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.3-6.4 (recurrence, reflection
and asymptotic series of digamma and trigamma).
"""

from __future__ import annotations

import math

import numpy as np

from service.engine.kernel.compiled import compiled

LARGE = 10.0
"""From here on the asymptotic series below have 16 digits."""


@compiled
def digamma(x: float) -> float:
    """ψ(x) = d ln Γ(x)/dx; −∞ at +0, +∞ at −0, NaN at the other poles."""
    if x == 0.0:
        return -math.copysign(math.inf, x)
    if x < 0.0 and x == np.floor(x):
        return math.nan
    total = 0.0
    if x < 0.0:
        part = x - np.floor(x + 0.5)
        total = -math.pi / math.tan(math.pi * part)
        x = 1.0 - x
    while x < LARGE:
        total -= 1.0 / x
        x += 1.0
    if x == math.inf:
        return x
    y = 1.0 / (x * x)
    series = y * (
        1 / 12
        - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * (691 / 32760 - y / 12)))))
    )
    return total + math.log(x) - 0.5 / x - series


@compiled
def trigamma(x: float) -> float:
    """ψ′(x); +∞ at the poles."""
    if x == math.inf:
        return 0.0
    total, sign = 0.0, 1.0
    if x < 0.5:
        sine = math.sin(math.pi * (x - np.floor(x + 0.5)))
        total, sign = (math.pi / sine) ** 2 if sine != 0.0 else math.inf, -1.0
        x = 1.0 - x
    rest = 0.0
    while x < LARGE:
        rest += 1.0 / (x * x)
        x += 1.0
    y = 1.0 / (x * x)
    series = (
        1 / x
        + y / 2
        + y
        / x
        * (1 / 6 - y * (1 / 30 - y * (1 / 42 - y * (1 / 30 - y * (5 / 66 - y * 691 / 2730)))))
    )
    return total + sign * (rest + series)


@compiled
def gamma(x: float) -> float:
    """Γ(x) as exp(ln |Γ(x)|) with its sign, infinite at the poles."""
    magnitude = math.exp(log_gamma(x))
    if x < 0.0 and 0.5 * np.floor(x) != np.floor(0.5 * np.floor(x)):
        return -magnitude
    return magnitude


@compiled
def log_gamma(x: float) -> float:
    """ln |Γ(x)|; +∞ at the poles and at ±∞."""
    if x <= 0.0 and x == np.floor(x):
        return math.inf
    return math.lgamma(x)

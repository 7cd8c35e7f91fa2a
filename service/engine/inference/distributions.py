"""Distribution functions: quantiles and tails of Student's t, tails of F and χ².

Sources: Press et al., Numerical Recipes, 3rd ed., 6.4 (continued fraction by Lentz's method);
Abramowitz and Stegun 26.7.1 (t by the incomplete beta).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300
NORMAL = 1e4
"""Degrees of freedom above which Fisher's expansion about the normal quantile (Abramowitz and
Stegun 26.7.5) is exact to rounding."""


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function Iₓ(a, b), for 0 ≤ x ≤ 1."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, 1.0 - x) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    c = 1.0
    d = 1.0 / _away(1.0 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _away(1.0 + even * d)
        c = _away(1.0 + even / c)
        fraction *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _away(1.0 + odd * d)
        c = _away(1.0 + odd / c)
        fraction *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return fraction


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_tail(t: float, degrees: float) -> float:
    """P(T > t) for t ≥ 0."""
    return 0.5 * incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


@lru_cache(maxsize=1024)
def t_quantile(probability: float, degrees: float) -> float:
    """The t with P(T ≤ t) = probability, for 0.5 ≤ probability < 1 and degrees > 0.

    Newton's method from the normal quantile, with bracketing.
    """
    if degrees > NORMAL:
        z = NormalDist().inv_cdf(probability)
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return z + (first + (second + third / degrees) / degrees) / degrees
    tail = 1.0 - probability
    low, high = 0.0, 1e300
    t = NormalDist().inv_cdf(probability) if tail < 0.5 else 0.0
    log_norm = (
        math.lgamma((degrees + 1) / 2)
        - math.lgamma(degrees / 2)
        - 0.5 * math.log(degrees * math.pi)
    )
    for _ in range(200):
        excess = t_tail(t, degrees) - tail
        low, high = (t, high) if excess > 0 else (low, t)
        slope = math.exp(log_norm - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        following = t + excess / max(slope, _TINY)
        if not low <= following <= high:
            following = 2 * low + 1 if high == 1e300 else 0.5 * (low + high)
        if abs(following - t) <= 1e-14 * max(1.0, abs(t)):
            return following
        t = following
    return t


def f_tail(f: float, df1: float, df2: float) -> float:
    """P(F > f) for f ≥ 0 (Abramowitz and Stegun 26.6.2)."""
    if math.isinf(f):
        return 0.0
    return incomplete_beta(df2 / 2, df1 / 2, df2 / (df2 + df1 * f))


def chi_squared_tail(x: float, degrees: float) -> float:
    """P(χ² > x) for x ≥ 0: the regularised upper incomplete gamma function Q(degrees/2, x/2)
    (Numerical Recipes, 6.2: a series below a + 1, a continued fraction above)."""
    a, x = degrees / 2, x / 2
    if x <= 0.0 or math.isinf(x):
        return 1.0 if x <= 0.0 else 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * 1e-17:
            n += 1
            term *= x / n
            total += term
        return 1.0 - front * total
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, 10_000):
        even = -i * (i - a)
        b += 2
        d = 1 / _away(even * d + b)
        c = _away(b + even / c)
        fraction *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return front * fraction

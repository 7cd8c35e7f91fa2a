"""Sine, cosine and tangent of float64 without branches, tables or calls: see `elementary`, which
has the sources too."""

from __future__ import annotations

from service.engine.kernel.compiled import inlined
from service.engine.kernel.floats import bits, choose, fused, multiply_add, number

ROUND = 6755399441055744.0
"""1.5·2⁵²: see `elementary`."""
PER_HALF_PI = 0.6366197723675814
HALF_PI, HALF_PI_LOW, HALF_PI_LOWEST = 1.5707963267948966, 6.12323399538461e-17, 3.5215598651832e-27
"""π/2; an integer of 20 bits times the second part is exact."""
WIDEST = 1e6
"""Angles beyond it are left to the C library."""


@inlined
def _turned(x: float) -> tuple[int, float, float]:
    """q, r and its low part of x = q·π/2 + r, |r| ≤ π/4; all but the low part is exact."""
    rounded = multiply_add(x, PER_HALF_PI, ROUND)
    q = rounded - ROUND
    first = fused(-q, HALF_PI, x)
    second = q * HALF_PI_LOW
    r = first - second
    low = multiply_add(-q, HALF_PI_LOWEST, (first - r) - second)
    return bits(rounded), r, low


@inlined
def _sine(r: float, low: float) -> float:
    """sin(r + low) for |r| ≤ π/4."""
    z = r * r
    q = multiply_add(-7.586691094197958e-13, z, 1.6058531516797758e-10)
    q = multiply_add(q, z, -2.5052106231802837e-08)
    q = multiply_add(q, z, 2.7557319219337312e-06)
    q = multiply_add(q, z, -0.00019841269841265063)
    q = multiply_add(q, z, 0.008333333333333331)
    q = multiply_add(q, z, -0.16666666666666666)
    return r + multiply_add(r * z, q, multiply_add(-0.5 * z, low, low))


@inlined
def _cosine(r: float, low: float) -> float:
    """cos(r + low) for |r| ≤ π/4."""
    z = r * r
    q = multiply_add(-1.1382623647474604e-11, z, 2.087614614655861e-09)
    q = multiply_add(q, z, -2.7557317271145144e-07)
    q = multiply_add(q, z, 2.480158729876456e-05)
    q = multiply_add(q, z, -0.0013888888888887398)
    q = multiply_add(q, z, 0.041666666666666664)
    h = 0.5 * z
    w = 1.0 - h
    return w + (((1.0 - w) - h) + multiply_add(z * z, q, -(r * low)))


@inlined
def sine(x: float) -> float:
    """sin x for |x| ≤ WIDEST."""
    q, r, low = _turned(x)
    found = choose(q & 1 == 0, _sine(r, low), _cosine(r, low))
    return choose(x == 0.0, x, number(bits(found) ^ ((q & 2) << 62)))


@inlined
def cosine(x: float) -> float:
    """cos x for |x| ≤ WIDEST."""
    q, r, low = _turned(x)
    found = choose(q & 1 == 0, _cosine(r, low), _sine(r, low))
    return number(bits(found) ^ (((q + 1) & 2) << 62))


@inlined
def tangent(x: float) -> float:
    """tan x for |x| ≤ WIDEST."""
    q, r, low = _turned(x)
    s, c = _sine(r, low), _cosine(r, low)
    even = q & 1 == 0
    found = choose(even, s, -c) / choose(even, c, s)
    return choose(x == 0.0, x, found)

"""Roots of many functions at once, each within a bracket.

Chandrupatla's method: inverse quadratic interpolation where it is safe, else bisection.
Source: Chandrupatla, Advances in Engineering Software 28 (1997) 145-149.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from service.engine.kernel.types import Floats, Ints

Function = Callable[[Floats, Ints], Floats]
"""The values at points (k,) of the functions with those indices (k,)."""

ITERATIONS = 200
"""The most iterations; bisection alone halves a bracket of float64 this often to its last bit."""
EPSILON = float(np.finfo(np.float64).eps)


class Roots(NamedTuple):
    """The last brackets: the values at `inner` are at most 0 or negative zero, those at `outer`
    above it."""

    inner: Floats
    outer: Floats
    best: Floats
    """The end at which the function is nearer to 0."""


def find_roots(
    function: Function, a: Floats, fa: Floats, b: Floats, fb: Floats, smallest: float
) -> Roots:
    """A root of each function between a and b (n,), where its values fa and fb have opposite signs
    or one is 0; to rounding, or to `smallest` where a root is near 0. Values may be infinite."""
    x1, f1, x2, f2 = b.copy(), fb.copy(), a.copy(), fa.copy()
    part = np.full_like(a, 0.5)
    at = np.flatnonzero((fa != 0) & (fb != 0))
    with np.errstate(all="ignore"):
        for _ in range(ITERATIONS):
            if not len(at):
                break
            x = x1[at] + part[at] * (x2[at] - x1[at])
            f = function(x, at)
            same = np.sign(f) == np.sign(f1[at])
            x3, f3 = np.where(same, x1[at], x2[at]), np.where(same, f1[at], f2[at])
            x2[at], f2[at] = np.where(same, x2[at], x1[at]), np.where(same, f2[at], f1[at])
            x1[at], f1[at] = x, f
            width = np.abs(x2[at] - x)
            nearest = np.where(np.abs(f) < np.abs(f2[at]), x, x2[at])
            least = (2 * EPSILON * np.abs(nearest) + smallest) / width
            part[at] = _part(x, f, x2[at], f2[at], x3, f3, least)
            at = at[(least <= 0.5) & (f != 0)]
    inside = (f1 <= 0) & ~((f2 <= 0) & (np.abs(f2) < np.abs(f1)))
    inner, outer = np.where(inside, x1, x2), np.where(inside, x2, x1)
    return Roots(inner, outer, np.where(np.abs(f1) <= np.abs(f2), x1, x2))


def _part(
    x1: Floats, f1: Floats, x2: Floats, f2: Floats, x3: Floats, f3: Floats, least: Floats
) -> Floats:
    """The part of the way from x1 to x2 at which the next point lies."""
    xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
    is_safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
    guess = f1 / (f2 - f1) * f3 / (f2 - f3)
    guess = guess + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
    part = np.where(is_safe & np.isfinite(guess), guess, 0.5)
    clipped: Floats = np.clip(part, least, np.maximum(1 - least, least))
    return np.where(np.isfinite(clipped), clipped, 0.5)

"""Elementary functions of float64 without branches, tables or calls.

A call of the C library takes one number; a loop over rows that holds these instead becomes, once
they are inlined into it, one over the processor's vectors. Each is good to about one unit in the
last place (tests/engine/kernel/test_elementary.py has the bounds), keeps infinities, NaN and −0,
and rounds to subnormal numbers as the C library does. A float32 is computed in float64.

Sources: Cody and Waite, Software Manual for the Elementary Functions (1980): reduction of the
argument by multiples of a constant that is held in parts; Ng and Sun's fdlibm (1993): log by
2·artanh(f/(2 + f)) with f − f²/2 apart, log1p, expm1, sine and cosine of a sum of two numbers;
Dekker, Numer. Math. 18 (1971) 224, and Muller et al., Handbook of Floating-Point Arithmetic, 2nd
ed., 4.3-5.1: numbers in two parts; Muller, Elementary Functions, 3rd ed., 3.2 (polynomials): those
here interpolate at the Chebyshev nodes of their interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from service.engine.kernel.compiled import inlined
from service.engine.kernel.floats import FUSED, bits, choose, fused, multiply_add, number
from service.engine.kernel.trigonometric import WIDEST, cosine, sine, tangent
from service.engine.kernel.types import Floats

ROUND = 6755399441055744.0
"""1.5·2⁵². Added to a number below 2⁵¹ it rounds that to an integer, which the last bits then
are."""
ROUND_BITS, ONE_BITS, ROOT_HALF_BITS = 0x4338000000000000, 0x3FF0000000000000, 0x3FE6A09E667F3BCD
"""The bits of the number above, of 1 and of √½."""
EXPONENT = -0x0010000000000000
"""The bits of the sign and the exponent."""
SIGN = -0x8000000000000000
"""The bit of the sign."""
SMALLEST_NORMAL, TWO_54 = 2.2250738585072014e-308, 18014398509481984.0
TINY = 5e-17
"""Of an x below it, x² does not show beside x."""

PER_LN2 = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""ln 2; an integer of 20 bits times the first part is exact."""
LN2_LONG, LN2_SHORT = 0.6931471805598903, 5.497923018708371e-14
"""The same for 11 bits, which leaves the second part less to say."""
PER_LN10, PER_LN10_LOW = 0.4342944819032518, 1.098319650216765e-17
TWO_THIRDS, TWO_THIRDS_LOW = 0.6666666666666666, 3.700743415417188e-17
LARGEST_POWER = 800.0
"""e to it is infinite, and to its negative 0."""
HYPERBOLIC = 709.0
"""Beyond it sinh and cosh are left to the C library: e^x is infinite before they are."""


@inlined
def _exp_minus(r: float) -> float:
    """(e^r − 1 − r)/r² for |r| ≤ ln(2)/2, to 2⁻⁶¹ of e^r."""
    q = multiply_add(2.0908487319195553e-09, r, 2.5105217004720745e-08)
    q = multiply_add(q, r, 2.7557294125356095e-07)
    q = multiply_add(q, r, 2.7557255400206422e-06)
    q = multiply_add(q, r, 2.4801587300940927e-05)
    q = multiply_add(q, r, 0.00019841269874820627)
    q = multiply_add(q, r, 0.0013888888888896683)
    q = multiply_add(q, r, 0.008333333333326136)
    q = multiply_add(q, r, 0.041666666666666644)
    q = multiply_add(q, r, 0.1666666666666667)
    return multiply_add(q, r, 0.5)


@inlined
def _exp_of(high: float, low: float) -> float:
    """e^(high + low) of |low| at most a few units in the last place of `high`: 2ᵏ·e^r."""
    high = choose(high > 710.0, 710.0, high)
    high = choose(high < -746.0, -746.0, high)
    rounded = multiply_add(high, PER_LN2, ROUND)
    k = rounded - ROUND
    r = multiply_add(k, -LN2_HIGH, high) + multiply_add(k, -LN2_LOW, low)
    power = 1.0 + multiply_add(r * r, _exp_minus(r), r)
    # 2ᵏ as two factors: it may be no normal number.
    whole = bits(rounded)
    half = whole >> 1
    return power * number((half << 52) + ONE_BITS) * number(((whole - half) << 52) + ONE_BITS)


@inlined
def exp(x: float) -> float:
    """e^x."""
    return _exp_of(np.float64(x), 0.0)


@inlined
def expm1(x: float) -> float:
    """e^x − 1, as twice 2ᵏ⁻¹ − ½ + 2ᵏ⁻¹·(e^r − 1)."""
    x = np.float64(x)
    near = choose(x > 709.9, 709.9, x)
    near = choose(near < -50.0, -50.0, near)
    rounded = multiply_add(near, PER_LN2, ROUND)
    k = rounded - ROUND
    long, rest = multiply_add(k, -LN2_HIGH, near), k * LN2_LOW
    r = long - rest
    r_low = (long - r) - rest
    half = number((bits(rounded) << 52) + (ONE_BITS + EXPONENT))
    first, second = half - 0.5, half * r
    high = first + second
    low = second - (high - first)
    low += half * multiply_add(r * r, _exp_minus(r), r_low)
    found = 2.0 * (high + low)
    return choose(abs(x) < TINY, x, found)


@inlined
def _log_minus(z: float) -> float:
    """(2·artanh(s)/s − 2)/z of z = s² ≤ (3 − 2√2)², to 2⁻⁵⁷ of 2·artanh(s)/s."""
    q = multiply_add(0.14616585424888623, z, 0.15331710618210773)
    q = multiply_add(q, z, 0.18182889455674947)
    q = multiply_add(q, z, 0.22222211130259878)
    q = multiply_add(q, z, 0.2857142862600327)
    q = multiply_add(q, z, 0.39999999999899444)
    return multiply_add(q, z, 0.666666666666667)


@inlined
def _exponent(x: float) -> int:
    """k·2⁵² for x = 2ᵏ·m with m from √½ to √2, of a normal x > 0."""
    return (bits(x) - ROOT_HALF_BITS) & EXPONENT


@inlined
def _as_number(exponent: int) -> float:
    """k as a number, of k·2⁵²."""
    return number((exponent >> 52) + ROUND_BITS) - ROUND


@inlined
def _log_special(x: float, found: float) -> float:
    """A logarithm of x where it is found, else −∞ of 0, NaN of a negative number, x of ∞ or
    NaN."""
    special = choose(x == 0.0, -math.inf, choose(x < 0.0, math.nan, x))
    return choose((x > 0.0) & (x < math.inf), found, special)


@inlined
def log(x: float) -> float:
    """ln x."""
    x = np.float64(x)
    small = x < SMALLEST_NORMAL
    normal = choose(small, x * TWO_54, x)
    exponent = _exponent(normal)
    f = number(bits(normal) - exponent) - 1.0
    k = _as_number(exponent) - choose(small, 54.0, 0.0)
    s = f / (2.0 + f)
    z, h = s * s, 0.5 * f * f
    rest = multiply_add(s, multiply_add(z, _log_minus(z), h), k * LN2_LOW)
    return _log_special(x, multiply_add(k, LN2_HIGH, f - (h - rest)))


@inlined
def _log_beside_1(x: float, u: float) -> float:
    """ln(1 + x) of a finite u > 0 that is 1 + x rounded: of u + c, which it is exactly."""
    c = (1.0 - (u - (u - 1.0))) + (x - (u - 1.0))
    exponent = _exponent(u)
    k = _as_number(exponent)
    near = exponent == 0
    f = choose(near, x, number(bits(u) - exponent) - 1.0)
    low = choose(near | (x > 1e17), 0.0, c * number(ONE_BITS - exponent))
    s = f / (2.0 + f)
    z, h = s * s, 0.5 * f * f
    # low/(1 + f), and (1 − s)/(1 + s) is 1/(1 + f).
    rest = multiply_add(k, LN2_LOW, low * (1.0 - 2.0 * s * (1.0 - s)))
    rest = multiply_add(s, multiply_add(z, _log_minus(z), h), rest)
    return multiply_add(k, LN2_HIGH, f - (h - rest))


@inlined
def log1p(x: float) -> float:
    """ln(1 + x)."""
    x = np.float64(x)
    u = 1.0 + x
    return choose(abs(x) < TINY, x, _log_special(u, _log_beside_1(x, u)))


@inlined
def _log_in_parts(x: float, below: float) -> tuple[float, float]:
    """ln(x/2^below) as a sum of two, to 2⁻⁶⁴, of a finite normal x > 0."""
    exponent = _exponent(x)
    f = number(bits(x) - exponent) - 1.0
    k = _as_number(exponent) - below
    # s = f/(2 + f)
    d = 2.0 + f
    d_low = f - (d - 2.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = (fused(-s, d, f) - s * d_low) * inverse
    # c = ⅔ + ⅖·s² + …, to 2⁻⁶⁶ of s²·c beside 2
    z = s * s
    square = z * z
    q = multiply_add(0.11723178623876518, z, 0.11706236339491206)
    q = multiply_add(q, square, multiply_add(0.1333480469384731, z, 0.1538459496251843))
    p = multiply_add(0.18181818335392802, z, 0.22222222221655885)
    p = multiply_add(p, square, multiply_add(0.28571428571429364, z, 0.4))
    q = z * multiply_add(q, square * square, p)
    c = TWO_THIRDS + q
    c_low = (TWO_THIRDS - c) + q + TWO_THIRDS_LOW
    # 2s + s³·c
    z_low = multiply_add(2.0 * s, s_low, fused(s, s, -z))
    cube = z * s
    cube_low = multiply_add(z, s_low, multiply_add(z_low, s, fused(z, s, -cube)))
    term = cube * c
    term_low = multiply_add(cube, c_low, multiply_add(cube_low, c, fused(cube, c, -term)))
    high = 2.0 * s + term
    low = (2.0 * s - high) + term + multiply_add(2.0, s_low, term_low)
    # k·ln 2
    whole = k * LN2_LONG
    total = whole + high
    return total, (whole - total) + high + multiply_add(k, LN2_SHORT, low)


@inlined
def log10(x: float) -> float:
    """The logarithm to base 10."""
    x = np.float64(x)
    if not FUSED:
        return math.log10(x)
    small = x < SMALLEST_NORMAL
    high, low = _log_in_parts(choose(small, x * TWO_54, x), choose(small, 54.0, 0.0))
    found = high * PER_LN10
    rest = multiply_add(low, PER_LN10, high * PER_LN10_LOW) + fused(high, PER_LN10, -found)
    return _log_special(x, found + rest)


@inlined
def _power(x: float, y: float) -> float:
    """x^y of a finite normal x > 0 and a finite y."""
    high, low = _log_in_parts(x, 0.0)
    product = y * high
    rest = multiply_add(y, low, fused(y, high, -product))
    return _exp_of(product, choose(abs(product) < LARGEST_POWER, rest, 0.0))


@inlined
def sigmoid(x: float) -> float:
    """1/(1 + e^−x)."""
    x = np.float64(x)
    e = exp(-abs(x))
    return choose(x >= 0.0, 1.0, e) / (1.0 + e)


@inlined
def softplus(x: float) -> float:
    """ln(1 + e^x)."""
    x = np.float64(x)
    e = exp(-abs(x))
    return choose(x > 0.0, x, 0.0) + _log_beside_1(e, 1.0 + e)


@inlined
def tanh(x: float) -> float:
    """t/(2 + t) = 1 − 2/(2 + t) of t = e^2|x| − 1, with x's sign."""
    x = np.float64(x)
    t = expm1(2.0 * abs(x))
    near = t < 2.0
    q = choose(near, t, 2.0) / (2.0 + t)
    return number(bits(choose(near, q, 1.0 - q)) ^ (bits(x) & SIGN))


@inlined
def _sinh(x: float) -> float:
    """(t + t/(1 + t))/2 of t = e^|x| − 1, with x's sign."""
    t = expm1(abs(x))
    return number(bits(0.5 * (t + t / (1.0 + t))) ^ (bits(x) & SIGN))


@inlined
def _cosh(x: float) -> float:
    """(e^|x| + e^−|x|)/2."""
    e = exp(abs(x))
    return 0.5 * e + 0.5 / e


@inlined
def _mend_powers(x: Floats, y: Floats, out: Floats, n: int) -> None:
    """Where `out` is |x|^y of ordinary numbers, gives it the sign for x < 0; elsewhere it is the C
    library's."""
    for i in range(n):
        base, exponent = np.float64(x[i]), np.float64(y[i])
        if not (SMALLEST_NORMAL <= abs(base) < math.inf and abs(exponent) < math.inf):
            out[i] = base**exponent
        elif base < 0.0:
            if np.floor(exponent) != exponent:
                out[i] = math.nan
            elif 2.0 * np.floor(0.5 * exponent) != exponent:
                out[i] = -out[i]


@inlined
def power_rows(x: Floats, y: Floats, out: Floats, n: int) -> None:
    """x^y row by row."""
    if not FUSED:
        for i in range(n):
            out[i] = np.float64(x[i]) ** np.float64(y[i])
        return
    ordinary = True
    for i in range(n):
        base: float = np.float64(x[i])
        exponent: float = np.float64(y[i])
        ordinary &= (base >= SMALLEST_NORMAL) & (base < math.inf) & (abs(exponent) < math.inf)
        out[i] = _power(abs(base), exponent)
    if not ordinary:
        _mend_powers(x, y, out, n)


def _rows(
    near: Callable[[float], float], far: Callable[[float], float], widest: float
) -> Callable[[Floats, Floats, int], None]:
    """A function row by row: `near` for |x| ≤ widest, `far` for others."""

    @inlined
    def rows(x: Floats, out: Floats, n: int) -> None:
        ordinary = True
        for i in range(n):
            value: float = np.float64(x[i])
            ordinary &= abs(value) <= widest
            out[i] = near(value)
        if not ordinary:
            for i in range(n):
                value = np.float64(x[i])
                if not abs(value) <= widest:
                    out[i] = far(value)

    return rows


sin_rows = _rows(sine, math.sin, WIDEST) if FUSED else _rows(math.sin, math.sin, math.inf)
cos_rows = _rows(cosine, math.cos, WIDEST) if FUSED else _rows(math.cos, math.cos, math.inf)
tan_rows = _rows(tangent, math.tan, WIDEST) if FUSED else _rows(math.tan, math.tan, math.inf)
sinh_rows = _rows(_sinh, math.sinh, HYPERBOLIC)
cosh_rows = _rows(_cosh, math.cosh, HYPERBOLIC)

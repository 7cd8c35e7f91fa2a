"""The kernel's own elementary functions against mpmath, in units in the last place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from service.engine.kernel.elementary import HYPERBOLIC
from service.engine.kernel.trigonometric import WIDEST
from service.engine.kernel.types import Floats
from tests.engine.kernel.blocks import evaluated

MANY = 3000
EDGES = [
    0.0, 5e-324, 1e-310, 2.2e-308, 1e-300, 1e-20, 1e-17, 1e-8, 0.25, 0.3465, 0.3466, 0.5, 0.7071,
    0.7072, 1 - 2**-53, 1.0, 1 + 2**-52, 1.0397, 1.04, 1.4142, 1.4143, 2.0, 3.0, 22.0, 36.7, 36.8,
    709.0, 709.78, 709.79, 710.0, 710.47, 710.48, 744.0, 745.1, 745.2, 746.0, 999_999.0, 1e6, 1.1e6,
    1e16, 1e17, 2.0**53, 1e22, 1e300, 1.7976931348623157e308,
]  # fmt: skip


def sizes(random: np.random.Generator, low: float, high: float) -> Floats:
    """Numbers of all sizes between two."""
    return np.exp(random.uniform(math.log(low), math.log(high), MANY))


def spread(low: float, high: float, *, least: float = 1e-320) -> Floats:
    """Numbers in a range, evenly and of all sizes, with the edges that lie in it."""
    random = np.random.default_rng(5)
    edges = np.array([sign * edge for edge in EDGES for sign in (1, -1)])
    small = sizes(random, least, max(abs(low), high))
    every = [random.uniform(low, high, MANY), random.uniform(-2, 2, MANY), small, -small, edges]
    found = np.concatenate(every)
    return found[(found >= low) & (found <= high)]


def quarters() -> Floats:
    """Where sine, cosine and the quadrant change, and their neighbours."""
    exact = [float(k * mpmath.pi / 4) for k in (*range(-20, 20), *range(10**6 - 200, 10**6))]
    near = np.array(exact)
    return np.concatenate([near, np.nextafter(near, 0.0), np.nextafter(near, math.inf)])


ANGLES = [spread(-WIDEST, WIDEST), spread(-7.0, 7.0), quarters()]
POSITIVE = [spread(5e-324, 1.7e308), 1 + 0.1 * spread(-1.0, 1.0, least=1e-15)]
CASES: dict[str, tuple[Callable[[Any], Any], float, list[Floats]]] = {
    "exp": (mpmath.exp, 1.0, [spread(-750.0, 720.0)]),
    "expm1": (mpmath.expm1, 1.1, [spread(-750.0, 720.0), spread(-2.0, 2.0)]),
    "log": (mpmath.log, 0.9, POSITIVE),
    "log10": (mpmath.log10, 0.51, POSITIVE),
    "log1p": (mpmath.log1p, 0.9, [spread(-1 + 2**-53, 1.7e308), spread(-0.9, 3.0)]),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), 2.5, [spread(-750.0, 50.0)]),
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), 1.7, [spread(-750.0, 750.0)]),
    "tanh": (mpmath.tanh, 2.5, [spread(-30.0, 30.0), spread(-1.0, 1.0)]),
    "sinh": (mpmath.sinh, 2.2, [spread(-HYPERBOLIC, HYPERBOLIC), spread(-1.0, 1.0)]),
    "cosh": (mpmath.cosh, 1.8, [spread(-HYPERBOLIC, HYPERBOLIC)]),
    "sin": (mpmath.sin, 0.8, ANGLES),
    "cos": (mpmath.cos, 0.8, ANGLES),
    "tan": (mpmath.tan, 2.4, ANGLES),
}
"""Of each function: its meaning, the units in the last place that it may be off, and where."""


def off(found: Floats, exact: list[Any]) -> Floats:
    """By how many units in the last place of the exact value each number is off."""
    errors = []
    for number, value in zip(found.tolist(), exact, strict=True):
        nearest = found.dtype.type(float(value))
        if number == nearest:
            errors.append(0.0)
        else:
            unit = np.spacing(abs(nearest)) if np.isfinite(nearest) else 0.0
            errors.append(float(abs(number - value) / float(unit)) if unit else math.inf)
    return np.array(errors)


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workprec(160):
        yield


@pytest.mark.parametrize("name", CASES)
def test_a_function_is_off_by_little(name: str) -> None:
    meaning, bound, points = CASES[name]
    x = np.concatenate(points)
    errors = off(evaluated(name, x), [meaning(mpmath.mpf(each)) for each in x.tolist()])
    worst = int(errors.argmax())
    assert errors[worst] <= bound, x[worst]


@pytest.mark.parametrize("name", CASES)
def test_a_function_of_float32_is_rounded_from_float64(name: str) -> None:
    meaning, _, points = CASES[name]
    with np.errstate(over="ignore"):
        x = np.concatenate(points)[::3].astype(np.float32)
    x = x[np.isfinite(x) & ~((name == "log1p") & (x <= -1))]
    if name.startswith("log") and name != "log1p":
        x = x[x > 0]
    with np.errstate(over="ignore"):
        errors = off(evaluated(name, x), [meaning(mpmath.mpf(each)) for each in x.tolist()])
    worst = int(errors.argmax())
    assert errors[worst] <= 0.501, x[worst]


def powers() -> tuple[Floats, Floats]:
    """Bases and exponents whose powers are of all sizes, and ordinary ones."""
    random = np.random.default_rng(6)
    logs = random.uniform(-746.0, 711.0, 3 * MANY)
    close = 1 + sizes(random, 1e-15, 0.4) * random.choice([1.0, -1.0], MANY)
    wide = np.concatenate([sizes(random, 1e-307, 1e308), sizes(random, 0.5, 2.0), close])
    usual = random.uniform(0.01, 20.0, MANY)
    negative, whole = -sizes(random, 1e-30, 1e30), random.integers(-9, 10, MANY).astype(float)
    return (
        np.concatenate([wide, usual, negative]),
        np.concatenate([logs / np.log(wide), random.uniform(-5.0, 5.0, MANY), whole]),
    )


def test_a_power_is_off_by_little() -> None:
    x, y = powers()
    exact = [mpmath.mpf(a) ** mpmath.mpf(b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    errors = off(evaluated("power", x, y), exact)
    worst = int(errors.argmax())
    assert errors[worst] <= 1.2, (x[worst], y[worst])


def test_a_power_of_float32_is_rounded_from_float64() -> None:
    with np.errstate(over="ignore", under="ignore"):
        x, y = (each.astype(np.float32) for each in powers())
    kept = np.isfinite(x) & (x != 0)
    x, y = x[kept], y[kept]
    exact = [mpmath.mpf(a) ** mpmath.mpf(b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    with np.errstate(over="ignore"):
        errors = off(evaluated("power", x, y), exact)
    worst = int(errors.argmax())
    assert errors[worst] <= 0.501, (x[worst], y[worst])


def test_powers_of_special_numbers_are_those_of_the_c_library() -> None:
    """NumPy's for float64, which are C's: zeros with their signs, infinities, NaN, whole exponents
    of negative bases, and bases that are subnormal."""
    special = np.array([
        0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1.5,
        5e-324, -5e-324, 1e-310, 1.7e308, -1.7e308, 2.0**53, 2.0**53 + 2, -(2.0**53) - 1, 1e300,
        -1e300, 1 - 2**-53,
    ])  # fmt: skip
    x, y = (each.ravel() for each in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    found = evaluated("power", x, y)
    np.testing.assert_allclose(found, expected, rtol=2.3e-16, atol=5e-324)
    assert (np.signbit(found) == np.signbit(expected))[~np.isnan(expected)].all()


def test_a_row_does_not_depend_on_its_block() -> None:
    """A number that is left to the C library changes none beside it, nor does its place."""
    x = np.random.default_rng(7).uniform(0.1, 9.0, 61)
    for name in (*CASES, "power"):
        arguments = (x, x[::-1].copy()) if name == "power" else (x,)
        alone = evaluated(name, *arguments)
        for odd in (math.nan, -1e7, math.inf, 0.0):
            mixed = [np.insert(each, 30, odd) for each in arguments]
            together = np.delete(evaluated(name, *mixed), 30)
            np.testing.assert_array_equal(together, alone)
        parts = [evaluated(name, *(each[i : i + 3] for each in arguments)) for i in range(0, 61, 3)]
        np.testing.assert_array_equal(np.concatenate(parts), alone)

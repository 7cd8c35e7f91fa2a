"""The five curves of an ordinary day: as formulas, as functions for SciPy, and data sets of each.

Every data set has a truth and noise of its own. The start is one for all of a family, as somebody
would give it who has seen one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

ROWS = 50
NOISE = 0.02
"""Its standard deviation, as a share of the curve's range."""
AGREED = 0.01
"""Standard errors by which two fits may differ: a tolerance of 1e-8 of the loss is 1e-4."""

Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Family:
    """A curve."""

    formula: str
    function: Callable[..., Floats]
    """The same for SciPy: of x and the params in the order of `start`."""
    x: Floats
    start: Mapping[str, float]
    truths: Sequence[Bounds]
    """Where each param of a truth is drawn from."""
    normal: Callable[[Floats], Floats] = lambda params: params
    """Of all params that mean the same curve, the ones to compare."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """One to be fitted."""

    family: Family
    truth: Floats
    y: Floats

    def asked(self, params: Mapping[str, float]) -> dict[str, Any]:
        """The body of POST /fit, with those initial values."""
        data = {"x": self.family.x.tolist(), "y": self.y.tolist()}
        asked: dict[str, Any] = {"model": self.family.formula, "data": data}
        return {**asked, "params": dict(params)} if params else asked

    def by_scipy(self, start: Sequence[float]) -> tuple[Floats, Floats]:
        """Params and their covariance by `curve_fit`, as it comes."""
        from scipy.optimize import curve_fit

        values, covariance = curve_fit(self.family.function, self.family.x, self.y, p0=start)
        return values, covariance

    def params(self, answer: bytes) -> Floats:
        """Of an answer to POST /fit, in the order of the start."""
        params = json.loads(answer)["params"]
        return np.array([params[name] for name in self.family.start])

    def check(self, found: Floats, scipy: tuple[Floats, Floats]) -> None:
        """Both must have come to the same curve."""
        normal = self.family.normal
        apart = np.abs(normal(found) - normal(scipy[0])) / np.sqrt(np.diag(scipy[1]))
        if not apart.max() <= AGREED:
            raise RuntimeError(
                f"{self.family.formula}: {found} is not SciPy's {scipy[0]}, "
                f"{apart.max():.2g} standard errors apart"
            )


def data_set(name: str, seed: int) -> DataSet:
    """One of a family; each seed has its own."""
    family = FAMILIES[name]
    rng = np.random.default_rng([crc32(name.encode()), seed])
    truth = np.array([rng.uniform(*bounds) for bounds in family.truths])
    curve = family.function(family.x, *truth)
    return DataSet(family, truth, curve + NOISE * np.ptp(curve) * rng.standard_normal(ROWS))


def _decay(x: Floats, a: float, k: float, c: float) -> Floats:
    return np.asarray(a * np.exp(-k * x) + c)


def _gaussian(x: Floats, a: float, mu: float, sigma: float, c: float) -> Floats:
    return np.asarray(a * np.exp(-0.5 * ((x - mu) / sigma) ** 2) + c)


def _logistic4(x: Floats, c: float, d: float, e: float, b: float) -> Floats:
    return np.asarray(c + (d - c) / (1 + (x / e) ** b))


def _michaelis_menten(x: Floats, vmax: float, km: float) -> Floats:
    return np.asarray(vmax * x / (km + x))


def _sine(x: Floats, a: float, f: float, phi: float, c: float) -> Floats:
    return np.asarray(a * np.sin(2 * pi * f * x + phi) + c)


def _width_above_zero(params: Floats) -> Floats:
    a, mu, sigma, c = params
    return np.array([a, mu, abs(sigma), c])


def _rising_exponent(params: Floats) -> Floats:
    """Both plateaus may change places."""
    c, d, e, b = params
    return np.array([c, d, e, b] if b > 0 else [d, c, e, -b])


_RATE = (ROWS - 1) / 10
"""Rows to a unit of the sine's x."""


def _first_phase(params: Floats) -> Floats:
    """f > 0, a > 0 and phi in [-π, π). On rows that are even from 0, f and f plus the rate of the
    rows are the same curve."""
    a, f, phi, c = params
    f = (f + _RATE / 2) % _RATE - _RATE / 2
    if f < 0:
        a, f, phi = -a, -f, -phi
    if a < 0:
        a, phi = -a, phi + pi
    return np.array([a, f, (phi + pi) % (2 * pi) - pi, c])


FAMILIES: Mapping[str, Family] = {
    "decay": Family(
        "y = a * exp(-k * x) + c",
        _decay,
        np.linspace(0, 5, ROWS),
        {"a": 2.0, "k": 1.0, "c": 0.0},
        [(1, 4), (0.5, 2), (0, 1)],
    ),
    "Gaussian": Family(
        "y = a * exp(-0.5 * ((x - mu) / sigma)**2) + c",
        _gaussian,
        np.linspace(0, 10, ROWS),
        {"a": 4.0, "mu": 5.0, "sigma": 1.0, "c": 0.0},
        [(3, 6), (3.5, 6.5), (0.8, 1.6), (0.2, 1)],
        _width_above_zero,
    ),
    "logistic4": Family(
        "y = c + (d - c) / (1 + (x / e)**b)",
        _logistic4,
        np.logspace(-2, 2, ROWS),
        {"c": 0.0, "d": 3.0, "e": 1.0, "b": 1.0},
        [(0, 0.5), (2, 4), (0.6, 1.6), (0.8, 1.6)],
        _rising_exponent,
    ),
    "Michaelis-Menten": Family(
        "y = Vmax * x / (Km + x)",
        _michaelis_menten,
        np.linspace(0.2, 10, ROWS),
        {"Vmax": 2.0, "Km": 1.0},
        [(1, 4), (0.5, 3)],
    ),
    "sine": Family(
        "y = a * sin(2 * pi * f * x + phi) + c",
        _sine,
        np.arange(ROWS) / _RATE,
        {"a": 1.0, "f": 0.5, "phi": 0.0, "c": 0.0},
        [(1, 2), (0.48, 0.52), (-0.8, 0.8), (-1, 1)],
        _first_phase,
    ),
}

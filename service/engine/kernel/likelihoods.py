"""The likelihoods of counts: the deviance of one row, and the variance of its target.

The formulas are those of `catalogue.likelihoods`, which has their sources. They have numbers like
the losses, after these. The rows of [J z] of a likelihood are divided by √V(μ), so that a step of
Levenberg-Marquardt is one of Fisher scoring; it is judged by the deviance (Laurence and Chromy,
Nature Methods 7 (2010) 338).
"""

from __future__ import annotations

import math

from service.engine.kernel.compiled import compiled
from service.engine.kernel.losses import NAMES as LOSSES
from service.engine.kernel.types import Floats

NAMES = ("poisson", "binomial")
POISSON, BINOMIAL = range(len(LOSSES), len(LOSSES) + len(NAMES))
"""Every number from `POISSON` on is that of a likelihood."""


@compiled
def _part(y: float, mu: float) -> float:
    """y·ln(y/μ) + μ − y, without its cancellation (Loader 2000)."""
    if not mu >= 0.0:
        return math.nan
    if y == 0.0:
        return mu
    if abs(y - mu) < 0.1 * (y + mu):
        ratio = (y - mu) / (y + mu)
        square, series = ratio * ratio, 0.0
        for term in range(8, 0, -1):
            series = (series + 1.0 / (2 * term + 1)) * square
        return (y - mu) * ratio + 2.0 * y * ratio * series
    return y * math.log(y / mu) + mu - y if mu > 0.0 else math.inf


@compiled
def deviance(likelihood: int, y: float, mu: float) -> float:
    """d(y, μ); NaN outside the domain of the mean."""
    if likelihood == POISSON:
        return 2.0 * _part(y, mu)
    return 2.0 * (_part(y, mu) + _part(1.0 - y, 1.0 - mu))


@compiled
def precision(likelihood: int, y: float, mu: float) -> float:
    """1/V(μ). Where the variance is 0 a row whose target is its mean has no weight; NaN outside the
    domain."""
    variance = mu if likelihood == POISSON else mu * (1.0 - mu)
    if variance > 0.0:
        return 1.0 / variance
    return 0.0 if variance == 0.0 and y == mu else math.nan


@compiled
def deviances(
    likelihood: int, predictions: Floats, target: Floats, sigma: Floats, at: int, count: int
) -> float:
    """Σd/σ² of the block of `count` rows from `at` on, of which the predictions are given."""
    total = 0.0
    for i in range(count):
        found = deviance(likelihood, float(target[at + i]), float(predictions[i]))
        if len(sigma):
            spread = float(sigma[at + i])
            found /= spread * spread
        total += found
    return total


@compiled
def standardise(
    likelihood: int, predictions: Floats, target: Floats, at: int, count: int, columns: Floats,
    filled: int,
) -> None:  # fmt: skip
    """Divides the rows of [J z] that are held from `filled` on by √V."""
    for i in range(count):
        share = precision(likelihood, float(target[at + i]), float(predictions[i]))
        root = math.sqrt(share)
        for j in range(columns.shape[0]):
            columns[j, filled + i] *= root


@compiled
def pull(
    likelihood: int, predictions: Floats, target: Floats, at: int, count: int, apart: Floats,
    rows: int,
) -> None:  # fmt: skip
    """Multiplies (μ − y)/σ of a block's rows, in `apart`, by 2/V/n: ψ·σ/n, ψ the slope of the
    deviance by the prediction."""
    real = apart.dtype.type
    for i in range(count):
        share = precision(likelihood, float(target[at + i]), float(predictions[i]))
        apart[i] = real(float(apart[i]) * 2.0 * share / rows)

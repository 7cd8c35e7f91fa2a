"""Standard errors, biases and intervals from draws.

percentile:  the quantiles of the draws at (1 ∓ level)/2;
bca:         those at Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))), z₀ from the share of draws below the
             estimate, a the acceleration (see `schemes.Base.acceleration`).

A quantile p of n draws is the (n + 1)p-th in order, between two of them by interpolation.
Sources: Efron, J. Am. Stat. Assoc. 82 (1987) 171; DiCiccio and Efron, Statistical Science 11 (1996)
189.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import torch

from service.engine.kernel.types import Floats, Ints
from service.engine.resampling.philox import normal

Interval = Literal["percentile", "bca"]
FEWEST = 20
"""Draws below which there is no interval."""


@dataclass(frozen=True, eq=False)
class DrawFigures:
    """What draws of m quantities of fits give, (fits, m) each; NaN where there is nothing."""

    lower: Floats
    upper: Floats
    stderr: Floats
    bias: Floats
    """The mean of the draws less the estimate."""
    used: Ints
    """Number of draws that have a value."""


def draw_figures(
    draws: Floats, estimate: Floats, level: float, interval: Interval, acceleration: Floats
) -> DrawFigures:
    """draws (fits, replicates, m), NaN where there is none; the estimates and the accelerations are
    (fits, m)."""
    draws = np.where(np.isfinite(draws), draws, np.nan)
    order = np.sort(draws, axis=1)  # NaN last
    used = np.isfinite(order).sum(axis=1)
    with np.errstate(all="ignore"):
        filled = np.where(np.isnan(order), 0.0, order)
        mean = filled.sum(axis=1) / used
        apart = np.where(np.isnan(order), 0.0, order - mean[:, None])
        stderr = np.sqrt((apart**2).sum(axis=1) / (used - 1))
        z = NormalDist().inv_cdf(0.5 + level / 2)
        ends = []
        for sign in (-1.0, 1.0):
            part = np.full(used.shape, 0.5 + sign * level / 2)
            if interval == "bca":
                below = (order < estimate[:, None]).sum(axis=1)
                below = below + 0.5 * (order == estimate[:, None]).sum(axis=1)
                shift = normal(below / used)
                along = shift + sign * z
                aim = shift + along / (1 - acceleration * along)
                part = torch.special.ndtr(torch.from_numpy(aim)).numpy()
            ends.append(_quantile(order, used, part))
    few = used < FEWEST
    for column in (*ends, stderr):
        column[few] = np.nan
    bias = np.where(used > 0, mean - estimate, np.nan)
    return DrawFigures(ends[0], ends[1], stderr, bias, used)


def _quantile(order: Floats, used: Ints, part: Floats) -> Floats:
    """Quantiles of sorted draws, (fits, m); NaN for a part that is NaN."""
    at = np.clip((used + 1) * np.nan_to_num(part), 1, np.maximum(used, 1)) - 1
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(used - 1, 0))
    ends = [np.take_along_axis(order, each[:, None], axis=1)[:, 0] for each in (low, high)]
    found: Floats = ends[0] + (at - low) * (ends[1] - ends[0])
    found[np.isnan(part)] = np.nan
    return found

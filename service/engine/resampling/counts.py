"""Counts drawn from their likelihood: one number between 0 and 1 gives one count, by the inverse of
its distribution, so that the counts of a replicate depend on their places alone.

The probabilities of a row are tabulated once, since its mean is the same in all replicates. Where
the variance is large, the quantile is that of Cornish and Fisher to the skewness, rounded:
Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.49.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from service.catalogue.likelihoods import Likelihood
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.resampling.philox import normal

LARGE = 400.0
"""Variance above which the counts of a row are not tabulated."""
WIDE = 10.0
"""Standard deviations on either side of the mean that a table has,"""
BEYOND = 20
"""and the counts beyond them."""
MOST = 2**22
"""Most entries of all tables."""


@dataclass(frozen=True, eq=False)
class Counts:
    """The distributions of the counts of rows."""

    mean: Floats
    """(rows,)"""
    most: Floats
    """The largest count of each row, (rows,): of trials their number, else infinite."""
    is_tabulated: Bools
    """(rows,)"""
    low: Ints
    """The first count in the table of each row, (rows,)."""
    first: Ints
    """Where that table begins, (rows,)."""
    table: Floats
    """The distribution functions of the rows, each plus its row, so that all are in order."""

    @classmethod
    def of(cls, likelihood: Likelihood, mean: Floats, weight: Floats) -> Counts:
        """Of rows with these means and weights, an exposure or a number of trials."""
        own = mean * weight
        most = weight if likelihood.upper is not None else np.full_like(own, np.inf)
        spread = np.sqrt(np.maximum(_variance(own, most), 0.0))
        low = np.maximum(np.floor(own - WIDE * spread) - BEYOND, 0.0)
        high = np.minimum(np.ceil(own + WIDE * spread) + BEYOND, most)
        sizes = (high - low + 1) * (np.square(spread) <= LARGE)
        sizes = np.where(np.cumsum(sizes) <= MOST, np.nan_to_num(sizes), 0.0).astype(np.int64)
        chosen = sizes > 0
        row = np.repeat(np.arange(len(own)), sizes)
        first = np.cumsum(sizes) - sizes
        start = np.where(chosen, np.nan_to_num(low), 0.0).astype(np.int64)
        count = start[row] + np.arange(len(row)) - first[row]
        total = np.cumsum(_probability(count.astype(np.float64), own[row], most[row]))
        before = np.concatenate([[0.0], total])[first]
        share = (total - before[row]) / (np.concatenate([[0.0], total])[first + sizes] - before)[
            row
        ]
        return cls(own, most, chosen, start, first, row + np.clip(share, 0.0, 1.0))

    def drawn(self, rows: Ints, numbers: Floats) -> Floats:
        """A count of each of those rows, by numbers between 0 and 1."""
        found = np.searchsorted(self.table, rows + numbers) - self.first[rows] + self.low[rows]
        mean, most, z = self.mean[rows], self.most[rows], normal(numbers)
        skew = (1 - 2 * mean / most) * (z**2 - 1) / 6
        far = np.floor(mean + np.sqrt(_variance(mean, most)) * z + skew + 0.5)
        counts = np.where(self.is_tabulated[rows], found, np.clip(far, 0.0, most))
        made: Floats = counts.astype(np.float64)
        return made


def _variance(mean: Floats, most: Floats) -> Floats:
    found: Floats = mean * (1 - mean / most)
    return found


def _probability(count: Floats, mean: Floats, most: Floats) -> Floats:
    """Of counts of events, or of successes of `most` trials."""
    k, m, n = (torch.from_numpy(np.ascontiguousarray(each)) for each in (count, mean, most))
    is_trials = torch.isfinite(n)
    n = torch.where(is_trials, n, k)
    share = torch.where(is_trials, m / n.clamp(min=1.0), 0.0)
    trials = (n + 1).lgamma() - (k + 1).lgamma() - (n - k + 1).lgamma()
    trials = trials + torch.xlogy(k, share) + torch.xlogy(n - k, 1 - share)
    events = torch.xlogy(k, m) - m - (k + 1).lgamma()
    found: Floats = torch.where(is_trials, trials, events).exp().numpy()
    return found

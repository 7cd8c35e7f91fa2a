"""Comparison of models of the same target on the same rows: criteria, weights and tests.

RSS is Σ(residual/σ)², k the number of free params, σ counted where it is estimated.
Sources: Burnham and Anderson, Model Selection and Multimodel Inference (2002), 2.2 and 2.9; Seber
and Wild, Nonlinear Regression (1989), 2.1.4 and 5.7; R's logLik.nls, anova.nls; drc's modelFit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.engine.inference.distributions import chi_squared_tail, f_tail
from service.engine.kernel.types import Bools, Floats, Ints

Criterion = Literal["aic", "aicc", "bic"]
LARGER = 1e-9
"""The relative excess of a larger model's RSS over that of one nested in it, above which it is no
rounding error: the larger model's fit failed."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What the likelihood needs of σ: Σ log σ over the rows, 0 for counts, and whether it is
    known."""

    log_sigma: Floats
    """(groups,)"""
    known: bool = False
    saturated: Floats | None = None
    """Of a likelihood of counts, the log-likelihood if the means were the targets, (groups,)."""


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """Log-likelihoods and criteria, (models, groups); NaN where a value does not exist."""

    k: Ints
    """(models, 1)"""
    log_likelihood: Floats
    aic: Floats
    aicc: Floats
    bic: Floats

    def by(self, criterion: Criterion) -> Floats:
        """The values of one criterion."""
        values = {"aic": self.aic, "aicc": self.aicc, "bic": self.bic}
        return values[criterion]


def likelihoods(rss: Floats, n: Ints, free: Ints, noise: Noise) -> Likelihoods:
    """Of the Gaussian: ℓ = −n/2·(log(2π·RSS/n) + 1) − Σ log σ, or, where σ is known,
    ℓ = −RSS/2 − n/2·log 2π − Σ log σ; of counts, whose deviance is in the place of the RSS,
    ℓ = ℓ_saturated − deviance/2; AIC = 2k − 2ℓ, AICc = AIC + 2k(k + 1)/(n − k − 1),
    BIC = k·log n − 2ℓ.

    rss: (models, groups); n: rows, (groups,); free: free params, (models,).
    """
    k = (free + (not noise.known)).reshape(-1, 1)
    with np.errstate(all="ignore"):
        if noise.saturated is not None:
            fit = noise.saturated - 0.5 * rss
        elif noise.known:
            fit = -0.5 * rss - 0.5 * n * math.log(2 * math.pi)
        else:
            fit = -0.5 * n * (np.log(2 * math.pi * rss / n) + 1)
        found = fit - noise.log_sigma
        found = np.where(np.isfinite(found), found, np.nan)
        aic = 2 * k - 2 * found
        left = n - k - 1
        aicc = np.where(left > 0, aic + 2 * k * (k + 1) / np.where(left > 0, left, 1), np.nan)
        bic = k * np.log(n) - 2 * found
    return Likelihoods(k, found, aic, aicc, bic)


def of_criteria(aic: Floats, bic: Floats, n: Ints) -> Likelihoods:
    """The same of fits whose AIC and BIC are known, (models, 1), each by a noise of its own:
    k = (BIC − AIC)/(log n − 2) and ℓ = k − AIC/2."""
    with np.errstate(all="ignore"):
        k = np.nan_to_num(np.rint((bic - aic) / (np.log(n) - 2))).astype(np.int64)
        left = n - k - 1
        aicc = np.where(left > 0, aic + 2 * k * (k + 1) / np.where(left > 0, left, 1), np.nan)
    return Likelihoods(k, k - aic / 2, aic, aicc, bic)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The order of models in each group; every array is (models, groups)."""

    order: Ints
    """The models from the first to the last."""
    rank: Ints
    """1 for the first; 0 for a model that is not ranked."""
    delta: Floats
    """The criterion less that of the first; NaN without a criterion or a first."""
    weight: Floats
    """exp(−Δ/2) over its sum; NaN for a model that is not ranked."""


def ranking(values: Floats, may_lead: Bools, failed: Bools, ties: Sequence[Ints]) -> Ranking:
    """Ranks models by a criterion, (models, groups). Not ranked are those without it, those whose
    fit failed, and those that would be before the first without leave to lead.

    −∞ is the value of a model without residuals. Where it leads there are no differences and no
    weights, and the models with this value are ordered by the ties.

    ties: keys that order models of equal values, the first key first; (models,) each.
    """
    known = values < np.inf
    first = np.where(known & may_lead & ~failed, values, np.inf).min(axis=0, initial=np.inf)
    ranked = known & ~failed & (first < np.inf) & (values >= first)
    place = np.where(ranked, 0, np.where(known, 1, 2))
    sort = np.where(known, values, np.inf)
    keys = [np.broadcast_to(key.reshape(-1, 1), values.shape) for key in reversed(ties)]
    order = np.lexsort((*keys, ~may_lead, sort, place), axis=0)
    rank = np.empty_like(order)
    places = np.broadcast_to(np.arange(1, len(values) + 1).reshape(-1, 1), order.shape)
    np.put_along_axis(rank, order, places, axis=0)
    with np.errstate(all="ignore"):
        compared = ranked & np.isfinite(first)
        delta = np.where(known & np.isfinite(first), values - first, np.nan)
        weight = np.where(compared, np.exp(-0.5 * delta), 0.0)
        weight = np.where(compared, weight / weight.sum(axis=0), np.nan)
    return Ranking(order, np.where(ranked, rank, 0), delta, weight)


@dataclass(frozen=True, slots=True)
class Test:
    """A test statistic with its degrees of freedom and p; or the reason why there is none."""

    statistic: float | None = None
    df1: int | None = None
    df2: int | None = None
    """None for a likelihood ratio."""
    p: float | None = None
    reason: str | None = None
    failed: bool = False
    """Whether the larger model's fit failed: it is worse than the smaller one's."""


LOWER = 1e-6
"""By how much the log-likelihood of a larger model may be lower than that of one nested in it."""
UNLIKELY = (
    "the larger model is less likely than the one nested in it: with a noise that follows from the "
    "fit, params do not maximise the likelihood"
)
WORSE = "the larger model's RSS is larger than that of the model nested in it: its fit failed"


def f_test(smaller: tuple[float, int], larger: tuple[float, int], *, known: bool) -> Test:
    """F = [(RSS₁ − RSS₂)/(df₁ − df₂)]/[RSS₂/df₂] of models given as (RSS, df)."""
    (rss1, df1), (rss2, df2) = smaller, larger
    missing = _missing(rss1, rss2)
    if missing is not None:
        return Test(reason=missing)
    if known:
        return Test(reason="F estimates the noise, and sigma is absolute; use the test 'lrt'")
    if df2 <= 0:
        return Test(reason="the larger model has no degrees of freedom left")
    if rss2 > rss1 * (1 + LARGER):
        return Test(reason=WORSE, failed=True)
    more, gained = df1 - df2, max(rss1 - rss2, 0.0)
    if rss2 == 0.0:
        return Test(reason="the larger model has no residuals: there is no noise to compare with")
    f = gained / more / (rss2 / df2)
    return Test(f, more, df2, f_tail(f, more, df2))


def likelihood_ratio(smaller: tuple[float, float, int], larger: tuple[float, float, int]) -> Test:
    """2(ℓ₂ − ℓ₁), which is χ² of the difference in params; models as (RSS, ℓ, k). The RSS is NaN
    of models with a noise of their own each."""
    (rss1, l1, k1), (rss2, l2, k2) = smaller, larger
    missing = _missing(l1, l2)
    if missing is not None:
        return Test(reason=missing)
    if math.isnan(rss1) and l2 < l1 - LOWER:
        return Test(reason=UNLIKELY)
    if rss2 > rss1 * (1 + LARGER):
        return Test(reason=WORSE, failed=True)
    ratio = max(2 * (l2 - l1), 0.0)
    return Test(ratio, k2 - k1, None, chi_squared_tail(ratio, k2 - k1))


def _missing(smaller: float, larger: float) -> str | None:
    if math.isfinite(smaller) and math.isfinite(larger):
        return None
    which = "smaller" if not math.isfinite(smaller) else "larger"
    return f"the {which} model has no likelihood: its fit failed, or has no residuals"


@dataclass(frozen=True, slots=True)
class PureError:
    """The variation between rows with the same inputs: its Σ(residual/σ)², and the number of
    distinct inputs."""

    total: float
    distinct: int
    rows: int


def pure_error(inputs: Sequence[Floats], target: Floats, sigma: Floats | None) -> PureError:
    """Σ w·(y − ȳ)² over the rows of equal inputs, ȳ their mean with weights w = 1/σ²."""
    rows = len(target)
    weights = np.ones(rows) if sigma is None else 1 / sigma**2
    if inputs:
        _, codes = np.unique(np.stack(inputs), axis=1, return_inverse=True)
        codes = codes.reshape(-1)
    else:
        codes = np.zeros(rows, dtype=np.int64)
    # Means of y less its mean: the squares keep their digits far from zero.
    centred = target - target.mean()
    sums = np.bincount(codes, weights)
    means = np.bincount(codes, weights * centred) / sums
    total = float((weights * (centred - means[codes]) ** 2).sum())
    return PureError(total, len(sums), rows)


def lack_of_fit(rss: float, free: int, error: PureError) -> Test:
    """F = [(RSS − SSPE)/(m − p)]/[SSPE/(n − m)], m the number of distinct inputs."""
    df1, df2 = error.distinct - free, error.rows - error.distinct
    if not math.isfinite(rss):
        return Test(reason="the model's fit failed")
    if df2 <= 0:
        return Test(reason="no two rows have equal inputs, so there is no pure error")
    if df1 <= 0:
        return Test(
            reason=f"{error.distinct} distinct inputs leave no degrees of freedom to {free} params"
        )
    if error.total <= 0.0:
        return Test(reason="rows of equal inputs are equal: there is no pure error")
    f = max(rss - error.total, 0.0) / df1 / (error.total / df2)
    return Test(f, df1, df2, f_tail(f, df1, df2))

"""The statistics of a fit, as an answer has them."""

from __future__ import annotations

import math

from service.schemas.base import Answer, Number
from service.schemas.names import (
    AnsweredCovariance,
    IntervalMethod,
    LikelihoodName,
    Overdispersion,
)
from service.schemas.resampled import Bootstrap


class ConfidenceInterval(Answer):
    """Two-sided intervals for the free params, and by the methods `t` and `bootstrap` for the tied
    ones. NaN: the data set no limit on that side."""

    level: float
    """The probability that the interval holds the true value."""
    method: IntervalMethod
    """`t`: value ± t·se, with Student's t at n − p degrees of freedom (normal where σ is absolute).
    `profile`: where the profile likelihood reaches the F statistic of the level."""
    lower: dict[str, Number]
    """Lower ends by param."""
    upper: dict[str, Number]
    """Upper ends by param."""
    bootstrap: Bootstrap | None = None


class LikelihoodStatistics(Answer):
    """Statistics of a fit with a likelihood."""

    name: LikelihoodName
    """`poisson` or `binomial`."""
    deviance: Number
    """Twice the log-likelihood of a model whose means are the targets, less that of the fit."""
    pearson: Number
    """Pearson's χ², Σ(y − μ)²/V, V the variance of y by the likelihood."""
    dispersion: Number | None
    """Pearson's χ² over the degrees of freedom, about 1 where the noise is that of the likelihood;
    null without degrees of freedom."""
    log_likelihood: Number | None
    """With all constants; null with `overdispersion`, as are `aic`, `aicc` and `bic`, since the
    scaled noise has no likelihood."""
    overdispersion: Overdispersion | None = None
    """`pearson` where the dispersion was estimated; else null."""

    @property
    def scale(self) -> float:
        """The factor of the standard deviations."""
        return 1.0 if self.overdispersion is None else math.sqrt(self.dispersion or 1.0)


class ParamErrors(Answer):
    """How well the params are determined. A value that does not exist is null."""

    stderr: dict[str, Number] | None
    """Standard errors of the free params, and of the tied ones by the delta method."""
    covariance: dict[str, dict[str, Number]] | None
    """Of the free params, as `correlation`; a tied param is a function of them."""
    covariance_kind: AnsweredCovariance = "expected"
    """As asked for; or `robust`, that of a robust loss (Huber 1981, 7.6)."""
    covariance_reason: str | None
    """Why `covariance`, and all that is derived from it, is null."""
    correlation: dict[str, dict[str, Number]] | None
    """covᵢⱼ / (seᵢ·seⱼ)."""
    confidence_interval: ConfidenceInterval | None
    """Intervals of the params."""


class GoodnessOfFit(Answer):
    """How well the rows are explained. A value that does not exist is null."""

    r_squared: Number | None
    """R² = 1 − Σz² / Σ((y − ȳ)/σ)², with z = residual/σ and ȳ the mean weighted by 1/σ². Below 0
    the curve is worse than a constant."""
    adjusted_r_squared: Number | None
    """1 − (1 − R²)·(n − 1)/(n − p), with n rows and p free params."""
    aic: Number | None
    """Akaike's criterion 2k − 2 ln L for Gaussian noise, as R's nls has it: k = p + 1, since the
    variance is estimated (k = p where `sigma_absolute`)."""
    aicc: Number | None
    """AIC + 2k(k + 1)/(n − k − 1): AIC corrected for few rows."""
    bic: Number | None
    """The Bayesian criterion k ln n − 2 ln L."""
    reduced_chi_squared: Number | None
    """Σ(residual/σ)² divided by the degrees of freedom; null without degrees of freedom."""
    residual_std: Number | None
    """s = √(Σz²/(n − p)): the standard deviation of the noise, in units of `sigma` where that is
    given."""
    degrees_of_freedom: int
    """n − p: rows less free params."""
    n: int
    """Rows used."""
    likelihood: LikelihoodStatistics | None = None
    """With `likelihood` in the request; R², `reduced_chi_squared` and `residual_std` are then null.
    `aic`, `aicc` and `bic` count the free params."""


class Statistics(GoodnessOfFit, ParamErrors):
    """Statistics of the fit. A value that does not exist is null."""

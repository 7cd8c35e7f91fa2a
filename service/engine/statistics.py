"""How well fits are determined, from the R factors of their Jacobians; one fit is a batch of one.

Sources: Seber and Wild, Nonlinear Regression (1989), ch. 2 and 5; Bates and Watts, Nonlinear
Regression Analysis (1988), 1.3 and 2.2; R's logLik.nls and AIC for the information criteria.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from service.engine.determination import Determination, determine, determine_one
from service.engine.distributions import t_quantile
from service.engine.problem import Problem
from service.engine.reduction import Floats, Reduced, reduce

LEVEL = 0.95
ROUNDING = 1e-12
"""Residuals this small, next to the target, are rounding: the fit is at its minimum. A target that
varies by no more is constant."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Figures:
    """Of fits with n rows and p free params each; float64, the fits first, NaN where something
    cannot be had. Those of one fit are numbers, and its vectors have no such dimension.

    covariance = s²(JᵀJ)⁻¹ with J = ∂z/∂θ, z = residual/σ and s² = Σz²/(n − p), or s² = 1 where σ is
    absolute.
    """

    free: tuple[str, ...]
    n: Any
    degrees_of_freedom: Any
    variance: Any
    r_squared: Any
    aic: Any
    covariance: Floats
    """(fits, p, p)"""
    noise: Any
    """s, or 1 where σ is absolute; NaN where there is no covariance."""
    offset: Any
    """Bates and Watts's relative offset: how far from the minimum, in units of its uncertainty."""
    determined: Determination

    @property
    def held(self) -> Bools:
        """Which free params a bound keeps from a lower loss, (fits, p)."""
        return self.determined.held

    @cached_property
    def residual_std(self) -> Any:
        return np.sqrt(self.variance)

    @cached_property
    def stderr(self) -> Floats:
        """s·‖row of R⁻¹‖, (fits, p): where a variance would be too small for float64, too."""
        with np.errstate(all="ignore"):
            inverse = self.determined.inverse
            length = np.sqrt(np.add.reduce(inverse * inverse, axis=-1))
            return np.asarray(length * np.asarray(self.noise)[..., None])


@dataclass(frozen=True, eq=False)
class Statistics:
    """Those of one fit. What cannot be had is None, and `covariance_reason` says why."""

    free: tuple[str, ...]
    n: int
    degrees_of_freedom: int
    residual_std: float | None
    reduced_chi_squared: float | None
    r_squared: float | None
    adjusted_r_squared: float | None
    aic: float | None
    aicc: float | None
    bic: float | None
    covariance: Floats | None
    covariance_reason: str | None
    deficient: tuple[str, ...]
    """The params that trade off against each other where the covariance cannot be had."""
    offset: float
    condition: float
    """Of the Jacobian with columns of unit norm."""
    figures: Figures
    reduced: Reduced

    @property
    def z(self) -> Floats:
        """The residuals over σ, (rows,)."""
        return self.reduced.z

    @property
    def stderr(self) -> Floats | None:
        return None if self.covariance is None else self.figures.stderr

    @property
    def correlation(self) -> Floats | None:
        if self.covariance is None:
            return None
        spread = self.figures.stderr
        if not spread.all():
            spread = np.where(spread > 0, spread, 1.0)
        correlation: Floats = self.covariance / (spread * spread[:, None])
        correlation.flat[:: len(spread) + 1] = 1.0
        return correlation

    def t(self, level: float = LEVEL) -> float:
        """Half the width of a two-sided interval of that level, in standard errors."""
        return t_quantile(0.5 + level / 2, float(self.degrees_of_freedom))


def summarise(problem: Problem, theta: Tensor, factor: Tensor | None = None) -> Statistics:
    """The statistics of a problem at θ (params,); `factor` is R of QR [J z] there, if known."""
    with np.errstate(all="ignore"):
        reduced = reduce(problem, theta, factor)
        figures = _figures(problem, theta.double().cpu().numpy(), reduced)
    n, degrees, p = figures.n, figures.degrees_of_freedom, len(figures.free)
    deficient = figures.determined.deficient(figures.free)
    reason = _reason(problem, figures, deficient)
    variance, r_squared, aic = map(_number, (figures.variance, figures.r_squared, figures.aic))
    adjusted = None
    if r_squared is not None and degrees > 0:
        adjusted = 1 - (1 - r_squared) * (n - 1) / degrees
    return Statistics(
        free=figures.free,
        n=n,
        degrees_of_freedom=degrees,
        residual_std=None if variance is None else math.sqrt(variance),
        reduced_chi_squared=variance,
        r_squared=r_squared,
        adjusted_r_squared=adjusted,
        aic=aic,
        aicc=None if aic is None or degrees <= 2 else aic + 2 * (p + 1) * (p + 2) / (n - p - 2),
        bic=None if aic is None else aic + (math.log(n) - 2) * (p + 1),
        covariance=figures.covariance if reason is None else None,
        covariance_reason=reason,
        deficient=deficient,
        offset=figures.offset,
        condition=figures.determined.condition,
        figures=figures,
        reduced=reduced,
    )


def _figures(problem: Problem, theta: Floats, reduced: Reduced) -> Figures:
    """What `summarise_groups` has of many, of one fit."""
    n, total, p = reduced.rows, reduced.total, len(problem.free_params)
    degrees = n - p
    named, least_squares = problem.formula.has_standard_errors, problem.loss.is_least_squares
    factor = reduced.factor
    if total <= (ROUNDING * reduced.size) ** 2:
        factor = factor.copy()
        factor[:, -1] = 0.0
    if not named:
        determined = Determination.of_none(1).first()
    else:
        at = theta if p == len(theta) else theta[list(problem.free)]
        determined = determine_one(factor, n, at, _limits(problem))
    variance = total / degrees if degrees > 0 else math.nan
    aic = math.nan
    covariance = determined.covariance()
    if not problem.sigma_absolute:
        covariance *= variance
    noise = 1.0 if problem.sigma_absolute else math.sqrt(variance)
    finite = math.isfinite(covariance.sum()) or bool(np.isfinite(covariance).all())
    if not (least_squares and named and finite):
        covariance, noise = np.full_like(covariance, np.nan), math.nan
    if least_squares and named:
        log_total = math.log(total) if total > 0 else -math.inf if total == 0 else math.nan
        aic = n * (math.log(2 * math.pi) + 1 - math.log(n) + log_total)
        aic += 2 * reduced.log_sigma + 2 * (p + 1)
    r_squared = math.nan
    if reduced.spread > (ROUNDING * reduced.size) ** 2:
        r_squared = 1 - total / reduced.spread
    offset = determined.offset
    if not problem.loss.is_smooth:
        offset = 0.0
    elif not least_squares and named and total > 0 and determined.pull == 0:
        offset = math.inf
    return Figures(
        problem.free_params, n, degrees, variance, r_squared, aic, covariance, noise, offset,
        determined,
    )  # fmt: skip


def summarise_groups(problem: Problem, theta: Floats, reduced: Reduced) -> Figures:
    """The statistics of groups at θ (groups, params); `problem` says what they have in common."""
    n, total = reduced.rows, reduced.total
    p = len(problem.free_params)
    degrees = n - p
    named = problem.formula.has_standard_errors
    with np.errstate(all="ignore"):
        variance = np.where(degrees > 0, total / np.maximum(degrees, 1), np.nan)
        spread = reduced.spread
        varies = spread > (ROUNDING * reduced.size) ** 2
        r_squared = np.where(varies, 1 - total / np.where(varies, spread, 1.0), np.nan)
        factor = reduced.factor
        at_minimum = total <= (ROUNDING * reduced.size) ** 2
        if at_minimum.any():
            factor = factor.copy()
            factor[at_minimum, :, -1] = 0.0
        limits = _limits(problem)
        free = [i for i, is_free in enumerate(problem.free) if is_free]
        determined = (
            determine(factor, n, theta[:, free], limits) if named else Determination.of_none(len(n))
        )
        covariance = determined.covariance()
        noise = np.ones(len(n))
        if not problem.sigma_absolute:
            covariance, noise = covariance * variance[:, None, None], np.sqrt(variance)
        least_squares = problem.loss.is_least_squares
        none = ~np.isfinite(covariance).all(axis=(1, 2)) | (not (least_squares and named))
        covariance[none], noise[none] = np.nan, np.nan
        aic = np.full(len(n), np.nan)
        if least_squares and named:
            aic = n * (math.log(2 * math.pi) + 1 - np.log(n) + np.log(total))
            aic = aic + 2 * reduced.log_sigma + 2 * (p + 1)
    offset = _offset(problem, determined, total)
    return Figures(
        problem.free_params, n, degrees, variance, r_squared, aic, covariance, noise,
        offset, determined,
    )  # fmt: skip


def _offset(problem: Problem, determined: Determination, total: Any) -> Any:
    """The relative offset; 0 where the loss has no slope at zero, infinite where none pulls."""
    if not problem.loss.is_smooth:
        return np.zeros_like(determined.offset)
    if problem.loss.is_least_squares or not problem.formula.has_standard_errors:
        return determined.offset
    return np.where((total > 0) & (determined.pull == 0), np.inf, determined.offset)


def _limits(problem: Problem) -> tuple[Floats, Floats]:
    lower, upper = problem.lower.double().cpu().numpy(), problem.upper.double().cpu().numpy()
    if all(problem.free):
        return lower, upper
    free = list(problem.free)
    return lower[free], upper[free]


def _number(value: float) -> float | None:
    """None for what cannot be had; a loss that is not finite has statistics that are not."""
    return None if math.isnan(value) else float(value)


def _reason(problem: Problem, figures: Figures, deficient: tuple[str, ...]) -> str | None:
    """Why there is no covariance; None where there is."""
    if not problem.loss.is_least_squares:
        return f"loss '{problem.loss.name}' has no covariance by this method; 'mse' has"
    if not problem.formula.has_standard_errors:
        return "the params of a network have no standard errors"
    if not problem.free_params:
        return "no param is free"
    if not figures.determined.finite:
        return "the Jacobian at these params is not finite"
    if deficient:
        return f"the data do not tell these params apart: {', '.join(deficient)}"
    if figures.degrees_of_freedom <= 0 and not problem.sigma_absolute:
        return "there are no more rows than free params, so nothing tells the noise"
    if math.isnan(figures.covariance[0, 0]):
        return "the covariance is beyond float64; scale the data or sigma"
    return None

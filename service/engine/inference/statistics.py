"""Statistics of fits, from the R factors of their Jacobians.

Sources: Seber and Wild, Nonlinear Regression (1989), ch. 2 and 5; Bates and Watts, Nonlinear
Regression Analysis (1988), 1.3 and 2.2; R's logLik.nls and AIC for the information criteria.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from service.engine.inference import likelihood
from service.engine.inference.assessed import table_of
from service.engine.inference.distributions import t_quantile
from service.engine.inference.robust import robust_errors
from service.engine.kernel import statistics
from service.engine.kernel.reduction import SIZE, TOTAL
from service.engine.kernel.statistics import FIGURES, ROUNDING
from service.engine.kernel.types import Bools, Floats
from service.engine.problem import Groups, Problem

LEVEL = 0.95
CHANCE = 3.0
"""F statistic of a curve against a constant, below which it explains no more than chance would."""


@dataclass(frozen=True, eq=False)
class Figures:
    """Statistics of fits with p free params; float64, the first dimension is the fit, NaN where a
    value does not exist. For one fit they are numbers, and vectors without that dimension.

    covariance = s²(JᵀJ)⁻¹ with J = ∂z/∂θ, z = residual/σ and s² = Σz²/(n − p), or s² = 1 where σ is
    absolute; of a robust loss as `inference.robust` has it. Of a likelihood z is Pearson's
    residual, so that Σz² is Pearson's χ², s² the dispersion, which is 1 unless it is estimated (σ
    is not absolute), and J, weighted by 1/√V, gives Fisher's information.
    """

    free: tuple[str, ...]
    n: Any
    total: Any
    """Σz²"""
    size: Any
    """‖y/σ‖, to which the rounding of z is relative."""
    variance: Any
    r_squared: Any
    aic: Any
    noise: Any
    """s, or 1 if σ is absolute; NaN without a covariance."""
    offset: Any
    """Bates and Watts's relative offset: distance to the minimum in units of the uncertainty."""
    condition: Any
    """Condition number of J with columns of unit norm; infinite if exactly rank deficient."""
    finite: Any
    """Whether J is finite."""
    looks: Any
    """Statistics of the residuals, (FIGURES, fits): see `kernel.residuals`."""
    covariance: Floats
    """(fits, p, p)"""
    stderr: Floats
    """(fits, p)"""
    lost: Bools
    """Which params are not identifiable, (fits, p)."""
    flat: Bools
    """For which params ∂f/∂θ is zero, (fits, p)."""
    held: Bools
    """Which params are at a bound beyond which the loss is lower, (fits, p)."""
    factor: Floats
    """R of QR [J | ψ], (fits, p + 1, p + 1)."""
    deviance: Any = math.nan
    """Of a likelihood;"""
    log_likelihood: Any = math.nan
    """NaN too where the dispersion is estimated, which no likelihood has."""
    z: Any = None
    """The residuals over σ, of all rows of the problem, (rows,)."""

    @property
    def degrees_of_freedom(self) -> Any:
        return self.n - len(self.free)

    @property
    def residual_std(self) -> Any:
        return np.sqrt(self.variance)

    @property
    def is_rounding(self) -> Any:
        """Whether the residuals are only rounding errors of the target."""
        return self.total <= (ROUNDING * self.size) ** 2


def is_chance(explained: Any, degrees: Any, free: int) -> Any:
    """Whether curves explain no more of the variation than chance would; for one fit or for each:
    the explained fraction, the degrees of freedom, and the number of free params."""
    others = max(1, free - 1)
    return (degrees >= 3) & (explained * degrees <= CHANCE * others * (1 - explained))


def summarise_fits(problem: Problem, fits: Groups, theta: Tensor) -> Figures:
    """The statistics of fits at θ (fits, params) of a problem in float64."""
    table, q, z = table_of(problem, fits, theta)
    found = statistics.parts(table, q)
    figures = _figures(problem, fits.sizes.numpy(), found.numbers.T, found, z)
    if problem.loss.likelihood is not None:
        return _of_counts(problem, fits, theta, figures)
    if not problem.loss.is_robust:
        return figures
    lost, factor, loss = figures.lost, figures.factor, problem.loss
    covariance, stderr = robust_errors(factor, lost, loss, z, fits)
    return replace(figures, covariance=covariance, stderr=stderr)


def _of_counts(problem: Problem, fits: Groups, theta: Tensor, figures: Figures) -> Figures:
    """The statistics with those of a likelihood, and without those that only least squares has."""
    deviance = likelihood.deviances(problem, fits, theta)
    logs = likelihood.saturated(problem, fits) - deviance / 2
    if not problem.sigma_absolute:
        logs = np.full_like(logs, np.nan)
    return replace(
        figures,
        r_squared=np.full_like(deviance, np.nan),
        aic=2 * len(problem.free_params) - 2 * logs,
        deviance=deviance,
        log_likelihood=logs,
    )


def _figures(
    problem: Problem, rows: Any, numbers: Any, found: statistics.Parts, z: Floats
) -> Figures:
    """The statistics of many fits, or of one; `numbers` has one entry per statistic."""
    flags = found.flags > 0
    return Figures(
        free=problem.free_params,
        n=rows,
        total=numbers[FIGURES + TOTAL],
        size=numbers[FIGURES + SIZE],
        variance=numbers[statistics.VARIANCE],
        r_squared=numbers[statistics.R_SQUARED],
        aic=numbers[statistics.AIC],
        noise=numbers[statistics.NOISE],
        offset=numbers[statistics.OFFSET],
        condition=numbers[statistics.CONDITION],
        finite=numbers[statistics.FINITE] > 0,
        looks=numbers[statistics.LOOKED :],
        covariance=found.covariance,
        stderr=found.stderr,
        lost=flags[..., statistics.LOST, :],
        flat=flags[..., statistics.FLAT, :],
        held=flags[..., statistics.HELD, :],
        factor=found.factor,
        z=z,
    )


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of one fit. A value that does not exist is None, for `covariance_reason`."""

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
    """Of the kind that was asked for; `figures` has the expected one."""
    stderr: Floats | None
    covariance_reason: str | None
    deficient: tuple[str, ...]
    """The params that are not identifiable, if the Jacobian is rank deficient."""
    figures: Figures
    theta: Tensor
    """The params at which they are computed, (params,)."""
    z: Floats
    """The residuals over σ, (rows,)."""
    t_degrees: float
    """The degrees of freedom of Student's t for the intervals; infinite where σ is known."""

    @property
    def offset(self) -> float:
        return float(self.figures.offset)

    @property
    def condition(self) -> float:
        """Condition number of the Jacobian with columns of unit norm."""
        return float(self.figures.condition)

    @property
    def correlation(self) -> Floats | None:
        if self.covariance is None or self.stderr is None:
            return None
        spread = self.stderr
        if not spread.all():
            spread = np.where(spread > 0, spread, 1.0)
        correlation: Floats = self.covariance / (spread * spread[:, None])
        correlation.flat[:: len(spread) + 1] = 1.0
        return correlation

    def t(self, level: float = LEVEL) -> float:
        """Half the width of a two-sided interval of that level, in standard errors: by Student's t,
        or the normal distribution if σ is known."""
        return t_quantile(0.5 + level / 2, self.t_degrees)


def summarise(problem: Problem, theta: Tensor) -> Statistics:
    """The statistics of a problem's only fit at θ (params,)."""
    at = theta.double().cpu().unsqueeze(0)
    fits = Groups(problem.whole, at)
    table, q, z = table_of(problem.double(), fits, at)
    found = statistics.parts(table[0], q)
    figures = _figures(problem, problem.rows, found.numbers.tolist(), found, z)
    is_squares = problem.loss.likelihood is None
    if not is_squares:
        figures = _of_one(_of_counts(problem.double(), fits, at, figures))
    elif problem.loss.is_robust:
        factor, lost = figures.factor[None], figures.lost[None]
        covariance, stderr = robust_errors(factor, lost, problem.loss, z, fits)
        figures = replace(figures, covariance=covariance[0], stderr=stderr[0])
    n, degrees = figures.n, figures.degrees_of_freedom
    k = len(figures.free) + (not problem.sigma_absolute) + problem.noise_params
    deficient: tuple[str, ...] = ()
    if figures.lost.any():
        named = zip(figures.free, figures.lost.tolist(), strict=False)
        deficient = tuple([name for name, is_lost in named if is_lost])
    reason = _reason(problem, figures, deficient)
    variance, r_squared, aic = map(_number, (figures.variance, figures.r_squared, figures.aic))
    if problem.sigma_x:
        r_squared = aic = None  # their definitions have the inputs exact
    if aic is not None:
        aic += 2 * problem.noise_params
    adjusted = None
    if r_squared is not None and degrees > 0:
        adjusted = 1 - (1 - r_squared) * (n - 1) / degrees
    return Statistics(
        free=figures.free,
        n=n,
        degrees_of_freedom=degrees,
        residual_std=None if variance is None or not is_squares else math.sqrt(variance),
        reduced_chi_squared=variance,
        r_squared=r_squared,
        adjusted_r_squared=adjusted,
        aic=aic,
        aicc=None if aic is None or n <= k + 1 else aic + 2 * k * (k + 1) / (n - k - 1),
        bic=None if aic is None else aic + (math.log(n) - 2) * k,
        covariance=figures.covariance if reason is None else None,
        stderr=figures.stderr if reason is None else None,
        covariance_reason=reason,
        deficient=deficient,
        figures=figures,
        theta=theta,
        z=z,
        t_degrees=math.inf if problem.sigma_absolute else float(degrees),
    )


def _of_one(figures: Figures) -> Figures:
    """The figures of one fit, as numbers, where they are of a list of one."""
    return replace(
        figures,
        r_squared=float(figures.r_squared[0]),
        aic=float(figures.aic[0]),
        deviance=float(figures.deviance[0]),
        log_likelihood=float(figures.log_likelihood[0]),
    )


def _number(value: float) -> float | None:
    """None for NaN; infinite values stay."""
    return None if math.isnan(value) else float(value)


def _reason(problem: Problem, figures: Figures, deficient: tuple[str, ...]) -> str | None:
    """Why there is no covariance; None if there is one."""
    is_robust = problem.loss.is_robust
    if not (problem.loss.has_likelihood or is_robust):
        return f"loss '{problem.loss.name}' has no covariance by this method; 'mse' has one"
    if not problem.formula.has_standard_errors:
        return "the params of a network have no standard errors"
    if not problem.free_params:
        return "no param is free"
    if not figures.finite:
        return "the Jacobian at these params is not finite"
    if deficient:
        return f"the data do not determine {', '.join(deficient)} (the Jacobian is rank deficient)"
    if figures.degrees_of_freedom <= 0 and (is_robust or not problem.sigma_absolute):
        return "there are no more rows than free params, so the noise cannot be estimated"
    if is_robust and not np.isfinite(figures.stderr).all():
        return "the loss is not convex on average at these params, so they have no standard errors"
    if not is_robust and math.isnan(figures.noise):
        return "the covariance is beyond float64; scale the data or sigma"
    return None

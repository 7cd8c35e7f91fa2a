"""How well fits are determined, from the R factors of their Jacobians; one fit is a batch of one.

Sources: Seber and Wild, Nonlinear Regression (1989), ch. 2 and 5; Bates and Watts, Nonlinear
Regression Analysis (1988), 1.3 and 2.2; R's logLik.nls and AIC for the information criteria.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from service.engine.determination import Determination, determine
from service.engine.distributions import t_quantile
from service.engine.problem import Problem
from service.engine.reduction import Floats, Ints, Reduced, reduce

LEVEL = 0.95
ROUNDING = 1e-12
"""Residuals this small, next to the target, are rounding: the fit is at its minimum."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class GroupStatistics:
    """Of fits with n rows and p free params each; float64 arrays, the groups first, NaN where
    something cannot be had.

    covariance = s²(JᵀJ)⁻¹ with J = ∂z/∂θ, z = residual/σ and s² = Σz²/(n − p), or s² = 1 where σ is
    absolute.
    """

    free: tuple[str, ...]
    n: Ints
    degrees_of_freedom: Ints
    variance: Floats
    r_squared: Floats
    aic: Floats
    covariance: Floats
    """(groups, p, p)"""
    offset: Floats
    """Bates and Watts's relative offset: how far from the minimum, in units of its uncertainty."""
    held: Bools
    """Which free params a bound keeps from a lower loss, (groups, p)."""
    determined: Determination

    @property
    def residual_std(self) -> Floats:
        return np.asarray(np.sqrt(self.variance))

    @property
    def stderr(self) -> Floats:
        """(groups, p)"""
        return np.asarray(np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1)))


@dataclass(frozen=True, slots=True, eq=False)
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
    groups: GroupStatistics
    """The same, as a batch of one."""
    reduced: Reduced

    @property
    def z(self) -> Floats:
        """The residuals over σ, (rows,)."""
        return np.asarray(self.reduced.z[0])

    @property
    def stderr(self) -> Floats | None:
        return (
            None if self.covariance is None else np.asarray(np.sqrt(np.diagonal(self.covariance)))
        )

    @property
    def correlation(self) -> Floats | None:
        stderr = self.stderr
        if stderr is None or self.covariance is None:
            return None
        spread = np.where(stderr > 0, stderr, 1.0)
        correlation = self.covariance / (spread * spread[:, None])
        np.fill_diagonal(correlation, 1.0)
        return np.asarray(correlation)

    def t(self, level: float = LEVEL) -> float:
        """Half the width of a two-sided interval of that level, in standard errors."""
        return t_quantile(0.5 + level / 2, float(self.degrees_of_freedom))


def summarise(problem: Problem, theta: Tensor) -> Statistics:
    """The statistics of a problem at θ (params,)."""
    reduced = reduce(problem, theta)
    groups = summarise_groups(problem, theta.double().cpu().numpy()[None], reduced)
    determined = groups.determined
    n, degrees, p = int(groups.n[0]), int(groups.degrees_of_freedom[0]), len(groups.free)
    deficient = determined.deficient(0, groups.free)
    reason = _reason(problem, groups, deficient)
    variance, r_squared, aic = (
        _number(value[0]) for value in (groups.variance, groups.r_squared, groups.aic)
    )
    adjusted = None
    if r_squared is not None and degrees > 0:
        adjusted = 1 - (1 - r_squared) * (n - 1) / degrees
    return Statistics(
        free=groups.free,
        n=n,
        degrees_of_freedom=degrees,
        residual_std=None if variance is None else math.sqrt(variance),
        reduced_chi_squared=variance,
        r_squared=r_squared,
        adjusted_r_squared=adjusted,
        aic=aic,
        aicc=None if aic is None or degrees <= 2 else aic + 2 * (p + 1) * (p + 2) / (n - p - 2),
        bic=None if aic is None else aic + (math.log(n) - 2) * (p + 1),
        covariance=groups.covariance[0] if reason is None else None,
        covariance_reason=reason,
        deficient=deficient,
        offset=float(groups.offset[0]),
        condition=float(determined.condition[0]),
        groups=groups,
        reduced=reduced,
    )


def summarise_groups(problem: Problem, theta: Floats, reduced: Reduced) -> GroupStatistics:
    """The statistics of groups at θ (groups, params); `problem` says what they have in common."""
    n, total = reduced.rows, reduced.total
    p = len(problem.free_params)
    degrees = n - p
    named = problem.formula.has_standard_errors
    with np.errstate(all="ignore"):
        variance = np.where(degrees > 0, total / np.maximum(degrees, 1), np.nan)
        spread = reduced.spread
        r_squared = np.where(spread > 0, 1 - total / np.where(spread > 0, spread, 1.0), np.nan)
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
        if not problem.sigma_absolute:
            covariance = covariance * variance[:, None, None]
        least_squares = problem.loss.is_least_squares
        if not least_squares or not named:
            covariance = np.full_like(covariance, np.nan)
        covariance[~np.isfinite(covariance).all(axis=(1, 2))] = np.nan
        aic = np.full(len(n), np.nan)
        if least_squares and named:
            aic = n * (math.log(2 * math.pi) + 1 - np.log(n) + np.log(total))
            aic = aic + 2 * reduced.log_sigma + 2 * (p + 1)
    offset = _offset(problem, determined, total)
    return GroupStatistics(
        problem.free_params, n, degrees, variance, r_squared, aic, covariance, offset,
        determined.held, determined,
    )  # fmt: skip


def _offset(problem: Problem, determined: Determination, total: Floats) -> Floats:
    """The relative offset; 0 where the loss has no slope at zero, infinite where none pulls."""
    if not problem.loss.is_smooth:
        return np.zeros_like(determined.offset)
    if problem.loss.is_least_squares or not problem.formula.has_standard_errors:
        return determined.offset
    return np.where((total > 0) & (determined.pull == 0), np.inf, determined.offset)


def _limits(problem: Problem) -> tuple[Floats, Floats]:
    free = [i for i, is_free in enumerate(problem.free) if is_free]
    return (
        problem.lower.double().cpu().numpy()[free],
        problem.upper.double().cpu().numpy()[free],
    )


def _number(value: float) -> float | None:
    """None for what cannot be had; a loss that is not finite has statistics that are not."""
    return None if math.isnan(value) else float(value)


def _reason(problem: Problem, groups: GroupStatistics, deficient: tuple[str, ...]) -> str | None:
    """Why there is no covariance; None where there is."""
    if not problem.loss.is_least_squares:
        return f"loss '{problem.loss.name}' has no covariance by this method; 'mse' has"
    if not problem.formula.has_standard_errors:
        return "the params of a network have no standard errors"
    if not problem.free_params:
        return "no param is free"
    if not groups.determined.finite[0]:
        return "the Jacobian at these params is not finite"
    if deficient:
        return f"the data do not tell these params apart: {', '.join(deficient)}"
    if groups.degrees_of_freedom[0] <= 0 and not problem.sigma_absolute:
        return "there are no more rows than free params, so nothing tells the noise"
    if not np.isfinite(groups.covariance[0]).all():
        return "the covariance is beyond float64; scale the data or sigma"
    return None

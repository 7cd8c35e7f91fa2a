"""What the answer for groups with one noise has besides their rows: the shared params, and the
statistics of the whole."""

from __future__ import annotations

import math

import numpy as np

from service.engine.diagnostics.pooled import PooledFits
from service.engine.kernel.types import Floats
from service.fitting.derived import named
from service.fitting.plan import Plan
from service.fitting.statistics_answer import to_likelihood
from service.schemas import answers as wire
from service.schemas.grouped import PooledStatistics, SharedParams
from service.schemas.statistics import ConfidenceInterval


def shared_params(plan: Plan, found: PooledFits | None) -> SharedParams | None:
    """The shared params; None where there are none."""
    task = plan.task
    if found is None or not task.shared:
        return None
    pooled, names = found.pooled, task.problem.params
    values = found.theta[0, list(task.shared)]
    has_errors = pooled.reason is None
    return SharedParams(
        params=named([names[i] for i in task.shared], values),
        stderr=named(pooled.shared, pooled.stderr) if has_errors else None,
        covariance=matrix(pooled.shared, pooled.covariance) if has_errors else None,
        covariance_reason=pooled.reason,
        confidence_interval=_interval(plan, found),
    )


def matrix(names: tuple[str, ...], values: Floats) -> dict[str, dict[str, float]]:
    """A matrix by names."""
    return {name: named(names, row) for name, row in zip(names, values, strict=True)}


def _interval(plan: Plan, found: PooledFits) -> ConfidenceInterval | None:
    limits, names = found.intervals, found.pooled.shared
    if limits is None:
        return None
    return ConfidenceInterval(
        level=plan.request.confidence_interval.level,
        method=limits.method,
        lower=named(names, limits.lower),
        upper=named(names, limits.upper),
    )


def pooled_statistics(
    plan: Plan, found: PooledFits | None, losses: Floats
) -> PooledStatistics | None:
    """The statistics over all rows; None where each group has its own noise."""
    if found is None:
        return None
    pooled, fits = found.pooled, plan.task.fits
    sizes = np.where(np.isfinite(losses), fits.sizes.numpy(), 0)
    loss = float(np.nansum(losses * sizes) / sizes.sum()) if sizes.sum() else math.nan
    squares, asked = plan.task.problem.loss.is_least_squares, plan.request.likelihood
    variance = None if asked is not None else _number(pooled.variance)
    return PooledStatistics(
        loss=loss,
        r_squared=_number(pooled.r_squared),
        adjusted_r_squared=_number(pooled.adjusted_r_squared),
        aic=_number(pooled.aic),
        aicc=_number(pooled.aicc),
        bic=_number(pooled.bic),
        reduced_chi_squared=variance,
        residual_std=_number(math.sqrt(pooled.variance)) if squares else None,
        degrees_of_freedom=pooled.degrees_of_freedom,
        n=pooled.n,
        likelihood=None
        if asked is None
        else to_likelihood(
            asked, pooled.deviance, pooled.total, pooled.variance, pooled.log_likelihood
        ),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def whole_diagnostics(found: PooledFits | None) -> list[wire.Diagnostic]:
    """The diagnostics of the fit of all groups."""
    return [
        wire.Diagnostic(
            code=each.code,
            severity=each.severity,
            message=each.message,
            params=list(each.params) or None,
            suggestion=each.suggestion,
        )
        for each in ([] if found is None else found.diagnostics)
    ]

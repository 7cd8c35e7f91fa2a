"""The statistics of a fit by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.engine.inference.statistics import Statistics
from service.engine.kernel.types import Floats
from service.fitting.derived import Tied, named, present
from service.fitting.plan import Plan
from service.schemas import statistics as wire
from service.schemas.likelihoods import LikelihoodOptions
from service.schemas.names import AnsweredCovariance

Named = dict[str, float]


def to_statistics(
    plan: Plan, statistics: Statistics, interval: wire.ConfidenceInterval | None,
    tied: Tied | None,
) -> wire.Statistics:  # fmt: skip
    """Statistics by name."""
    asked, variance = plan.request.likelihood, statistics.reduced_chi_squared
    names = statistics.free
    stderr = None if statistics.stderr is None else named(names, statistics.stderr)
    if tied is not None and stderr is not None:
        stderr |= present(tied.names, tied.found.stderr)
    return wire.Statistics(
        stderr=stderr,
        covariance=_matrix(names, statistics.covariance),
        covariance_kind=kind_of(plan),
        covariance_reason=statistics.covariance_reason,
        correlation=_matrix(names, statistics.correlation),
        confidence_interval=interval,
        r_squared=statistics.r_squared,
        adjusted_r_squared=statistics.adjusted_r_squared,
        aic=statistics.aic,
        aicc=statistics.aicc,
        bic=statistics.bic,
        reduced_chi_squared=variance if asked is None else None,
        residual_std=statistics.residual_std,
        degrees_of_freedom=statistics.degrees_of_freedom,
        n=statistics.n,
        likelihood=None
        if asked is None
        else to_likelihood(
            asked,
            statistics.figures.deviance,
            statistics.figures.total,
            variance,
            statistics.figures.log_likelihood,
        ),
    )


def to_likelihood(
    asked: LikelihoodOptions, deviance: float, pearson: float, dispersion: float | None,
    log_likelihood: float,
) -> wire.LikelihoodStatistics:  # fmt: skip
    """The statistics of a likelihood; NaN for a number that does not exist."""
    return wire.LikelihoodStatistics(
        name=asked.name,
        deviance=deviance,
        pearson=pearson,
        dispersion=None if dispersion is None else number(dispersion),
        log_likelihood=number(log_likelihood),
        overdispersion=asked.overdispersion,
    )


def kind_of(plan: Plan) -> AnsweredCovariance:
    """The kind of the covariance in the answer."""
    loss = plan.task.problem.loss
    return "robust" if loss.is_robust else plan.request.covariance


def _matrix(names: Sequence[str], matrix: Floats | None) -> dict[str, Named] | None:
    if matrix is None:
        return None
    rows = matrix.tolist()
    return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def number(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else float(value)

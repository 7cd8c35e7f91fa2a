"""What an answer says about the priors of a fit."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from service.engine.inference.statistics import Figures, Statistics
from service.engine.kernel.types import Bools, Floats
from service.engine.prior import learned
from service.engine.problem import Problem
from service.fitting.statistics_answer import number
from service.schemas.prior_answers import (
    FittedPrior,
    GroupedPrior,
    LearnedByGroup,
    LearnedParam,
)


def prior_of(problem: Problem, theta: Tensor, statistics: Statistics) -> FittedPrior | None:
    """The prior of a fit at θ (params,); None without one."""
    prior, q = problem.prior, len(problem.places)
    if prior is None:
        return None
    at = theta.double().cpu().numpy()[None]
    covariance = np.full((q, q), np.nan)
    if statistics.covariance is not None:
        covariance = statistics.covariance
    found = learned(problem, at, covariance[None])
    apart = np.where(np.isnan(found.share), np.nan, found.apart)[0].tolist()
    share, mean, sd = found.share[0].tolist(), prior.mean.tolist(), prior.sd.tolist()
    z = prior.factor @ (found.values[0] - prior.mean)
    return FittedPrior(
        chi_squared=float(z @ z),
        rows=len(mean),
        params={
            name: LearnedParam(
                mean=mean[i], sd=sd[i], apart=number(apart[i]), share=number(share[i])
            )
            for i, name in enumerate(prior.names)
        },
    )


@np.errstate(all="ignore")
def prior_of_groups(
    problem: Problem, theta: Floats, figures: Figures, failed: Bools
) -> GroupedPrior | None:
    """The prior of the fits of groups at θ (fits, params); None without one."""
    prior = problem.prior
    if prior is None:
        return None
    found = learned(problem, theta, figures.covariance)
    apart = np.where(np.isnan(found.share), np.nan, found.apart)
    z = (found.values - prior.mean) @ prior.factor.T
    squares = np.square(z).sum(axis=1)
    for column in (squares, apart, found.share):
        column[failed] = np.nan
    return GroupedPrior(
        chi_squared=squares.tolist(),
        rows=len(prior.mean),
        params={
            name: LearnedByGroup(
                mean=float(prior.mean[i]), sd=float(prior.sd[i]),
                apart=apart[:, i].tolist(), share=found.share[:, i].tolist(),
            )
            for i, name in enumerate(prior.names)
        },
    )  # fmt: skip

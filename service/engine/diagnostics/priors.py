"""Checks of fits with a prior: whether the data agree with it, and whether they add to it."""

from __future__ import annotations

import numpy as np

from service.engine.diagnostics.finished import (
    INFO,
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
    any_of,
)
from service.engine.kernel.types import Bools
from service.engine.prior import Learned, learned

CONFLICT = 3.0
"""Standard deviations of the difference of the fit and the prior's mean that are no chance."""
NOTHING = 0.1
"""The part of what is known of a param that the data add, below which the prior decides."""


def _learned(finished: FinishedFits) -> Learned | None:
    """What the data say of the params with a prior."""
    if finished.problem.prior is None:
        return None
    q = len(finished.problem.places)
    covariance = np.reshape(finished.statistics.covariance, (-1, q, q))
    return learned(finished.problem, np.atleast_2d(finished.theta), covariance)


def _of(finished: FinishedFits, mask: Bools) -> Bools:
    return mask if finished.one is None else mask[0]


def _conflict_severity(finished: FinishedFits) -> Severities:
    """The data and the prior contradict each other."""
    found = _learned(finished)
    if found is None:
        return finished.nowhere()
    return finished.where(WARNING, any_of(_of(finished, np.abs(found.apart) > CONFLICT)))


def _describe_conflict(fit: FinishedFit) -> Message:
    found, prior = _learned(fit.all), fit.problem.prior
    assert found is not None
    assert prior is not None
    chosen = np.flatnonzero(np.abs(found.apart[0]) > CONFLICT).tolist()
    listed = ", ".join(
        f"{prior.names[i]} is {found.values[0, i]:.4g}, with a prior of {prior.mean[i]:.4g} ± "
        f"{prior.sd[i]:.2g}"
        for i in chosen
    )
    return Message(
        f"the data contradict the prior: {listed}. The difference is more than {CONFLICT:g} times "
        "what prior and noise allow, so that the fit between them is right by neither. Check "
        "whether the prior is of this sample and unit, whether sigma is too small, or the model.",
        params=tuple(prior.names[i] for i in chosen),
    )


def _nothing_severity(finished: FinishedFits) -> Severities:
    """The data add next to nothing to the prior of a param."""
    found = _learned(finished)
    if found is None:
        return finished.nowhere()
    return finished.where(INFO, any_of(_of(finished, found.share < NOTHING)))


def _describe_nothing(fit: FinishedFit) -> Message:
    found, prior = _learned(fit.all), fit.problem.prior
    assert found is not None
    assert prior is not None
    chosen = np.flatnonzero(found.share[0] < NOTHING).tolist()
    names = tuple(prior.names[i] for i in chosen)
    return Message(
        f"the data say almost nothing about {', '.join(names)}: the standard error is that of the "
        "prior. The value is the prior's, and a result only as far as that is right.",
        params=names,
    )


PRIOR_CONFLICT = Check(
    "prior_conflict",
    _conflict_severity,
    _describe_conflict,
    About(
        seen=(
            "a param is more than 3 standard deviations √(sd² − se²) away from the mean of its "
            "prior, sd that of the prior and se the standard error"
        ),
        severity="warning",
        matters="data and prior contradict each other, and the fit is a compromise of the two",
        cure="a prior of the right sample and unit, a larger `sigma` or `sd`, or another model",
    ),
)
PRIOR_DECIDES = Check(
    "prior_decides",
    _nothing_severity,
    _describe_nothing,
    About(
        seen="the data reduce the variance of a param by less than a tenth of its prior's",
        severity="info",
        matters="the value and its standard error are the prior's, not a result of these data",
        cure="none needed if the prior is right; else rows where the param has an effect",
    ),
)

"""Confidence intervals of params: from their standard errors where the likelihood is near enough
to quadratic, else from its profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.inference.profile import WORK, profile
from service.engine.inference.statistics import Statistics
from service.engine.kernel import operators
from service.engine.kernel.statistics import probes
from service.engine.kernel.types import Bools, Floats
from service.engine.objectives.points import losses_at
from service.engine.problem import Problem

Method = Literal["t", "profile"]
LOOKED_AT = 2.0
"""Standard errors from the minimum, where the loss is compared with what the Jacobian says."""
UNASKED = WORK / 20
"""The work that profiles may cost that nobody asked for."""
AT_ONCE = 2**16
"""Predictions that are had at once."""
NEAR = 0.01
"""An end is at its minimum if it is no farther away, in units of the params' uncertainty."""
BENT = 2.0
"""It has risen by more than so many times that, or by less than that part of it: then the interval
by standard errors is wrong."""


@dataclass(frozen=True)
class Intervals:
    """Ends over the free params, float64."""

    method: Method
    lower: Floats
    """NaN where the data set no limit on that side."""
    upper: Floats
    bent: Bools
    """Of which params the interval by standard errors would be wrong."""
    open: Bools
    """On which params the data set no limit on some side."""
    better: Tensor | None = None
    """Params of a lower loss, where a profile came upon some."""


class TakesLong(Exception):
    """Profiles are needed, which take longer than whoever asks has time for."""


def intervals(
    problem: Problem, theta: Tensor, statistics: Statistics, level: float, method: Method, *,
    patient: bool = True,
) -> Intervals | None:  # fmt: skip
    """The intervals of a fit at θ (params,), by `method`; those that `t` would be wrong of by
    profile in any case, as far as little work goes. None where there are no standard errors. Raises
    TakesLong where there are profiles to walk and who asks is not `patient`."""
    stderr = statistics.stderr
    if stderr is None or not statistics.t_degrees > 0:
        return None
    bent = _bent(problem, theta, statistics)
    values = theta.double().cpu().numpy()[problem.places]
    half = statistics.t(level) * stderr
    lower, upper, chosen = values - half, values + half, bent | (method == "profile")
    if not (bent.any() or method == "profile"):
        return Intervals(method, lower, upper, bent, np.zeros_like(bent))
    if not patient:
        raise TakesLong
    asked = method == "profile"
    found = profile(problem, theta, statistics, level, chosen, WORK if asked else UNASKED)
    known = chosen & (asked | found.open | ~np.isnan(found.below + found.above))
    lower, upper = np.where(known, found.below, lower), np.where(known, found.above, upper)
    at_minimum = bool(statistics.offset <= NEAR)
    better = found.lower if at_minimum else None
    return Intervals(method, lower, upper, bent, found.open, better)


def _losses(problem: Problem, formula: Formula, points: Floats) -> Floats:
    """The mean squared error at each of some params; of short data from their predictions at once,
    which takes half the time."""
    if problem.rows * len(points) > AT_ONCE or problem.target.device.type != "cpu":
        return losses_at(problem, points)
    read = operators.read(formula.forward.tensors, problem.inputs, torch.from_numpy(points))
    with np.errstate(all="ignore"):
        z = read.numpy()[0] - problem.target.numpy()
        if problem.sigma is not None:
            z = z / problem.sigma.numpy()
        found: Floats = np.einsum("ij,ij->i", z, z) / problem.rows
    return found


def _bent(problem: Problem, theta: Tensor, statistics: Statistics) -> Bools:
    """Along which params the loss does not rise as the Jacobian says. A step of k standard errors
    that the others follow is to raise the sum of squares by k²s²."""
    figures, count = statistics.figures, len(statistics.free)
    none = np.zeros(count, dtype=np.bool_)
    formula, covariance = problem.formula, statistics.covariance
    if problem.is_linear or covariance is None or not isinstance(formula, Formula):
        return none
    variance = 1.0 if problem.sigma_absolute else figures.variance
    if figures.is_rounding or not variance > 0 or not (figures.stderr > 0).all():
        return none
    if not figures.offset <= NEAR:
        return none
    here: Floats = theta.double().cpu().numpy()
    points, clipped = probes(
        here, covariance, figures.stderr, problem.places, problem.limits.numpy(), LOOKED_AT
    )
    unit = LOOKED_AT**2 * variance / problem.rows
    if unit == 0.0:
        return none
    losses = _losses(problem.double(), formula, points).tolist()
    risen = [(loss - losses[0]) / unit for loss in losses[1:]]
    straight = np.array([1 / BENT <= each <= BENT for each in risen])
    bent: Bools = ~np.all((straight | clipped).reshape(2, count), axis=0)
    return bent

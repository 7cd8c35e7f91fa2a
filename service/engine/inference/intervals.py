"""Confidence intervals of params: from their standard errors where the likelihood is approximately
quadratic, else from its profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.inference.distributions import t_quantile
from service.engine.inference.profile import READING, WORK, profiles
from service.engine.inference.statistics import Figures, Statistics
from service.engine.kernel.statistics import probes
from service.engine.kernel.types import Bools, Floats
from service.engine.objectives.points import losses_at, losses_of
from service.engine.prior import extended, of_one
from service.engine.problem import Groups, Problem

Method = Literal["t", "profile"]
LOOKED_AT = 2.0
"""Distance from the minimum, in standard errors, at which the loss is compared with its quadratic
approximation by the Jacobian."""
UNASKED = WORK / 20
"""Budget of profiles that were not requested."""
WALKED = 200
"""Typical number of evaluations of the rows for the profile of a param, on both sides."""
AT_ONCE = 2**16
"""Predictions that are computed at once."""
NEAR = 0.01
"""Maximum relative offset of a fit that is at its minimum."""
NONLINEAR = 2.0
"""Factor between the rise of the loss and its quadratic approximation from which on the interval by
standard errors is wrong."""


@dataclass(frozen=True)
class Intervals:
    """Confidence limits of the free params of a fit, (q,), or of many, (fits, q); float64."""

    method: Method
    lower: Floats
    """NaN where the data set no limit on that side, and where there is no standard error."""
    upper: Floats
    nonlinear: Bools
    """For which params the loss is not quadratic, so that standard errors would be wrong."""
    open: Bools
    """For which params the data set no limit on one side."""
    better: Floats
    """Params with a lower loss found by a profile, (…, p); else NaN."""

    @property
    def has_better(self) -> Any:
        """Whether a lower loss was found, for one fit or for each."""
        return ~np.isnan(self.better).all(axis=-1)


class TakesLong(Exception):
    """Profiles are needed, but `patient` is false."""


def intervals(
    problem: Problem, theta: Tensor, statistics: Statistics, level: float, method: Method, *,
    patient: bool = True, exact: bool = True,
) -> Intervals | None:  # fmt: skip
    """The intervals of a fit at θ (params,), by `method`. Where `t` would be wrong they are by
    profile in any case, within a small budget; unless `exact`, for what the profiles say of the fit
    alone. None without standard errors. Raises TakesLong if profiles are needed and `patient` is
    false."""
    stderr = statistics.stderr
    is_robust = not problem.loss.has_likelihood
    if stderr is None or not statistics.t_degrees > 0 or (is_robust and method == "profile"):
        return None
    problem = of_one(problem)
    nonlinear = _nonlinear(problem, theta, statistics) & (problem.order is None)
    here: Floats = theta.double().cpu().numpy()
    values, t = here[problem.places], statistics.t(level)
    lower, upper = values - t * stderr, values + t * stderr
    asked = method == "profile"
    if not (nonlinear.any() or asked):
        none = np.full_like(here, np.nan)
        return Intervals(method, lower, upper, nonlinear, np.zeros_like(nonlinear), none)
    if not patient:
        raise TakesLong
    fits = Groups(problem.whole, theta.double().cpu().unsqueeze(0))
    ends, chosen = np.stack([lower, upper])[:, None], (nonlinear | asked)[None]
    found = _by_profile(
        problem, fits, statistics.figures, np.array([t]), ends, nonlinear[None], chosen, method,
        exact=exact or asked,
    )  # fmt: skip
    return Intervals(
        method, found.lower[0], found.upper[0], nonlinear, found.open[0], found.better[0]
    )


def intervals_of(
    problem: Problem, fits: Groups, theta: Tensor, figures: Figures, level: float, method: Method
) -> Intervals:
    """The intervals of many fits at θ (fits, params). Unless profiles are requested, they are
    computed for the params for which standard errors would be most wrong."""
    here: Floats = theta.numpy()
    q, none = len(problem.places), np.full_like(here, np.nan)
    loss = problem.loss
    is_plain = loss.has_likelihood or (loss.is_smooth and method == "t")
    if figures.stderr.shape[-1] != q or not is_plain:
        nothing = np.full((len(fits), q), np.nan)
        never = np.zeros(nothing.shape, dtype=np.bool_)
        return Intervals(method, nothing, nothing, never, never, none)
    degrees = np.full(len(fits), np.inf) if problem.sigma_absolute else figures.degrees_of_freedom
    t = _quantiles(0.5 + level / 2, degrees)
    with_prior = extended(problem, fits)
    problem, fits = with_prior.problem, with_prior.fits
    departure = _departures(problem, fits, here, figures)
    nonlinear: Bools = departure > math.log(NONLINEAR)
    whole = np.isfinite(figures.stderr).all(axis=1) & np.isfinite(t)
    nonlinear &= whole[:, None]
    values, half = here[:, problem.places], t[:, None] * figures.stderr
    lower, upper = values - half, values + half
    if method == "profile":
        chosen = whole[:, None] & np.ones_like(nonlinear)
    else:
        chosen = nonlinear & _first(departure, fits.sizes.numpy(), problem.formula.operations)
    if not chosen.any():
        return Intervals(method, lower, upper, nonlinear, np.zeros_like(nonlinear), none)
    ends, fits = np.stack([lower, upper]), Groups(fits.spans, theta)
    return _by_profile(problem, fits, figures, t, ends, nonlinear, chosen, method)


def _by_profile(
    problem: Problem, fits: Groups, figures: Figures, t: Floats,
    ends: Floats, nonlinear: Bools, chosen: Bools, method: Method, *, exact: bool = True,
) -> Intervals:  # fmt: skip
    """The intervals of fits at their `initial`: by profile for the params `chosen`, else `ends`
    (2, fits, q), those by standard errors."""
    asked = method == "profile"
    found = profiles(problem, fits, figures, chosen, t, WORK if asked else UNASKED, exact=exact)
    known = chosen & (asked | found.open | ~np.isnan(found.ends).any(axis=0))
    lower, upper = np.where(known, found.ends, ends)
    at_minimum = np.reshape(figures.offset, (-1, 1)) <= NEAR
    better = np.where(at_minimum, found.lower, np.nan)
    open_ended = found.open & np.isnan(better).all(axis=1, keepdims=True)
    return Intervals(method, lower, upper, nonlinear, open_ended, better)


def _quantiles(part: float, degrees: Floats) -> Floats:
    """Quantiles of Student's t, normal for infinite degrees of freedom; NaN for none."""
    kinds, of = np.unique(degrees, return_inverse=True)
    found = [t_quantile(part, kind) if kind > 0 else math.nan for kind in kinds.tolist()]
    return np.array(found)[of.reshape(-1)]


def _first(departure: Floats, rows: Floats, operations: int) -> Bools:
    """The params with the largest departures whose profiles are within the budget, (fits, q)."""
    order = np.argsort(-departure, axis=None, kind="stable")
    cost = np.repeat(rows * (WALKED * READING * operations), departure.shape[1])
    chosen = np.zeros(departure.size, dtype=np.bool_)
    chosen[order] = np.cumsum(cost[order]) <= UNASKED
    return chosen.reshape(departure.shape)


def _departures(problem: Problem, fits: Groups, here: Floats, figures: Figures) -> Floats:
    """The logarithm of the ratio of the rise of the loss to its quadratic approximation, along each
    param, (fits, q): see `_nonlinear`."""
    q, stderr, limits = len(problem.places), figures.stderr, problem.limits.numpy()
    departure = np.zeros((len(fits), q))
    variance = np.ones(len(fits)) if problem.sigma_absolute else figures.variance
    asked = (figures.offset <= NEAR) & ~figures.is_rounding & (variance > 0)
    at = np.flatnonzero(asked & (stderr > 0).all(axis=1))
    if problem.is_linear or not isinstance(problem.formula, Formula) or not len(at):
        return departure
    if problem.order is not None:
        return departure
    if not problem.loss.is_least_squares:
        return departure
    steps = np.zeros((len(at), q, here.shape[1]))
    steps[:, :, problem.places] = LOOKED_AT * figures.covariance[at] / stderr[at, :, None]
    steps = np.concatenate([steps, -steps], axis=1)
    points = here[at, None] + steps
    within = np.clip(points, *limits)
    clipped = (within != points).any(axis=2)
    spans = fits.spans[:, torch.from_numpy(np.repeat(at, 2 * q + 1))]
    points = np.concatenate([here[at, None], within], axis=1)
    flat = torch.from_numpy(points.reshape(-1, here.shape[1]))
    losses = losses_of(problem.double(), Groups(spans, flat), flat).numpy().reshape(len(at), -1)
    unit = LOOKED_AT**2 * variance[at] / fits.sizes.numpy()[at]
    with np.errstate(all="ignore"):
        found = np.abs(np.log((losses[:, 1:] - losses[:, :1]) / unit[:, None]))
    found = np.where(clipped, 0.0, np.nan_to_num(found, nan=np.inf))
    departure[at] = found.reshape(len(at), 2, q).max(axis=1)
    return departure


def _nonlinear(problem: Problem, theta: Tensor, statistics: Statistics) -> Bools:
    """Along which params the loss is not quadratic. A step of k standard errors, with the other
    params at their conditional minimum, raises a quadratic sum of squares by k²s²."""
    figures, count = statistics.figures, len(statistics.free)
    none = np.zeros(count, dtype=np.bool_)
    formula = problem.formula
    covariance = None if statistics.covariance is None else figures.covariance
    if problem.is_linear or covariance is None or not isinstance(formula, Formula):
        return none
    if not problem.loss.is_least_squares:
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
    losses = losses_at(problem.double(), points).tolist()
    risen = [(loss - losses[0]) / unit for loss in losses[1:]]
    straight = np.array([1 / NONLINEAR <= each <= NONLINEAR for each in risen])
    nonlinear: Bools = ~np.all((straight | clipped).reshape(2, count), axis=0)
    return nonlinear

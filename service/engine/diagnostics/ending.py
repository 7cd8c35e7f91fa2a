"""Checks of how a fit ended: non-finite, not at the minimum, at a bound, or at its start."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.diagnostics.finished import (
    ERROR,
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
    any_of,
    negated,
)
from service.engine.inference.intervals import NEAR
from service.engine.kernel.types import Bools

POOR = 1e8
"""A condition number above which half of the digits are lost."""
FAR = 0.1
"""Relative offset (Bates and Watts): distance to the minimum in units of the uncertainty."""


def _finite_severity(finished: FinishedFits) -> Severities:
    """The params or the loss are not finite."""
    finite = np.isfinite(finished.loss) & negated(any_of(~np.isfinite(finished.params)))
    return finished.where(ERROR, negated(finite))


def _describe_finite(fit: FinishedFit) -> Message:
    started = math.isfinite(fit.result.first_loss)
    return Message(
        "the params or the loss became non-finite; predictions and statistics use `best`"
        if started
        else "the loss is not finite at the initial params; use other initial values"
        + _of_domain(fit)
    )


def _of_domain(fit: FinishedFit) -> str:
    """What a likelihood asks of initial values."""
    likelihood = fit.problem.loss.likelihood
    if likelihood is None:
        return ""
    ends = "above 0" if likelihood.upper is None else "between 0 and 1"
    return (
        f", at which the mean of every row is {ends}; or a formula that always is, such as exp(…)"
    )


def _converged_severity(finished: FinishedFits) -> Severities:
    """The fit stopped before the minimum: ERROR if it diverged or its relative offset is above
    `FAR`."""
    offset, diverged = finished.statistics.offset, finished.ended("diverged")
    explained = diverged & np.isfinite(finished.limit)
    short = offset > NEAR
    if not finished.problem.loss.has_likelihood:
        short = short & negated(finished.ended("converged"))
    severity = finished.either(diverged | (offset > FAR), ERROR, WARNING)
    return finished.where(severity, (diverged | short) & negated(explained))


def _describe_converged(fit: FinishedFit) -> Message:
    result, offset = fit.result, fit.statistics.offset
    if result.diverged:
        return Message(
            "the fit diverged; predictions and statistics use `best`",
            suggestion=_other_optimizer(fit),
        )
    distance = f"{offset:.2g}" if math.isfinite(offset) else "many"
    ran = f"{result.epochs:,} epoch" + "s" * (result.epochs != 1)
    return Message(
        f"after {ran} ({result.stop_reason}) the params are about {distance} times their own "
        "uncertainty away from the minimum. Use more epochs, scaled inputs or another optimizer.",
        suggestion=_other_optimizer(fit),
    )


def _other_optimizer(fit: FinishedFit) -> dict[str, Any] | None:
    """A patch: the optimizer chosen for the problem; if that was used already, more epochs."""
    method = fit.options.method
    if not (method.is_direct or method.challenges):
        return {"optimizer": "auto"}
    if fit.result.stop_reason == "max_epochs":
        agreed = fit.result.searched
        is_hopeless = fit.statistics.condition > POOR or (agreed is not None and agreed[0] < 2)
        return None if is_hopeless else {"epochs": 10 * fit.options.epochs}
    return {"params": None} if not method.is_direct else None


def _at_bound(finished: FinishedFits) -> Bools:
    """Which params are at a bound, (fits, params)."""
    lower, upper = finished.problem.lower, finished.problem.upper
    limits = (lower.double().cpu().numpy(), upper.double().cpu().numpy())
    on = (finished.params == limits[0]) | (finished.params == limits[1])
    free = np.array(finished.problem.free, dtype=bool)
    return np.asarray(on & np.isfinite(finished.params) & free)


def _bound_severity(finished: FinishedFits) -> Severities:
    """A param ended at its bound."""
    if not finished.problem.is_bounded:
        return finished.nowhere()
    return finished.where(WARNING, any_of(_at_bound(finished)))


def _describe_bound(fit: FinishedFit) -> Message:
    names = _named(fit, _at_bound(fit.all))
    texts = [f"`{text}`" for name, text in fit.problem.limited if name in names]
    by = f" ({', '.join(texts)})" if texts else ""
    return Message(
        f"{', '.join(names)} ended at a bound{by}: the loss is lower beyond it. Its standard error "
        "does not take the bound into account.",
        params=names,
        suggestion=None
        if texts
        else {"params": {name: {"min": None, "max": None} for name in names}},
    )


def _unmoved(finished: FinishedFits) -> Bools:
    """Which params are unchanged from the start away from the minimum, (fits, params)."""
    still = np.zeros(finished.params.shape, dtype=bool)
    if finished.options.method.is_direct:
        return still
    statistics = finished.statistics
    free = finished.free
    same = finished.params[..., free] == finished.initial[..., free]
    if not same.any():
        return still
    away = np.asarray(statistics.offset > NEAR)[..., None]
    if statistics.held.shape == same.shape:
        away = (away | statistics.flat) & ~statistics.held
    went = np.asarray((finished.epochs > 0) & negated(finished.ended("diverged")))
    if finished.stepping.shape == same.shape:
        same &= ~finished.stepping
    still[..., free] = same & away & went[..., None]
    return still


def _unmoved_severity(finished: FinishedFits) -> Severities:
    """A free param is unchanged from the start, though the fit is not at the minimum."""
    return finished.where(ERROR, any_of(_unmoved(finished)))


def _describe_unmoved(fit: FinishedFit) -> Message:
    names = _named(fit, _unmoved(fit.all))
    # On scaled inputs the values of the other params may depend on these.
    removed = None if fit.is_scaled else dict.fromkeys(names)
    return Message(
        f"{', '.join(names)} did not move from the start: there the loss does not depend on it, or "
        "no step lowers the loss. Use another initial value.",
        params=names,
        suggestion=None if set(names) <= set(fit.guessed) else {"params": removed},
    )


def _named(fit: FinishedFit, chosen: Bools) -> tuple[str, ...]:
    return tuple(n for n, on in zip(fit.problem.params, chosen.tolist(), strict=True) if on)


NON_FINITE = Check(
    "non_finite",
    _finite_severity,
    _describe_finite,
    About(
        seen="the params or the loss are not finite",
        severity="error",
        matters="such params cannot predict; predictions and statistics use `best`",
        cure="a start where the loss is finite, or the cure of the other diagnostics",
    ),
)
NOT_CONVERGED = Check(
    "not_converged",
    _converged_severity,
    _describe_converged,
    About(
        seen=(
            "the params are more than 0.01 of their own uncertainty away from the minimum (Bates "
            "and Watts's relative offset), or the fit diverged without a known cause"
        ),
        severity="error above 0.1, or if the fit diverged; else warning",
        matters="other params fit better, and the standard errors are not those of the best ones",
        cure='`"optimizer": "auto"`, or ten times the epochs, or another start',
    ),
)
AT_BOUND = Check(
    "at_bound",
    _bound_severity,
    _describe_bound,
    About(
        seen="a param ended at its bound",
        severity="warning",
        matters=(
            "the loss is lower beyond it, so that the bound rather than the data determines the "
            "value; its standard error does not take the bound into account"
        ),
        cure="the fit without that bound; none needed if the bound is certain",
    ),
)
UNMOVED = Check(
    "unmoved",
    _unmoved_severity,
    _describe_unmoved,
    About(
        seen="a param is unchanged from the start, away from the minimum",
        severity="error",
        matters=(
            "the loss does not depend on it there, or no step lowers the loss: its value comes "
            "from the start, not from the data"
        ),
        cure="the fit without that initial value, so that a start is searched for",
    ),
)

"""Checks of how a fit ended: non-finite, not at the minimum, at a bound, or at its start."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.diagnostics.finding import (
    ERROR,
    WARNING,
    About,
    Check,
    Finding,
    Findings,
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


def _finite_severity(findings: Findings) -> Severities:
    """The params or the loss are not finite."""
    finite = np.isfinite(findings.loss) & negated(any_of(~np.isfinite(findings.params)))
    return findings.where(ERROR, negated(finite))


def _describe_finite(finding: Finding) -> Message:
    started = math.isfinite(finding.result.first_loss)
    return Message(
        "the params or the loss became non-finite; predictions and statistics use `best`"
        if started
        else "the loss is not finite at the initial params; use other initial values"
        + _of_domain(finding)
    )


def _of_domain(finding: Finding) -> str:
    """What a likelihood asks of initial values."""
    likelihood = finding.problem.loss.likelihood
    if likelihood is None:
        return ""
    ends = "above 0" if likelihood.upper is None else "between 0 and 1"
    return (
        f", at which the mean of every row is {ends}; or a formula that always is, such as exp(…)"
    )


def _converged_severity(findings: Findings) -> Severities:
    """The fit stopped before the minimum: ERROR if it diverged or its relative offset is above
    `FAR`."""
    offset, diverged = findings.statistics.offset, findings.ended("diverged")
    explained = diverged & np.isfinite(findings.limit)
    short = offset > NEAR
    if not findings.problem.loss.has_covariance:
        short = short & negated(findings.ended("converged"))
    severity = findings.either(diverged | (offset > FAR), ERROR, WARNING)
    return findings.where(severity, (diverged | short) & negated(explained))


def _describe_converged(finding: Finding) -> Message:
    result, offset = finding.result, finding.statistics.offset
    if result.diverged:
        return Message(
            "the fit diverged; predictions and statistics use `best`",
            suggestion=_other_optimizer(finding),
        )
    distance = f"{offset:.2g}" if math.isfinite(offset) else "many"
    ran = f"{result.epochs:,} epoch" + "s" * (result.epochs != 1)
    return Message(
        f"after {ran} ({result.stop_reason}) the params are about {distance} times their own "
        "uncertainty away from the minimum. Use more epochs, scaled inputs or another optimizer.",
        suggestion=_other_optimizer(finding),
    )


def _other_optimizer(finding: Finding) -> dict[str, Any] | None:
    """A patch: the optimizer chosen for the problem; if that was used already, more epochs."""
    method = finding.options.method
    if not (method.is_direct or method.challenges):
        return {"optimizer": "auto"}
    if finding.result.stop_reason == "max_epochs":
        agreed = finding.result.searched
        is_hopeless = finding.statistics.condition > POOR or (agreed is not None and agreed[0] < 2)
        return None if is_hopeless else {"epochs": 10 * finding.options.epochs}
    return {"params": None} if not method.is_direct else None


def _at_bound(findings: Findings) -> Bools:
    """Which params are at a bound, (fits, params)."""
    lower, upper = findings.problem.lower, findings.problem.upper
    limits = (lower.double().cpu().numpy(), upper.double().cpu().numpy())
    on = (findings.params == limits[0]) | (findings.params == limits[1])
    free = np.array(findings.problem.free, dtype=bool)
    return np.asarray(on & np.isfinite(findings.params) & free)


def _bound_severity(findings: Findings) -> Severities:
    """A param ended at its bound."""
    if not findings.problem.is_bounded:
        return findings.nowhere()
    return findings.where(WARNING, any_of(_at_bound(findings)))


def _describe_bound(finding: Finding) -> Message:
    names = _named(finding, _at_bound(finding.all))
    return Message(
        f"{', '.join(names)} ended at a bound: the loss is lower beyond it. Its standard error "
        "does not take the bound into account.",
        params=names,
        suggestion={"params": {name: {"min": None, "max": None} for name in names}},
    )


def _unmoved(findings: Findings) -> Bools:
    """Which params are unchanged from the start away from the minimum, (fits, params)."""
    still = np.zeros(findings.params.shape, dtype=bool)
    if findings.options.method.is_direct:
        return still
    statistics = findings.statistics
    free = findings.free
    same = findings.params[..., free] == findings.initial[..., free]
    if not same.any():
        return still
    away = np.asarray(statistics.offset > NEAR)[..., None]
    if statistics.held.shape == same.shape:
        away = (away | statistics.flat) & ~statistics.held
    went = np.asarray((findings.epochs > 0) & negated(findings.ended("diverged")))
    if findings.stepping.shape == same.shape:
        same &= ~findings.stepping
    still[..., free] = same & away & went[..., None]
    return still


def _unmoved_severity(findings: Findings) -> Severities:
    """A free param is unchanged from the start, though the fit is not at the minimum."""
    return findings.where(ERROR, any_of(_unmoved(findings)))


def _describe_unmoved(finding: Finding) -> Message:
    names = _named(finding, _unmoved(finding.all))
    # On scaled inputs the values of the other params may depend on these.
    removed = None if finding.is_scaled else dict.fromkeys(names)
    return Message(
        f"{', '.join(names)} did not move from the start: there the loss does not depend on it, or "
        "no step lowers the loss. Use another initial value.",
        params=names,
        suggestion=None if set(names) <= set(finding.guessed) else {"params": removed},
    )


def _named(finding: Finding, chosen: Bools) -> tuple[str, ...]:
    return tuple(n for n, on in zip(finding.problem.params, chosen.tolist(), strict=True) if on)


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

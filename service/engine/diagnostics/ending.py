"""How a fit ended: not at a number, not at the minimum, on a limit, or where it began."""

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
    Grades,
    Said,
    no,
    some,
)
from service.engine.inference.intervals import NEAR
from service.engine.kernel.types import Bools

POOR = 1e8
"""A condition number above which half of the digits are lost."""
FAR = 0.1
"""In units of the params' own uncertainty: Bates and Watts's relative offset."""


def _grade_finite(findings: Findings) -> Grades:
    """The params or the loss are no longer numbers."""
    finite = np.isfinite(findings.loss) & no(some(~np.isfinite(findings.params)))
    return findings.where(ERROR, no(finite))


def _tell_finite(finding: Finding) -> Said:
    started = math.isfinite(finding.result.first_loss)
    return Said(
        "the params or the loss are no longer finite; predictions and statistics use `best`"
        if started
        else "the loss is not finite at the initial params; start elsewhere"
    )


def _grade_converged(findings: Findings) -> Grades:
    """The fit stopped short of the minimum: far, if its distance rivals the uncertainty itself."""
    offset, diverged = findings.statistics.offset, findings.ended("diverged")
    explained = diverged & np.isfinite(findings.limit)
    short = offset > NEAR
    if not findings.problem.loss.is_least_squares:
        short = short & no(findings.ended("converged"))
    grade = findings.either(diverged | (offset > FAR), ERROR, WARNING)
    return findings.where(grade, (diverged | short) & no(explained))


def _tell_converged(finding: Finding) -> Said:
    result, offset = finding.result, finding.statistics.offset
    if result.diverged:
        return Said(
            "the fit diverged; predictions and statistics use `best`",
            suggestion=_another_way(finding),
        )
    distance = f"{offset:.2g}" if math.isfinite(offset) else "many"
    ran = f"{result.epochs:,} epoch" + "s" * (result.epochs != 1)
    return Said(
        f"after {ran} ({result.stop_reason}) the params are about {distance} times their own "
        "uncertainty away from the minimum. More epochs, scaled inputs or another optimizer get "
        "there.",
        suggestion=_another_way(finding),
    )


def _another_way(finding: Finding) -> dict[str, Any] | None:
    """The optimizer that suits the problem; where it is that one already, more epochs."""
    if finding.options.optimizer not in ("levenberg_marquardt", "exact"):
        return {"optimizer": "auto"}
    if finding.result.stop_reason == "max_epochs":
        agreed = finding.result.searched
        crawls = finding.statistics.condition > POOR or (agreed is not None and agreed[0] < 2)
        return None if crawls else {"epochs": 10 * finding.options.epochs}
    return {"params": None} if finding.options.optimizer != "exact" else None


def _on_limit(findings: Findings) -> Bools:
    """Which params are on a limit, (fits, params)."""
    lower, upper = findings.problem.lower, findings.problem.upper
    limits = (lower.double().cpu().numpy(), upper.double().cpu().numpy())
    on = (findings.params == limits[0]) | (findings.params == limits[1])
    free = np.array(findings.problem.free, dtype=bool)
    return np.asarray(on & np.isfinite(findings.params) & free)


def _grade_bound(findings: Findings) -> Grades:
    """A param ended on its limit."""
    if not findings.problem.is_bounded:
        return findings.nowhere()
    return findings.where(WARNING, some(_on_limit(findings)))


def _tell_bound(finding: Finding) -> Said:
    names = _named(finding, _on_limit(finding.all))
    return Said(
        f"{', '.join(names)} ended on a limit: the data pull beyond it. Its standard error does "
        "not know of the limit.",
        params=names,
        suggestion={"params": {name: {"min": None, "max": None} for name in names}},
    )


def _unmoved(findings: Findings) -> Bools:
    """Which params are where they began though they might go lower, (fits, params)."""
    still = np.zeros(findings.params.shape, dtype=bool)
    if findings.options.optimizer == "exact":
        return still
    statistics = findings.statistics
    free = findings.free
    same = findings.params[..., free] == findings.initial[..., free]
    if not same.any():
        return still
    away = np.asarray(statistics.offset > NEAR)[..., None]
    if statistics.held.shape == same.shape:
        away = (away | statistics.flat) & ~statistics.held
    went = np.asarray((findings.epochs > 0) & no(findings.ended("diverged")))
    if findings.stepping.shape == same.shape:
        same &= ~findings.stepping
    still[..., free] = same & away & went[..., None]
    return still


def _grade_unmoved(findings: Findings) -> Grades:
    """A free param is where it began, though the fit is not at the minimum."""
    return findings.where(ERROR, some(_unmoved(findings)))


def _tell_unmoved(finding: Finding) -> Said:
    names = _named(finding, _unmoved(finding.all))
    # On scaled inputs the values of the others may depend on these.
    left = None if finding.is_scaled else dict.fromkeys(names)
    return Said(
        f"{', '.join(names)} did not move from the start: there the loss does not depend on it, or "
        "no step lowers the loss. Start elsewhere.",
        params=names,
        suggestion=None if set(names) <= set(finding.guessed) else {"params": left},
    )


def _named(finding: Finding, chosen: Bools) -> tuple[str, ...]:
    return tuple(n for n, on in zip(finding.problem.params, chosen.tolist(), strict=True) if on)


NON_FINITE = Check(
    "non_finite",
    _grade_finite,
    _tell_finite,
    About(
        seen="the params or the loss are no longer numbers",
        severity="error",
        matters="nothing can be predicted with them; predictions and statistics use `best`",
        cure="a start where the loss is finite, or what the other diagnostics say",
    ),
)
NOT_CONVERGED = Check(
    "not_converged",
    _grade_converged,
    _tell_converged,
    About(
        seen=(
            "the params are a good part of their own uncertainty away from the minimum (a "
            "relative offset above 0.01), or the fit diverged for no cause named above"
        ),
        severity="error above 0.1, or where it diverged; else warning",
        matters="other params fit better, and the standard errors are not those of the best ones",
        cure='`"optimizer": "auto"`, or ten times the epochs, or another start',
    ),
)
AT_BOUND = Check(
    "at_bound",
    _grade_bound,
    _tell_bound,
    About(
        seen="a param ended on its limit",
        severity="warning",
        matters=(
            "the data pull beyond it, so that the limit rather than the data sets its "
            "value; its standard error does not know of the limit"
        ),
        cure="the fit without that limit, or a better reason for it",
    ),
)
UNMOVED = Check(
    "unmoved",
    _grade_unmoved,
    _tell_unmoved,
    About(
        seen="a param is where it began, away from the minimum",
        severity="error",
        matters=(
            "there the loss does not depend on it, or no step lowers the loss: its value is "
            "the start's, not the data's"
        ),
        cure="the fit without that initial value, so that a start is searched for",
    ),
)

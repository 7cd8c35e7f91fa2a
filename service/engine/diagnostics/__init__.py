"""Diagnostics of finished fits: what went wrong, why it matters, and a request that fixes it.

Each check computes its severity for many fits at once, and describes one of them. A suggestion is a
JSON merge patch (RFC 7396) of the request. `VERDICTS` maps the worst severity to a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from service.engine.diagnostics.counts import OVERDISPERSED
from service.engine.diagnostics.descent import (
    GRADIENT_IMBALANCE,
    LEARNING_RATE_TOO_HIGH,
    POOR_SCALE,
)
from service.engine.diagnostics.determination import (
    FEW_DEGREES_OF_FREEDOM,
    ILL_CONDITIONED,
    NONLINEAR_INTERVAL,
    RANK_DEFICIENT,
    STEP_PARAM,
    UNDETERMINED,
)
from service.engine.diagnostics.ending import AT_BOUND, NON_FINITE, NOT_CONVERGED, UNMOVED
from service.engine.diagnostics.finished import (
    ERROR,
    SEVERITIES,
    VERDICTS,
    Check,
    Diagnostic,
    FinishedFit,
    FinishedFits,
    Severities,
    Verdict,
)
from service.engine.diagnostics.noise import (
    FLAGGED_OUTLIERS,
    NOISE_UNDETERMINED,
    NOISE_UNSETTLED,
)
from service.engine.diagnostics.order import AT_CONSTRAINT
from service.engine.diagnostics.priors import PRIOR_CONFLICT, PRIOR_DECIDES
from service.engine.diagnostics.resampling import (
    FEW_REPLICATES,
    LOST_REPLICATES,
    LOW_COVERAGE,
)
from service.engine.diagnostics.residuals import (
    AUTOCORRELATED_RESIDUALS,
    LOST_IN_ROUNDING,
    OUTLIERS,
    UNEXPLAINED,
)
from service.engine.diagnostics.spread import NON_CONSTANT_SPREAD
from service.engine.diagnostics.starts import (
    BETTER_MINIMUM,
    GUESSED_START,
    MULTI_START_DISAGREES,
    NOT_CHALLENGED,
)

CHECKS: Sequence[Check] = (
    LEARNING_RATE_TOO_HIGH,
    GRADIENT_IMBALANCE,
    POOR_SCALE,
    LOST_IN_ROUNDING,
    NON_FINITE,
    BETTER_MINIMUM,
    NOT_CONVERGED,
    NOISE_UNSETTLED,
    NOISE_UNDETERMINED,
    UNMOVED,
    RANK_DEFICIENT,
    STEP_PARAM,
    UNDETERMINED,
    NONLINEAR_INTERVAL,
    ILL_CONDITIONED,
    FEW_DEGREES_OF_FREEDOM,
    AT_BOUND,
    AT_CONSTRAINT,
    UNEXPLAINED,
    OUTLIERS,
    FLAGGED_OUTLIERS,
    AUTOCORRELATED_RESIDUALS,
    NON_CONSTANT_SPREAD,
    OVERDISPERSED,
    PRIOR_CONFLICT,
    PRIOR_DECIDES,
    GUESSED_START,
    MULTI_START_DISAGREES,
    NOT_CHALLENGED,
    LOST_REPLICATES,
    FEW_REPLICATES,
    LOW_COVERAGE,
)
"""All checks, in the order in which they are reported."""


@np.errstate(all="ignore")
def examine(fit: FinishedFit) -> list[Diagnostic]:
    """The diagnostics of one fit."""
    found = []
    for check in CHECKS:
        severity = check.severity(fit.all)
        if severity:
            message = check.describe(fit)
            # At the wrong minimum, only another start helps.
            if fit.lower is not None and check is not BETTER_MINIMUM:
                message = replace(message, suggestion=None)
            found.append(
                Diagnostic(
                    check.code,
                    SEVERITIES[severity - 1],
                    message.text,
                    message.params,
                    message.suggestion,
                )
            )
    return found


def verdict(diagnostics: Sequence[Diagnostic]) -> Verdict:
    """The verdict on a fit with those diagnostics."""
    return VERDICTS[max((SEVERITIES.index(each.severity) + 1 for each in diagnostics), default=0)]


@np.errstate(all="ignore")
def severities(finished: FinishedFits, checks: Sequence[Check] = CHECKS) -> dict[str, Severities]:
    """The severity in each of many fits, (fits,) int8, by the codes that occur."""
    found: dict[str, Severities] = {}
    for check in checks:
        severity = check.severity(finished)
        if severity.any():
            before = found.get(check.code)
            found[check.code] = severity if before is None else np.maximum(before, severity)
    return found


__all__ = [
    "CHECKS",
    "ERROR",
    "Check",
    "Diagnostic",
    "FinishedFit",
    "FinishedFits",
    "Verdict",
    "examine",
    "severities",
    "verdict",
]

"""What went wrong with fits, why it matters, and the request that would cure it.

Each check grades finished fits, many at once, and tells of one of them what it saw. A suggestion is
a JSON merge patch (RFC 7396) of the request. `VERDICTS` says how far to trust a fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

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
from service.engine.diagnostics.finding import (
    ERROR,
    SEVERITIES,
    VERDICTS,
    Check,
    Diagnostic,
    Finding,
    Findings,
    Grades,
    Verdict,
)
from service.engine.diagnostics.residuals import (
    AUTOCORRELATED_RESIDUALS,
    LOST_IN_ROUNDING,
    OUTLIERS,
    UNEXPLAINED,
)
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
    UNMOVED,
    RANK_DEFICIENT,
    STEP_PARAM,
    UNDETERMINED,
    NONLINEAR_INTERVAL,
    ILL_CONDITIONED,
    FEW_DEGREES_OF_FREEDOM,
    AT_BOUND,
    UNEXPLAINED,
    OUTLIERS,
    AUTOCORRELATED_RESIDUALS,
    GUESSED_START,
    MULTI_START_DISAGREES,
    NOT_CHALLENGED,
)
"""In the order in which they are told."""


@np.errstate(all="ignore")
def examine(finding: Finding) -> list[Diagnostic]:
    """All that is worth saying about a fit."""
    found = []
    for check in CHECKS:
        grade = check.grade(finding.all)
        if grade:
            said = check.tell(finding)
            # Nothing helps a fit that is at the wrong end but to set out from elsewhere.
            if finding.lower is not None and check is not BETTER_MINIMUM:
                said = replace(said, suggestion=None)
            severity = SEVERITIES[grade - 1]
            found.append(
                Diagnostic(check.code, severity, said.message, said.params, said.suggestion)
            )
    return found


def verdict(diagnostics: Sequence[Diagnostic]) -> Verdict:
    """How far to trust a fit of which that is said."""
    return VERDICTS[max((SEVERITIES.index(each.severity) + 1 for each in diagnostics), default=0)]


@np.errstate(all="ignore")
def grades(findings: Findings) -> dict[str, Grades]:
    """What is worth saying about fits: for each code its severity in each of them."""
    found: dict[str, Grades] = {}
    for check in CHECKS:
        grade = check.grade(findings)
        if grade.any():
            before = found.get(check.code)
            found[check.code] = grade if before is None else np.maximum(before, grade)
    return found


__all__ = [
    "CHECKS",
    "ERROR",
    "Check",
    "Diagnostic",
    "Finding",
    "Findings",
    "Verdict",
    "examine",
    "grades",
    "verdict",
]

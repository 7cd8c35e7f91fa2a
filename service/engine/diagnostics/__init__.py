"""What went wrong with a fit, why it matters, and the request that would cure it.

Each check looks at a finished fit and says nothing or one `Diagnostic`. A suggestion is a JSON
merge patch (RFC 7396) of the request. A fit is trustworthy when no diagnostic is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.diagnostics.descent import (
    gradient_imbalance,
    learning_rate_too_high,
    poor_scale,
)
from service.engine.diagnostics.determination import (
    few_degrees_of_freedom,
    guessed_start,
    ill_conditioned,
    multi_start_disagrees,
    rank_deficient,
)
from service.engine.diagnostics.ending import at_bound, non_finite, not_converged, unmoved
from service.engine.diagnostics.finding import Check, Diagnostic, Finding
from service.engine.diagnostics.residuals import (
    autocorrelated_residuals,
    lost_in_rounding,
    outliers,
    unexplained,
)

CHECKS: Sequence[Check] = (
    learning_rate_too_high,
    gradient_imbalance,
    poor_scale,
    lost_in_rounding,
    non_finite,
    not_converged,
    unmoved,
    rank_deficient,
    ill_conditioned,
    few_degrees_of_freedom,
    at_bound,
    unexplained,
    outliers,
    autocorrelated_residuals,
    guessed_start,
    multi_start_disagrees,
)
"""In the order in which they are told."""


def examine(finding: Finding) -> list[Diagnostic]:
    """All that is worth saying about a fit."""
    return [said for said in (check(finding) for check in CHECKS) if said is not None]


__all__ = ["CHECKS", "Diagnostic", "Finding", "examine"]

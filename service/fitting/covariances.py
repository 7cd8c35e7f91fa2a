"""The covariance of params that a request gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from service.engine.kernel.types import Floats
from service.errors import InvalidRequest
from service.fitting.start import known_names

NEGATIVE = -1e-6
"""The smallest eigenvalue of a correlation matrix, but for digits that were not printed."""


def to_covariance(
    given: Mapping[str, Mapping[str, float]], params: Sequence[str]
) -> tuple[list[str], Floats]:
    """The free params, and their covariance, (q, q). Raises InvalidRequest."""
    free = list(given)
    known_names(free, params, pointer="/covariance")
    if any(list(row) != free for row in given.values()):
        raise InvalidRequest(
            "all rows of `covariance` must have the same params in the same order",
            pointer="/covariance",
        )
    matrix = np.array([list(row.values()) for row in given.values()], dtype=np.float64)
    matrix = matrix.reshape(len(free), len(free))
    variances = np.diag(matrix)
    for name, variance in zip(free, variances.tolist(), strict=True):
        if variance < 0:
            raise InvalidRequest(
                f"the variance of '{name}' is {variance:g}, which is negative: send the "
                "`covariance` of the fit's `predict`",
                pointer=f"/covariance/{name}/{name}",
            )
    errors = np.where(variances > 0, np.sqrt(variances), 1.0)
    with np.errstate(all="ignore"):
        correlation = matrix / errors[:, None] / errors
    if not np.isfinite(correlation).all() or _is_indefinite(correlation):
        raise InvalidRequest(
            "`covariance` is no covariance matrix: it is not symmetric, or a combination of its "
            "params has a negative variance; send that of the fit's `predict`",
            pointer="/covariance",
        )
    return free, matrix


def _is_indefinite(correlation: Floats) -> bool:
    if np.abs(correlation - correlation.T).max(initial=0.0) > -NEGATIVE:
        return True
    return bool(np.linalg.eigvalsh(correlation).min(initial=0.0) < NEGATIVE)

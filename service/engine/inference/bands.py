"""Confidence and prediction bands by the delta method.

se(f)² = ∇f C ∇fᵀ, C the params' covariance; plus the variance of the noise for a new observation.
Source: Seber and Wild, Nonlinear Regression (1989), 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from service.engine.inference.distributions import t_quantile
from service.engine.problem import Model
from service.engine.slices import NUMBERS, ROWS, slices


@dataclass(frozen=True, slots=True)
class Band:
    """Standard error and limits of a band, (rows,) each."""

    stderr: Tensor
    lower: Tensor
    upper: Tensor


def band(
    formula: Model,
    columns: Mapping[str, Tensor],
    theta: Tensor,
    free: Sequence[str],
    covariance: Tensor,
    *,
    level: float,
    degrees_of_freedom: float,
    noise: Tensor | None,
    rows: int,
) -> Band:
    """The band of that level at each row; covariance (free, free) float64.

    `noise` is the standard deviation of a new observation, for a prediction band; None for a
    confidence band.
    """
    theta = theta.double()
    prediction, variance = theta.new_empty((2, rows))
    at = [formula.params.index(name) for name in free]
    for part in slices(rows, min(ROWS, max(1, NUMBERS // max(1, formula.size)))):
        own = {name: column[part].double() for name, column in columns.items()}
        bound = formula.bind(own, part.stop - part.start, theta)
        prediction[part], jacobian = bound.jacobian(theta)
        jacobian = jacobian[:, at]
        variance[part] = ((jacobian @ covariance) * jacobian).sum(-1).clamp(min=0.0)
    if noise is not None:
        variance = variance + noise**2
    half = t_quantile(0.5 + level / 2, degrees_of_freedom) * variance.sqrt()
    return Band(variance.sqrt(), prediction - half, prediction + half)

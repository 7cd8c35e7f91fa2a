"""How far a prediction can be trusted: confidence and prediction bands, by the delta method.

se(f)² = ∇f C ∇fᵀ, C the params' covariance; a new observation adds its own noise. Source: Seber and
Wild, Nonlinear Regression (1989), 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.engine.distributions import t_quantile
from service.engine.formula import Formula


@dataclass(frozen=True, slots=True)
class Band:
    """Standard error and ends of a band, (rows,) each."""

    stderr: Tensor
    lower: Tensor
    upper: Tensor


def band(
    formula: Formula,
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
    doubled = {name: column.double() for name, column in columns.items()}
    reader = formula.tape.bind(doubled, formula.params, theta)
    prediction, *slopes = reader(theta.unbind(), safe=True)
    chosen = [slopes[formula.params.index(name)].expand(rows) for name in free]
    jacobian = torch.stack(chosen, dim=-1)
    variance = ((jacobian @ covariance) * jacobian).sum(-1).clamp(min=0.0)
    if noise is not None:
        variance = variance + noise**2
    half = t_quantile(0.5 + level / 2, degrees_of_freedom) * variance.sqrt()
    prediction = prediction.expand(rows)
    return Band(variance.sqrt(), prediction - half, prediction + half)

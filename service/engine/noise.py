"""Models of the noise: σ of each row as a function of the prediction, or of the residuals of a fit.

They are data here; `reweighting` computes σ with them, and `reweighted_run` the fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel.types import Floats, Ints

PREDICTION = "pred"
"""The name of the prediction in an expression of σ."""
Estimator = Literal["mad", "rsdr"]
"""mad: the median of |residual| over 0.6745, as statsmodels' RLM has it (Huber 1981, 5.2); rsdr:
the 68.27th percentile of |residual| times n/(n − p) (Motulsky and Brown 2006)."""


@dataclass(frozen=True, eq=False)
class NoiseExpression:
    """σ as an expression of the prediction and of columns."""

    formula: Formula
    """Its inputs are `pred` and columns, its params those of the noise, which are estimated."""
    columns: Mapping[str, Tensor]
    """The columns among its inputs, in raw units, float64: (rows,)."""
    start: Mapping[str, float | None]
    """Initial values of its params; None: one is chosen."""

    def on(self, rows: Tensor | slice) -> NoiseExpression:
        """The same on some of the rows."""
        return replace(self, columns={name: x[rows] for name, x in self.columns.items()})

    def to(self, device: torch.device | str) -> NoiseExpression:
        """The same on a device."""
        return replace(self, columns={name: x.to(device) for name, x in self.columns.items()})


@dataclass(frozen=True, eq=False)
class ResidualScale:
    """σ as a robust scale of the residuals, times the σ of the problem."""

    estimator: Estimator

    def on(self, rows: Tensor | slice) -> ResidualScale:
        """The same: it has no rows."""
        return self

    def to(self, device: torch.device | str) -> ResidualScale:
        """The same: it has no rows."""
        return self


Noise = NoiseExpression | ResidualScale


@dataclass(frozen=True, slots=True)
class OutlierTest:
    """A test for outliers of that false discovery rate; `drop`: the answer is without them."""

    q: float
    drop: bool


@dataclass(frozen=True, eq=False)
class FittedNoise:
    """The noise of the last round of a fit, by a model of it."""

    sigma: Tensor
    """Of each row, (rows,), in the dtype of the problem."""
    rounds: Tensor
    """Of each group, (groups,), int64."""
    values: Floats
    """The params of the noise, or its scale: (pools, m); a pool is a group, or all that have one
    noise."""
    stderr: Floats
    """(pools, m); NaN where there is none."""
    extra: Ints
    """The number of these params beyond the scale that the residuals have anyway, (pools,)."""

"""The design of the next reading: how it would change the precision of a fit.

With C the covariance of the params at θ̂, s² the variance of a reading of unit σ and g = ∂f/∂θ/σ at
a candidate x, one more reading there gives C − C g gᵀC/(s² + gᵀC g), whatever its result, to first
order (Sherman and Morrison). A quantity h has then the variance ∇hᵀC∇h − (∇hᵀC g)²/(s² + gᵀC g):
c-optimality. The determinant of the covariance shrinks by 1 + gᵀC g/s²: D-optimality.

Source: Atkinson, Donev and Tobias, Optimum Experimental Designs, with SAS (2007), 10 and 11.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.engine.kernel.types import Floats


@dataclass(frozen=True, eq=False)
class Gains:
    """What one more reading at each candidate gives, (candidates,); NaN where the model has no
    finite slopes."""

    volume: Floats
    """The volume of the confidence region of all free params, relative to that now."""
    stderr: Floats | None
    """The standard error of the quantity, if there is one."""


def gains(covariance: Floats, noise: float, slopes: Floats, gradient: Floats | None) -> Gains:
    """covariance (q, q); slopes (candidates, q) are ∂f/∂θ/σ; gradient (q,), ∇h of the quantity."""
    variance = noise * noise
    with np.errstate(all="ignore"):
        along = slopes @ covariance
        leverage = np.maximum((along * slopes).sum(axis=1), 0.0)
        known = np.isfinite(leverage)
        volume = np.where(known, 1 / np.sqrt(1 + leverage / variance), np.nan)
        if gradient is None:
            return Gains(volume, None)
        now = float(gradient @ covariance @ gradient)
        less = (along @ gradient) ** 2 / (variance + leverage)
        return Gains(volume, np.sqrt(np.maximum(now - less, 0.0)))

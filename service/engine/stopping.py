"""Criteria for convergence and divergence."""

from __future__ import annotations

import math

from torch import Tensor

from service.engine.fit_options import Tolerance

EXPLOSION = 1e12
"""A loss that grows by this factor over the first has diverged."""


def has_diverged(loss: float, first: float) -> bool:
    """Whether the loss is non-finite, or above 10¹² times the first."""
    return not math.isfinite(loss) or loss > EXPLOSION * max(first, 5e-324)


def has_converged(
    tolerance: Tolerance,
    losses: tuple[float, float],
    steps: tuple[Tensor, Tensor],
    gradients: tuple[Tensor, float],
) -> bool:
    """Whether one enabled tolerance is met.

    losses: of this epoch and the previous one; steps: θ before and after the update; gradients:
    this epoch's, and the largest |gradient| of the first.
    """
    loss, before = losses
    if tolerance.loss and abs(before - loss) <= tolerance.loss * abs(before):
        return True
    if tolerance.params:
        old, new = steps
        if float((new - old).norm()) <= tolerance.params * float(old.norm()):
            return True
    gradient, first = gradients
    return bool(tolerance.gradient and float(gradient.abs().max()) <= tolerance.gradient * first)

"""A normal distribution of params."""

from __future__ import annotations

from dataclasses import dataclass

from service.engine.kernel.types import Floats


@dataclass(frozen=True, eq=False)
class NormalPrior:
    """What is known of some params before the fit: see `engine.prior`."""

    names: tuple[str, ...]
    """The params, in raw units; tied ones too."""
    mean: Floats
    """(k,)"""
    sd: Floats
    """Their standard deviations, (k,)."""
    factor: Floats
    """W, lower triangular with WᵀW the inverse of the covariance, (k, k)."""

"""Options of Levenberg-Marquardt: see `kernel.marquardt`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LevenbergMarquardt:
    """No options."""

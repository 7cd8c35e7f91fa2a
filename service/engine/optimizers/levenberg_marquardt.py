"""Levenberg-Marquardt as a request names it: see `kernel.marquardt`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LevenbergMarquardt:
    """It has no options."""

"""Options of linear least squares in one step: see `solvers.exact`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exact:
    """No options."""

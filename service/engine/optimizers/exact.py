"""Linear least squares in one step as a request names it: see `solvers.exact`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exact:
    """The one step has no options."""

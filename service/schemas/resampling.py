"""What a fit is asked for besides itself: replicates, the coverage of its intervals, and the design
of the next reading."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.base import Finite, Request
from service.schemas.names import Name
from service.schemas.numbers import Positive

Replicates = Annotated[int, Field(ge=20, le=100_000)]


class CoverageOptions(Request):
    """Simulation of the actual coverage of the intervals."""

    simulate: Annotated[int, Field(ge=20, le=20_000)] = 500
    """Data sets to simulate at the fit's params, with the x and the noise of the fit."""


class CandidateRange(Request):
    """Equally spaced values of the only input."""

    min: Finite
    """The first value."""
    max: Finite
    """The last value."""
    steps: Annotated[int, Field(ge=2, le=10_000)] = 51
    """The number of values."""


Candidates = (
    Annotated[list[Finite], Field(min_length=1, max_length=10_000)]
    | Annotated[list[dict[Name, Finite]], Field(min_length=1, max_length=10_000)]
    | CandidateRange
)
"""Values of the only input, objects with a value for each input, or a range."""


class DesignOptions(Request):
    """Where to take the next reading."""

    candidates: Candidates
    """Places of which one would be read next."""
    of: Name | None = None
    """The param or the report whose standard error is to shrink. Default: all params together
    (D-optimality)."""
    sigma: Positive | None = None
    """The noise of the next reading, in units of `sigma`. Required where `sigma` is a column or a
    list."""

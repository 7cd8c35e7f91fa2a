"""Options and answers of what a fit is asked for besides itself: the bootstrap, the coverage of its
intervals, and the design of the next reading."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.base import Answer, Finite, Number, Request
from service.schemas.columns import Name
from service.schemas.names import (
    BootstrapInterval,
    BootstrapKind,
    DesignCriterion,
    IntervalMethod,
)
from service.schemas.numbers import Positive
from service.schemas.series import Counts, Series

Replicates = Annotated[int, Field(ge=20, le=100_000)]


class CoverageOptions(Request):
    """Simulation of the actual coverage of the intervals."""

    simulate: Annotated[int, Field(ge=20, le=20_000)] = 500
    """Data sets to simulate at the fit's params, with the x and the noise of the fit."""


class CandidateRange(Request):
    """Equally spaced values of the only input."""

    min: Finite
    max: Finite
    steps: Annotated[int, Field(ge=2, le=10_000)] = 51


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


class Bootstrap(Answer):
    """How a bootstrap's interval was computed, and what else it gives."""

    kind: BootstrapKind
    interval: BootstrapInterval
    replicates: int
    """Replicates asked for."""
    made: int
    """Fewer where the job was stopped."""
    failed: int
    """Of those made: their fits did not converge, or their rows do not determine the params. They
    are left out."""
    stderr: dict[str, Number]
    """The standard deviation of the replicates."""
    bias: dict[str, Number]
    """The mean of the replicates less the estimate."""


class GroupedBootstrap(Answer):
    """The same for groups, one row per group."""

    kind: BootstrapKind
    interval: BootstrapInterval
    replicates: int
    made: list[int]
    failed: list[int]
    stderr: dict[str, list[Number]]
    bias: dict[str, list[Number]]


class Coverage(Answer):
    """The actual coverage of the intervals of this fit, by simulation at its params."""

    simulated: int
    """Data sets, fewer than asked for where the job was stopped."""
    failed: int
    """Those whose fit did not converge; they are left out."""
    level: float
    """The nominal coverage."""
    method: IntervalMethod
    """How the intervals were computed: as those of the fit."""
    coverage: dict[str, Number]
    """The share of intervals that contain the fit's param."""
    stderr: dict[str, Number]
    """The standard error of that share, √(p(1 − p)/n)."""
    n: dict[str, int]
    """Intervals counted: those that there are."""


class Design(Answer):
    """The precision of the fit with one more reading at each candidate, best first."""

    of: str | None
    criterion: DesignCriterion
    """`c`: the standard error of the quantity `of`; `D`: the volume of the confidence region of all
    free params."""
    stderr_now: Number | None
    """Of the quantity, by the delta method."""
    candidates: dict[str, list[Number]]
    """The inputs, raw."""
    stderr: list[Number] | None
    """Of the quantity with one more reading there."""
    volume: list[Number]
    """The volume of the confidence region of all free params with one more reading there, relative
    to that now."""


class Draws(Answer):
    """The replicates of a fit's bootstrap, columns of equal length; NaN where one failed."""

    job_id: str
    kind: BootstrapKind
    seed: int
    replicate: Counts
    """Counted from 0; the random numbers of a replicate depend on the seed and this alone."""
    params: dict[str, Series]
    report: dict[str, Series]
    """The quantities of the request's `report`."""

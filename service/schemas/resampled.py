"""Answers of what a fit is asked for besides itself: its bootstrap, the coverage of its intervals,
and the design of the next reading."""

from __future__ import annotations

from service.schemas.base import Answer, Number
from service.schemas.names import (
    BootstrapInterval,
    BootstrapKind,
    DesignCriterion,
    IntervalMethod,
)


class Bootstrap(Answer):
    """How a bootstrap's interval was computed, and what else it gives."""

    kind: BootstrapKind
    """How replicates are drawn."""
    interval: BootstrapInterval
    """How the intervals follow from the replicates."""
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
    """How replicates are drawn."""
    interval: BootstrapInterval
    """How the intervals follow from the replicates."""
    replicates: int
    """Replicates that were asked for."""
    made: list[int]
    """Replicates that were fitted, in each group."""
    failed: list[int]
    """Replicates whose fit failed, in each group."""
    stderr: dict[str, list[Number]]
    """The standard deviation of the replicates: a column for each param."""
    bias: dict[str, list[Number]]
    """The mean of the replicates less the estimate: a column for each param."""


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
    """The param or quantity whose error is to become small; null for all params."""
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

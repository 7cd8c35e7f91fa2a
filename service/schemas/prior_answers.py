"""What an answer says about the priors of a fit."""

from __future__ import annotations

from service.schemas.base import Answer, Number


class LearnedParam(Answer):
    """A param with a prior, and what the data add to it."""

    mean: Number
    """Of the prior;"""
    sd: Number
    """of the prior."""
    apart: Number | None
    """(value − mean)/√(sd² − stderr²), a standard normal variate if data and prior agree; null
    without a standard error."""
    share: Number | None
    """1 − (stderr/sd)², the part of the variance of the prior that the data remove: 0 where they
    say nothing, 1 where the prior does not matter."""


class LearnedByGroup(Answer):
    """The same of groups, a row for each; NaN without a standard error."""

    mean: Number
    """Of the prior;"""
    sd: Number
    """of the prior."""
    apart: list[Number]
    """(value − mean)/√(sd² − stderr²) of each group."""
    share: list[Number]
    """1 − (stderr/sd)² of each group."""


class GroupedPrior(Answer):
    """The prior of the fits of groups, each of which has it."""

    chi_squared: list[Number]
    """What it adds to the χ² of each group; NaN of a fit that failed."""
    rows: int
    """Number of its params: the loss of a group is the mean over n + `rows` rows."""
    params: dict[str, LearnedByGroup]


class FittedPrior(Answer):
    """The prior of a fit."""

    chi_squared: Number
    """What it adds to χ² at the params, (θ − m)ᵀC⁻¹(θ − m)."""
    rows: int
    """Number of its params: the loss is the mean over n + `rows` rows."""
    params: dict[str, LearnedParam]

"""What an answer says about the noise that a fit has estimated."""

from __future__ import annotations

from service.schemas.base import Answer, Number


class FittedNoise(Answer):
    """The noise by a model of it, in the last round of the fit."""

    expr: str | None
    """Of sigma, where the request has one."""
    params: dict[str, Number]
    """The params of that expression that were estimated."""
    stderr: dict[str, Number] | None
    """Their standard errors at these params of the curve. NaN where there is none."""
    scale: Number | None
    """The robust scale of the residuals, where the loss has `delta.scale`; in units of `sigma`
    where that is given."""
    rounds: int
    """How many times the fit was repeated."""


class GroupedNoise(Answer):
    """The noise of groups by a model of it, one row per group; a single row where the groups have
    one noise."""

    expr: str | None
    params: dict[str, list[Number]]
    stderr: dict[str, list[Number]]
    scale: list[Number] | None
    rounds: list[int]
    """One for each group."""

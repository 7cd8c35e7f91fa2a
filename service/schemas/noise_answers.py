"""What an answer says about the noise that a fit has estimated."""

from __future__ import annotations

from typing import Literal

from service.schemas.base import Answer, Number
from service.schemas.noise import OutlierAction


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


class CurveNoise(Answer):
    """The standard deviation of the noise as an expression of the prediction, `pred`, and of
    columns, in units of `sigma_scale`."""

    expr: str
    """The expression of σ, in the prediction `pred`, columns and params of the noise."""
    params: dict[str, Number] = {}
    """The params of the noise, by name."""


class GroupedNoise(Answer):
    """The noise of groups by a model of it, one row per group; a single row where the groups have
    one noise."""

    expr: str | None
    """Of sigma, where the request has one."""
    params: dict[str, list[Number]]
    """A column for each param of the noise."""
    stderr: dict[str, list[Number]]
    """Their standard errors."""
    scale: list[Number] | None
    """The robust scale of the residuals, where the loss has `delta.scale`; else null."""
    rounds: list[int]
    """One for each group."""


class OtherFit(Answer):
    """The fit of the other rows: without the outliers where the answer is of all, and of all rows
    where the answer is without them."""

    of: Literal["without_outliers", "all_rows"]
    """Which rows it is of."""
    n: int
    """Number of its rows."""
    params: dict[str, Number]
    """By name."""
    stderr: dict[str, Number] | None
    """Standard errors, by the name of the param."""
    residual_std: Number | None
    """The standard deviation of the residuals, √(RSS/(n − p))."""


class FoundOutliers(Answer):
    """What the test for outliers has found."""

    method: str
    """`rout`."""
    q: float
    """The false discovery rate at which they are declared."""
    action: OutlierAction
    """`flag`, which only names them, or `drop`, which leaves them out of the fit."""
    count: int
    """Their number."""
    rows: list[int]
    """The outliers: row numbers of the data as they were sent, counted from 1; at most a
    thousand."""
    scale: Number
    """The robust standard deviation of the residuals, in units of `sigma` where that is given."""
    other: OtherFit | None
    """Null without outliers: it would be the same fit."""


class OtherFits(Answer):
    """The fits of the other rows, one row per group."""

    of: Literal["without_outliers", "all_rows"]
    """Which rows they are of."""
    n: list[int]
    """Number of rows of each group."""
    params: dict[str, list[Number]]
    """A column for each param."""
    stderr: dict[str, list[Number]]
    """NaN where there is none."""
    residual_std: list[Number]
    """In each group."""


class GroupedOutliers(Answer):
    """What the test for outliers has found, one row per group."""

    method: str
    """`rout`."""
    q: float
    """The false discovery rate at which they are declared."""
    action: OutlierAction
    """`flag`, which only names them, or `drop`, which leaves them out of the fit."""
    count: list[int]
    """In each group."""
    rows: list[list[int]]
    """Row numbers of the data as they were sent, counted from 1; at most a thousand in each
    group."""
    scale: list[Number]
    """The robust standard deviation of the residuals in each group."""
    other: OtherFits | None
    """Null where no group has an outlier."""


class GroupedCurveNoise(Answer):
    """The same for groups; the params are those of `groups.noise`."""

    expr: str
    """The expression of σ."""

"""Bodies of POST /invert: unknowns read back from a standard curve."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from service.schemas.answers import RowsUsed
from service.schemas.base import Answer, Finite, Number, Request
from service.schemas.columns import Data, Units
from service.schemas.grouped import By, Key
from service.schemas.models import Model
from service.schemas.names import DType, InversionKind, InversionStatus, Missing, Name, ReadingKind
from service.schemas.noise import KnownNoise
from service.schemas.numbers import InputRange, NonNegative, Positive
from service.schemas.options import Level, Scaling, Tied
from service.schemas.rows import Rows
from service.schemas.series import (
    Counts,
    Flags,
    Gaps,
    Keys,
    Lists,
    Objects,
    OnWire,
    Series,
    Words,
    cells,
)

GroupKeys = Annotated[Objects, OnWire(list[Key], cells)]
"""The key of a group for each row: a value, or a list of values for several columns."""
Statuses = Annotated[Objects, OnWire(list[InversionStatus], cells)]


class InversionOptions(Request):
    """An interval for each unknown."""

    kind: InversionKind = "inversion"
    """`inversion`: all x whose prediction interval contains the readings' mean, which for a line is
    Fieller's interval. `wald`: symmetric, by the standard error. `bootstrap`: percentiles of the
    unknowns by the replicates of the job's bootstrap, with the noise of the readings drawn too.
    `none`: none."""
    level: Level = 0.95
    """The probability that the interval holds the true value."""
    of: ReadingKind = "observation"
    """`observation`: with the noise of the readings themselves. `mean`: without it, as if the
    sample had been read infinitely often."""


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Inversion = Annotated[
    InversionOptions,
    BeforeValidator(_kind, json_schema_input_type=InversionKind | InversionOptions),
]
"""An interval's kind, or an object with its level."""


class CalibratorOptions(Request):
    """Limits for the back-calculated values of calibrators."""

    limit: Positive = 0.20
    """Largest |back-calculated / nominal − 1| of a calibrator."""
    limit_lloq: Positive = 0.25
    """The same at the lower limit of quantification."""


class InvertRequest(Request):
    """The `predict` of a fit, or the id of its job; and readings of samples."""

    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    params: dict[Name, Finite | Tied] | None = None
    """Every param's value, in scaled units where `scaling` is given. Required without `job_id`."""
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `plate == 2`."""
    data: Data
    """The readings, in the columns of the model's left side; its inputs besides `solve_for`; and
    any of `sample`, `dilution` and the column of a grouped fit. Where `solve_for` is a column too,
    its rows with a value are calibrators, and those without are unknowns."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are; as for `POST /fit`."""
    job_id: str | None = None
    """The job to take the curve from, or for a grouped fit the curve of each group."""
    solve_for: Name | None = None
    """The input to solve for. Default: the model's only input, or the one not in `data`."""
    replicates_by: Name | None = None
    """The column whose equal values are readings of one sample, whose mean is used. Default:
    `sample`, if the data have it; else each row is a sample. Calibrators of equal value are
    replicates too."""
    dilution: Name | Positive | None = None
    """The factor by which a sample was diluted, a number or a column; it multiplies the estimate
    and its interval. Default: the column `dilution`, if the data have it, else 1."""
    sigma: Name | Positive | list[Positive] | None = None
    """For a fit with `sigma`: that of each reading, a column's name, a number or a list."""
    missing: Missing = "error"
    """Rows without a reading: `error` refuses them, `drop` drops them."""
    interval: Inversion | None = None
    """Default: `inversion`, if the fit has a covariance."""
    range: InputRange | None = None
    """The values of `solve_for` between which solutions are looked for. Default: the range of the
    calibrators of the fit, and beyond it by its width, but not past 0."""
    calibrators: CalibratorOptions = CalibratorOptions()
    covariance: dict[str, dict[str, Finite]] | None = None
    """Of the free params, by name."""
    residual_std: NonNegative | None = None
    """The standard deviation of a reading."""
    sigma_scale: NonNegative | None = None
    """The same in units of `sigma`, for a fit with `sigma`."""
    noise: KnownNoise | None = None
    """`sigma` of a reading as an expression of the curve's value there, `pred`, and of the inputs;
    with `sigma_scale`."""
    degrees_of_freedom: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """Of the fit that the params are from, for Student's t; without it intervals are normal."""
    input_range: dict[Name, InputRange] | None = None
    """The smallest and largest value of each input that the curve was fitted to."""
    units: Units = {}
    """Units of columns, by name; those of a job, or of the `predict` of a fit, are known."""
    dtype: DType = "float64"
    """Not used: unknowns are computed in float64."""


class InversionInterval(Answer):
    """How the intervals were computed."""

    kind: InversionKind
    """`inversion`, `wald`, `bootstrap` or `none`."""
    level: float
    """The level of the interval, such as 0.95."""
    of: ReadingKind
    """`observation`, with the noise of the readings, or `mean`, without it."""
    degrees_of_freedom: int | None
    """Of Student's t; 10¹², which is practically normal, where sigma is known. Null for a grouped
    fit, whose groups have their own, and without a covariance."""


class Calibrators(Answer):
    """Samples of known value, read back from the curve; columns of equal length."""

    key: Keys
    """The sample, or the number of the row."""
    group: GroupKeys | None
    """The value of the grouped fit's column."""
    n: Counts
    """Number of readings."""
    nominal: Series
    """The value that the calibrator is said to have."""
    back_calculated: Gaps
    """From the mean of the readings, times the dilution."""
    recovery_percent: Gaps
    """100·back_calculated/nominal; null where nominal is 0."""
    cv_percent: Gaps
    """100·standard deviation/mean of the values read back from the readings one by one; null for
    one reading, or where one has no value."""
    within: Flags
    """Whether recovery is within its limit; null where there is none."""
    status: Statuses
    """As of the unknowns."""


class QuantificationLimits(Answer):
    """The limits of each curve of a grouped fit; columns of equal length."""

    group: GroupKeys
    """The group's key."""
    lloq: Gaps
    """The lower limits: the lowest nominal values above 0 whose recovery is within `limit_lloq`."""
    uloq: Gaps
    """The upper limits: the highest whose recovery is within `limit`."""


class Unknowns(Answer):
    """The unknowns as columns of equal length, one row per sample, in order of appearance."""

    solve_for: str
    """The input that was solved for."""
    target: str
    """The scale of `mean`: the left side of the formula."""
    units: dict[str, str] = {}
    """Of the input and the target, by name, as far as they are known."""
    interval: InversionInterval
    replicates_by: str | None
    """The column of the samples; null where each row is one."""
    group_by: By | None
    """The grouping column of the fit; null without groups."""
    key: Keys
    """The sample, a value of `replicates_by`; without it, the number of the row, from 1."""
    group: GroupKeys | None
    """The value of the grouped fit's column, or the values of its columns."""
    n: Counts
    """Number of readings."""
    mean: Gaps
    """Of the readings."""
    dilution: Series | None
    """The factor by which each sample was diluted; null where none was."""
    estimate: Gaps
    """Null without exactly one solution."""
    stderr: Gaps
    """Standard errors of the estimates."""
    lower: Gaps
    """Null where there is no lower end; see `status` and `detail`."""
    upper: Gaps
    """Upper ends; null where there is none."""
    failed: Counts | None
    """With the interval `bootstrap`: the replicates by which the sample has no unknown."""
    status: Statuses
    """`ok`; `below_curve`, `above_curve`: no solution, the sample is below or above all values that
    the curve can tell; `extrapolated`: beyond the calibrators; `not_monotone`: several solutions,
    see `roots`; `unbounded`: the interval has no end, or two pieces; `no_curve`: the fit of that
    group failed."""
    detail: Words
    """What `status` means for this sample, in words; null for `ok`."""
    roots: Lists | None
    """For each sample that has several solutions, all of them; else null."""
    calibrators: Calibrators | None
    """Null without calibrators in the data."""
    lloq: Number | None
    """Lower limit of quantification: the lowest nominal value above 0 of a calibrator whose
    recovery is within `limit_lloq`."""
    uloq: Number | None
    """Upper limit: the highest whose recovery is within `limit`."""
    limits: QuantificationLimits | None
    """For a grouped fit, in place of `lloq` and `uloq`."""
    rows: RowsUsed | None
    """With `rows` in the request: how many of them are used."""

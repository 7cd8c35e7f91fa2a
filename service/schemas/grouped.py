"""Response bodies of the fits of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.schemas.answers import (
    Diagnostic,
    Dropped,
    FitUrls,
    History,
    ModelSummary,
    RowsUsed,
    Timings,
)
from service.schemas.base import Answer, Number
from service.schemas.names import (
    AnsweredCovariance,
    DType,
    IntervalMethod,
    LikelihoodName,
    Overdispersion,
    ReportMethod,
    Status,
    StopReason,
    Verdict,
)
from service.schemas.noise_answers import GroupedCurveNoise, GroupedNoise, GroupedOutliers
from service.schemas.prior_answers import GroupedPrior
from service.schemas.reading import Reading
from service.schemas.resampled import GroupedBootstrap
from service.schemas.statistics import ConfidenceInterval, GoodnessOfFit


class GroupedReport(Answer):
    """A quantity derived from the params, one row per group. NaN where a number does not exist."""

    expr: str
    """What is computed, from the params."""
    meaning: str | None
    """What it is, where the model says so; else null."""
    level: float
    """The level of the interval, such as 0.95."""
    method: ReportMethod
    """How it was computed."""
    log: bool
    """Whether the interval is symmetric on the log scale."""
    value: list[Number]
    """At the params of each group."""
    stderr: list[Number]
    """The standard error in each group."""
    lower: list[Number]
    """The lower end in each group."""
    upper: list[Number]
    """The upper end in each group."""
    reason: list[str | None]
    """Why a number is NaN."""


class GroupedInterval(Answer):
    """Two-sided intervals for the free params, one row per group. NaN: the data set no limit on
    that side, or there is no standard error."""

    level: float
    """The level of the interval, such as 0.95."""
    method: IntervalMethod
    """How it was computed."""
    lower: dict[str, list[Number]]
    """Lower ends: a column for each param, a row a group."""
    upper: dict[str, list[Number]]
    """Upper ends."""
    bootstrap: GroupedBootstrap | None = None


By = str | list[str]
"""The grouping column, or columns."""
Key = Number | str | list[Number | str | None] | None
"""A group's value of that column, or its values of those; null for rows without a value."""


def columns_of(by: By) -> tuple[str, ...]:
    """The grouping columns."""
    return (by,) if isinstance(by, str) else tuple(by)


def values_of(key: Any) -> tuple[float | str | None, ...]:
    """The values of a group's key, one for each column."""
    return tuple(key) if isinstance(key, list | tuple) else (key,)


class Keyed:
    """What is in columns with one row per group."""

    if TYPE_CHECKING:
        by: By
        key: list[Key]

    @property
    def columns(self) -> tuple[str, ...]:
        """The grouping columns."""
        return columns_of(self.by)

    @property
    def values(self) -> list[tuple[float | str | None, ...]]:
        """The key of each group, one value for each column."""
        return list(map(values_of, self.key))

    def key_columns(self) -> dict[str, list[float | str | None]]:
        """The keys as columns."""
        return {name: [key[i] for key in self.values] for i, name in enumerate(self.columns)}


class GroupedLikelihood(Answer):
    """Statistics of fits with a likelihood, one row per group: see those of one fit."""

    name: LikelihoodName
    """`poisson` or `binomial`."""
    deviance: list[Number]
    """Twice the difference of the log-likelihoods of the saturated model and of this."""
    pearson: list[Number]
    """Pearson's χ², Σ (y − μ)²/Var(y)."""
    dispersion: list[Number | None]
    """Pearson's χ² over the degrees of freedom; about 1 for such counts."""
    log_likelihood: list[Number | None]
    """The logarithm of the likelihood at the params."""
    overdispersion: Overdispersion | None = None
    """`pearson` where the dispersion was estimated; else null."""


class Groups(Keyed, Answer):
    """The fits of groups as columns of equal length, one row per group, in order of appearance."""

    by: By
    """The grouping column, or columns."""
    key: list[Key]
    """The group's value of that column, or its values of those; null for rows without a value."""
    n: list[int]
    """Number of rows."""
    status: list[Status]
    """`succeeded`, or `failed` for a group that could not be fitted; see its diagnostics."""
    stop_reason: list[StopReason]
    """Why each fit stopped."""
    epochs: list[int]
    """How many epochs each took."""
    verdict: list[Verdict]
    """Of each group."""
    trustworthy: list[bool]
    """Whether that is its verdict."""
    loss: list[Number]
    """At the params of each group."""
    r_squared: list[Number | None]
    """1 − RSS/TSS of each group; null where it has none."""
    residual_std: list[Number | None]
    """Null where the groups have one noise, which is that of `statistics`."""
    likelihood: GroupedLikelihood | None = None
    """With `likelihood` in the request."""
    params: dict[str, list[Number]]
    """NaN where the fit failed. Without the shared ones."""
    stderr: dict[str, list[Number]]
    """NaN where there is none."""
    confidence_interval: GroupedInterval | None = None
    """With the methods `profile` and `bootstrap`."""
    covariance_kind: AnsweredCovariance = "expected"
    """See `Statistics`."""
    covariance: dict[str, dict[str, list[Number]]] | None = None
    """With `"covariance": true` in `group_by`, and where the groups have one noise: of the free
    params, `covariance.a.b` for each group; one of a pair only, the one in the order of `params`.
    With `shared` params also of each group's own params with these."""
    noise: GroupedNoise | None = None
    """Where the request has a model of the noise."""
    outliers: GroupedOutliers | None = None
    """Where the request asks for outliers."""
    prior: GroupedPrior | None = None
    """Where the request has a prior, and groups share neither params nor noise."""
    report: dict[str, GroupedReport] | None = None
    """The quantities of the request's `report`."""
    diagnostics: list[list[str]]
    """Codes, as in `GET /diagnostics`."""
    history: list[History] | None = None
    """With `"history": true` in `group_by`."""


class SharedParams(Answer):
    """The params that have one value for all groups."""

    params: dict[str, Number]
    """By name: one value for all groups."""
    stderr: dict[str, Number] | None
    """Null where there are none; see `covariance_reason`."""
    covariance: dict[str, dict[str, Number]] | None
    """By the names of two params; null if it does not exist."""
    covariance_reason: str | None
    """Why there is no covariance; else null."""
    confidence_interval: ConfidenceInterval | None


class PooledStatistics(GoodnessOfFit):
    """Statistics over all rows of the groups with one noise that were fitted; R² is about the mean
    of all rows. A value that does not exist is null."""

    loss: Number
    """Over all rows."""
    degrees_of_freedom: int
    """Rows less the number of params of all groups, each shared one counted once."""


class GroupedPredictBody(Answer):
    """What `POST /predict` with this `job_id` uses, besides the `params` of each group."""

    model: str | dict[str, Any]
    """The formula or the model, to predict with."""
    scaling: dict[str, dict[str, float]] | None = None
    """x' = scale·x + offset of inputs, in which the params are; null without scaling."""
    dtype: DType
    """The precision of the computation."""
    has_residual_std: bool = True
    """Whether `residual_std` is that of a new observation: not where `sigma` gives one for each
    row."""
    noise: GroupedCurveNoise | None = None
    """`sigma` of a new observation, where it is an expression; so are weights."""
    is_normal: bool = False
    """Whether bands are normal rather than by Student's t: with `sigma_absolute`."""
    input_range: dict[str, list[float]] | None = None
    """The smallest and largest value of each input, in raw units, over all groups."""
    units: dict[str, str] = {}
    """Of columns and params, by name."""


class GroupedFit(Answer):
    """The fits of groups. Each group has its own verdict in its row of `groups`."""

    job_id: str
    """The job's id."""
    status: Status
    """The job's status."""
    stop_reason: StopReason
    """`converged` if every group has converged; else the stop reason of the first that has not."""
    converged: bool
    """Whether every group has converged."""
    model: ModelSummary
    optimizer: str
    """The method that was used."""
    epochs: int
    """The largest number of epochs of a group."""
    groups: Groups
    shared: SharedParams | None = None
    """The params that all groups share."""
    statistics: PooledStatistics | None = None
    """Over all rows, where the groups have one noise."""
    diagnostics: list[Diagnostic]
    """Those of the fit of all groups, where they share params; then the groups', one for each code,
    with the number of groups."""
    verdict: Verdict
    """The worst verdict of a group, or of the whole where that is worse."""
    trustworthy: bool
    """Whether the verdict is `trustworthy`."""
    dropped: Dropped | None
    rows: RowsUsed | None = None
    """With `rows` in the request: how many of them are used."""
    units: dict[str, str] = {}
    """Of columns and params, by name."""
    reading: Reading | None = None
    predict: GroupedPredictBody
    timings: Timings
    urls: FitUrls

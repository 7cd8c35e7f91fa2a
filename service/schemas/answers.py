"""What a fit answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.schemas.base import Answer, Number
from service.schemas.names import DType, IntervalMethod, Severity, Status, StopReason, Verdict


class History(Answer):
    """Recorded epochs as columns of equal length. A row holds the loss and the gradient before its
    epoch's update, and the params after it."""

    epoch: list[int]
    loss: list[Number]
    params: dict[str, list[Number]]
    gradient: dict[str, list[Number]]
    total: int
    """Epochs done so far."""
    thinned: bool
    """Whether recorded rows were left out, here or in the store."""

    @classmethod
    def nothing(cls, params: Sequence[str]) -> History:
        """Of a fit that was not begun."""
        none: dict[str, list[float]] = {name: [] for name in params}
        return cls(epoch=[], loss=[], params=none, gradient=none, total=0, thinned=False)


class ModelSummary(Answer):
    """The model as it was understood."""

    formula: str
    inputs: list[str]
    target: str
    params: list[str]


class Best(Answer):
    """The lowest loss seen, and the epoch and the params at which it was measured."""

    epoch: int
    loss: Number
    params: dict[str, Number]


class UnscaledParams(Answer):
    """The params in the raw units of the inputs."""

    values: dict[str, Number]
    stderr: dict[str, Number] | None
    """Null where there are no standard errors; `statistics.covariance_reason` says why."""


class ConfidenceInterval(Answer):
    """Two-sided intervals for the free params. NaN where the data set no limit on that side."""

    level: float
    method: IntervalMethod
    lower: dict[str, Number]
    upper: dict[str, Number]


class Curvature(Answer):
    """What the loss's Hessian at the start says of gradient descent."""

    learning_rate_limit: Number | None
    """The largest stable rate; null where none can be claimed."""
    condition_number: Number
    """How many times steeper the loss is one way than another: how many times too slow the rate
    that suits the one is for the other."""


class Statistics(Answer):
    """How well the fit is determined. What cannot be had is null."""

    stderr: dict[str, Number] | None
    """Standard errors of the free params."""
    covariance: dict[str, dict[str, Number]] | None
    covariance_reason: str | None
    """Why `covariance`, and all that rests on it, is null."""
    correlation: dict[str, dict[str, Number]] | None
    confidence_interval: ConfidenceInterval | None
    r_squared: Number | None
    adjusted_r_squared: Number | None
    aic: Number | None
    aicc: Number | None
    bic: Number | None
    reduced_chi_squared: Number | None
    """Σ(residual/σ)² by the degrees of freedom; null without degrees of freedom."""
    residual_std: Number | None
    degrees_of_freedom: int
    n: int


class Diagnostic(Answer):
    """Something worth knowing about the fit."""

    code: str
    severity: Severity
    message: str
    """What was seen, and why it matters."""
    params: list[str] | None = None
    """The params it is about."""
    suggestion: dict[str, Any] | None = None
    """A JSON merge patch (RFC 7396) of the request that cures it."""


class PredictBody(Answer):
    """A ready body for `POST /predict`: add `data` and send it."""

    model: str | dict[str, Any]
    params: dict[str, Number]
    scaling: dict[str, dict[str, float]] | None = None
    dtype: DType
    covariance: dict[str, dict[str, Number]] | None = None
    """Of the free params: what bands are made of."""
    residual_std: Number | None = None
    """The standard deviation of a new observation; null where `sigma` says it row by row."""
    degrees_of_freedom: int | None = None
    """Of Student's t for bands; 10¹², as good as normal, where `sigma_absolute`."""


class Dropped(Answer):
    """Rows left out for a missing value."""

    count: int
    rows: list[int]
    """The first hundred of them, counted from 1."""


class Timings(Answer):
    """Where the time went, in seconds."""

    queued_s: float
    fit_s: float


class FitUrls(Answer):
    """Where to go from here."""

    self: str
    history: str
    events: str
    cancel: str
    plot: str
    """The fit over its data; beside it `loss`, `residuals` and `path`, as svg, png and txt."""


class Fit(Answer):
    """A fit: the params, how good they are, and how far to trust them."""

    job_id: str
    status: Status
    stop_reason: StopReason
    converged: bool
    model: ModelSummary
    params: dict[str, Number]
    params_unscaled: UnscaledParams | None
    """In raw units, where that is exact; equal to `params` without scaling."""
    loss: Number
    """At `params`."""
    epochs: int
    """Epochs done."""
    optimizer: str
    """The method that was used."""
    curvature: Curvature | None
    """For `sgd` alone."""
    best: Best
    statistics: Statistics
    diagnostics: list[Diagnostic]
    verdict: Verdict
    """`trustworthy`; `doubtful` where a diagnostic of severity warning is there; `untrustworthy`
    where one of severity error is."""
    trustworthy: bool
    """Whether that is the verdict."""
    dropped: Dropped | None
    """What `"missing": "drop"` left out."""
    history: History
    predict: PredictBody
    timings: Timings
    urls: FitUrls


class GroupedInterval(Answer):
    """Two-sided intervals for the free params, one row a group. NaN where the data set no limit on
    that side, and where there is no standard error."""

    level: float
    method: IntervalMethod
    lower: dict[str, list[Number]]
    upper: dict[str, list[Number]]


class Groups(Answer):
    """The fits of groups as columns of equal length, one row a group, in order of appearance."""

    by: str
    """The column that tells the groups apart."""
    key: list[Number | str | None]
    """Its value; null for the group of the rows that have none."""
    n: list[int]
    """Rows."""
    status: list[Status]
    """`succeeded`, or `failed` for a group that could not be fitted: its diagnostics say why."""
    stop_reason: list[StopReason]
    epochs: list[int]
    verdict: list[Verdict]
    trustworthy: list[bool]
    loss: list[Number]
    r_squared: list[Number | None]
    residual_std: list[Number | None]
    params: dict[str, list[Number]]
    """NaN where the fit failed."""
    stderr: dict[str, list[Number]]
    """NaN where there is none."""
    confidence_interval: GroupedInterval | None = None
    """Where intervals by profile were asked for."""
    diagnostics: list[list[str]]
    """The codes of `GET /diagnostics`."""
    history: list[History] | None = None
    """Where `group_by` asked for it."""


class GroupedPredictBody(Answer):
    """What `POST /predict` with this `job_id` reckons with, beside the `params` of each group."""

    model: str | dict[str, Any]
    scaling: dict[str, dict[str, float]] | None = None
    dtype: DType


class GroupedFit(Answer):
    """The fits of groups, each as far to trust as its own row says."""

    job_id: str
    status: Status
    stop_reason: StopReason
    """`converged` where every group has; else how the first that has not ended."""
    converged: bool
    model: ModelSummary
    optimizer: str
    epochs: int
    """The most that a group took."""
    groups: Groups
    diagnostics: list[Diagnostic]
    """What was seen in groups, by code, and in how many."""
    verdict: Verdict
    """The worst of the groups'."""
    trustworthy: bool
    """Whether every group is."""
    dropped: Dropped | None
    predict: GroupedPredictBody
    timings: Timings
    urls: FitUrls

"""Response bodies of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import PrivateAttr

from service.schemas.base import Answer, Number
from service.schemas.names import (
    DType,
    ReportMethod,
    Severity,
    Status,
    StopReason,
    Verdict,
)
from service.schemas.noise_answers import CurveNoise, FittedNoise, FoundOutliers
from service.schemas.prior_answers import FittedPrior
from service.schemas.reading import Reading
from service.schemas.resampled import Coverage, Design
from service.schemas.statistics import Statistics


class History(Answer):
    """Recorded epochs as columns of equal length. A row holds the loss and the gradient before the
    epoch's update, and the params after it."""

    epoch: list[int]
    """The epochs recorded."""
    loss: list[Number]
    """The loss before the epoch's update."""
    params: dict[str, list[Number]]
    """The params after it."""
    gradient: dict[str, list[Number]]
    """∂loss/∂θ before it."""
    total: int
    """Epochs done so far."""
    thinned: bool
    """Whether recorded rows were omitted, in this answer or in the store."""

    @classmethod
    def nothing(cls, params: Sequence[str]) -> History:
        """The empty history of a fit that was not started."""
        none: dict[str, list[float]] = {name: [] for name in params}
        return cls(epoch=[], loss=[], params=none, gradient=none, total=0, thinned=False)


class ModelSummary(Answer):
    """The model as it was parsed."""

    formula: str
    """The formula."""
    inputs: list[str]
    """The columns that it uses."""
    target: str
    """What it explains: the left side."""
    params: list[str]
    """Without the tied ones."""
    expressions: dict[str, str] = {}
    """The expressions of the tied params."""


class Best(Answer):
    """The lowest loss of the fit, with its epoch and params."""

    epoch: int
    """The epoch."""
    loss: Number
    params: dict[str, Number]
    """The params at which the loss was measured."""


class UnscaledParams(Answer):
    """The params in the raw units of the inputs."""

    values: dict[str, Number]
    """The params by name."""
    stderr: dict[str, Number] | None
    """Null where there are no standard errors; see `statistics.covariance_reason`."""


class Report(Answer):
    """A quantity derived from the params."""

    expr: str
    """The expression."""
    meaning: str | None
    """Of a report of the model's family."""
    value: Number | None
    """At the params; null where they cannot be converted to raw units."""
    stderr: Number | None
    """By the delta method, from the gradient and the covariance."""
    lower: Number | None
    """The interval's end; null where there is none, for the `reason`."""
    upper: Number | None
    """The interval's other end."""
    level: float
    """The probability that the interval holds the true value."""
    method: ReportMethod
    """How the interval is computed."""
    log: bool
    """Whether the interval is symmetric on the log scale."""
    reason: str | None
    """Why the standard error or an end of the interval is null."""


class Curvature(Answer):
    """Gradient descent's limits, from the Hessian of the loss at the start."""

    learning_rate_limit: Number | None
    """The largest stable learning rate; null where it is unknown."""
    condition_number: Number
    """Condition number of the Hessian: the ratio of its largest to its smallest eigenvalue."""


class Diagnostic(Answer):
    """A diagnostic of the fit."""

    code: str
    """Its name; `GET /diagnostics/{code}` explains it."""
    severity: Severity
    """The worst severity of a fit decides its verdict."""
    message: str
    """What was found, and why it matters."""
    params: list[str] | None = None
    """The params concerned."""
    suggestion: dict[str, Any] | None = None
    """A JSON merge patch (RFC 7396) of the request that fixes it."""


class TiedParam(Answer):
    """A param that is computed from others."""

    expr: str
    """The expression that it follows from, in other params."""


class PredictBody(Answer):
    """The body of a `POST /predict` with this fit, without its `data`."""

    model: str | dict[str, Any]
    """The formula or the model, to predict with."""
    params: dict[str, Number | TiedParam]
    scaling: dict[str, dict[str, float]] | None = None
    """x' = scale·x + offset of inputs, in which the params are; null without scaling."""
    dtype: DType
    """The precision of the computation."""
    covariance: dict[str, dict[str, Number]] | None = None
    """Of the free params, for bands."""
    residual_std: Number | None = None
    """The standard deviation of a new observation; null where `sigma` gives one for each row."""
    sigma_scale: Number | None = None
    """The same in units of `sigma`; null without it."""
    noise: CurveNoise | None = None
    """`sigma` of a new observation, where it is an expression; so are weights."""
    input_range: dict[str, list[float]] | None = None
    """The smallest and largest value of each input, in raw units."""
    degrees_of_freedom: int | None = None
    """Of Student's t for bands; 10¹², which is practically normal, with `sigma_absolute`."""
    units: dict[str, str] = {}
    """Of columns and params, by name."""


class Dropped(Answer):
    """Rows dropped because of a missing value, or a weight of 0."""

    count: int
    """Their number."""
    rows: list[int]
    """The first hundred row numbers, counted from 1."""


class RowsUsed(Answer):
    """How many rows `rows` has left."""

    used: int
    """Rows of which the condition is true."""
    of: int
    """Rows in the data."""


class Timings(Answer):
    """Durations in seconds."""

    queued_s: float
    """Seconds in the queue."""
    fit_s: float
    """Seconds of computing."""


class FitUrls(Answer):
    """Links of the job."""

    self: str
    """The path of the job."""
    history: str
    """The path of its recorded epochs."""
    events: str
    """The path of its events while it runs."""
    cancel: str
    """The path that cancels it, by POST."""
    plot: str
    """The curve over its data. The views `loss`, `residuals` and `path` have the same path; the
    formats are svg, png and txt."""


class ErrorsInX(Answer):
    """Of a fit with `sigma_x`: its sum of squares S = Σ[(f(x + δ) − y)²/σ² + Σδ²/σ_x²], and δ."""

    sum_of_squares: Number
    """S, the smallest over the params and the errors; `loss` is S divided by the rows."""
    of_target: Number
    """The part Σ(f(x + δ) − y)²/σ² of it,"""
    of_inputs: Number
    """and the part Σδ²/σ_x²."""
    delta: dict[str, list[Number]] | None
    """The estimated errors of the inputs in raw units, row by row: x + δ is on the curve's side.
    Null with more than 10,000 rows."""


class Fit(Answer):
    """A fit: the params, their statistics and diagnostics, and the verdict."""

    job_id: str
    """The id of the job that this fit is."""
    status: Status
    """The job's status."""
    stop_reason: StopReason
    """Why it stopped. A fit that diverged is a succeeded job."""
    converged: bool
    """Whether `stop_reason` is `converged`."""
    model: ModelSummary
    params: dict[str, Number]
    """With the tied ones, which have expressions, last."""
    params_unscaled: UnscaledParams | None
    """The params in raw units, where the conversion is exact; equal to `params` without scaling."""
    loss: Number
    """At `params`."""
    epochs: int
    """Epochs done."""
    optimizer: str
    """The method that was used."""
    curvature: Curvature | None
    """Only for `sgd`."""
    best: Best
    statistics: Statistics
    noise: FittedNoise | None = None
    """Where the request has a model of the noise."""
    outliers: FoundOutliers | None = None
    """Where the request asks for outliers."""
    errors_in_x: ErrorsInX | None = None
    """With `sigma_x` in the request: the sum of squares, and the errors of the inputs."""
    prior: FittedPrior | None = None
    """Where the request has a prior."""
    report: dict[str, Report] | None = None
    """The quantities of the request's `report`, in raw units."""
    coverage: Coverage | None = None
    """With `coverage` in the request."""
    design: Design | None = None
    """With `design` in the request."""
    diagnostics: list[Diagnostic]
    """What is wrong or remarkable."""
    verdict: Verdict
    """`untrustworthy` with a diagnostic of severity error; `doubtful` with one of severity warning;
    else `trustworthy`."""
    trustworthy: bool
    """Whether the verdict is `trustworthy`."""
    dropped: Dropped | None
    """The rows dropped by `"missing": "drop"`, and those of weight 0."""
    rows: RowsUsed | None = None
    """With `rows` in the request: how many of them are used."""
    units: dict[str, str] = {}
    """Of the columns, from the request or the header of its file; and of the params that have one
    by these, such as `V/s`. With `scaling`, of the columns alone."""
    reading: Reading | None = None
    """What was understood of a CSV body; null for others."""
    history: History
    predict: PredictBody
    timings: Timings
    urls: FitUrls

    _drawn: Any = PrivateAttr(default=None)

    @property
    def drawn(self) -> Any:
        """The replicates of its bootstrap, which are no part of its JSON; None without them."""
        return self._drawn

    def with_drawn(self, drawn: Any) -> Self:
        """The same with the replicates of its bootstrap."""
        copied = self.model_copy()
        copied._drawn = drawn
        return copied

    @property
    def shown(self) -> dict[str, float]:
        """The params that the statistics are of: the last, or the best where the last are not
        finite or the fit was stopped early."""
        last = all(
            self.params[name] == value
            for name, value in self.predict.params.items()
            if isinstance(value, float)
        )
        return self.params if last else self.best.params

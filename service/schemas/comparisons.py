"""Answers of POST /compare: the models ranked, and the tests between them."""

from __future__ import annotations

from typing import Literal

from service.schemas.answers import (
    Diagnostic,
    Dropped,
    ModelSummary,
    PredictBody,
    Report,
    RowsUsed,
    Timings,
)
from service.schemas.base import Answer, Number
from service.schemas.grouped import By, GroupedReport, Groups, Key, Keyed
from service.schemas.names import LikelihoodName, Status, StopReason, Verdict
from service.schemas.noise_answers import FittedNoise

Criterion = Literal["aic", "aicc", "bic"]
TestName = Literal["f", "lrt", "lack_of_fit"]
Nested = Literal["declared", "proved", "no"]


class ComparedModel(Answer):
    """One model, and how it compares. RSS is Σ(residual/σ)²; what does not exist is null."""

    label: str
    """The name that the request gave it, or its formula."""
    index: int
    """Its place in the request, from 0."""
    model: ModelSummary
    rank: int | None
    """1 for the first. Null for a model without the criterion, for a failed fit, and for an
    untrustworthy one that would be before the first."""
    params: dict[str, Number]
    """By name, the last ones."""
    stderr: dict[str, Number] | None
    """Standard errors, by the name of the param."""
    n: int
    """Number of rows."""
    k: int
    """Number of free params, of all groups where curves are compared, and 1 for σ unless
    `sigma_absolute` or a likelihood; with an expression of sigma also those of the noise."""
    rss: Number | None
    """With a likelihood, the deviance."""
    degrees_of_freedom: int
    """Rows less fitted params."""
    log_likelihood: Number | None
    """Of the Gaussian, or of the `likelihood`, at its maximum."""
    aic: Number | None
    """2·k − 2·`log_likelihood`."""
    aicc: Number | None
    """Null with fewer than k + 2 rows."""
    bic: Number | None
    """k·log(n) − 2·`log_likelihood`."""
    delta: Number | None
    """The criterion less that of the first model."""
    weight: Number | None
    """exp(−delta/2), divided by its sum over the ranked models. It and delta are null where the
    first model fits exactly."""
    residual_std: Number | None
    """√(`rss`/`degrees_of_freedom`)."""
    r_squared: Number | None
    """1 − RSS/TSS, about the mean of the target."""
    status: Status
    """`succeeded`, or `failed` where it could not be fitted."""
    stop_reason: StopReason
    """Why it stopped."""
    verdict: Verdict
    """The worst of its diagnostics: `trustworthy`, `doubtful` or `untrustworthy`."""
    trustworthy: bool
    """Whether the verdict is `trustworthy`."""
    diagnostics: list[Diagnostic]
    report: dict[str, Report] | None = None
    """The quantities of the request's `report`; where curves are compared they are in `groups`."""
    noise: FittedNoise | None = None
    """Where sigma is an expression of the prediction: the noise of this model."""
    predict: PredictBody | None
    """The body of a `POST /predict` with this fit, without its `data`."""
    shared: list[str] | None = None
    """Where curves of groups are compared: the params with one value for all groups. `params` and
    `stderr` are of these."""
    groups: Groups | None = None
    """Where curves of groups are compared: each group's own params."""


class SkippedModel(Answer):
    """A family of the catalogue that cannot be fitted to these data."""

    label: str
    """The name of the model."""
    reason: str
    """Why it could not be fitted."""


class ModelTest(Answer):
    """A test of a smaller model, which is nested in a larger one."""

    test: TestName
    """`f`, an F test; `lrt`, of the likelihood ratio; `lack_of_fit`, against replicates."""
    null: str
    """The smaller model; the one that is tested for lack of fit."""
    alternative: str | None
    """The larger model. Null for lack of fit: a mean for each distinct input."""
    nested: Nested | None
    """How it is known that the smaller model is a special case of the larger one. Null for lack of
    fit."""
    statistic: Number | None
    """F, or 2(ℓ₂ − ℓ₁) for `lrt`."""
    df1: int | None
    """Degrees of freedom of the numerator: the params that the larger model has more."""
    df2: int | None
    """Null for `lrt`, whose statistic is χ² with `df1` degrees of freedom."""
    p: Number | None
    """Probability of such a statistic, or a larger one, if the smaller model is true."""
    reason: str | None = None
    """Why there is no p, or what it does not take into account."""


class ComparisonUrls(Answer):
    """Links of the job."""

    self: str
    """The path of the job."""
    events: str
    """The path of its events while it runs."""
    cancel: str
    """The path that cancels it, by POST."""
    plot: str
    """Its picture; of models compared in each group with `?group=` the key of one."""


class Comparison(Answer):
    """Models, ranked: the first first. Those without a rank follow."""

    job_id: str
    """The job's id."""
    status: Status
    """The job's status."""
    stop_reason: StopReason
    """Why it stopped."""
    criterion: Criterion
    """By which the models are ranked: `aicc`, `aic` or `bic`."""
    likelihood: LikelihoodName | None = None
    """Of counts, by which the models are compared; null for the Gaussian."""
    target: str
    """The left side of every model."""
    n: int
    """Rows of every fit."""
    best: str | None
    """The label of the first model; null where none has a rank."""
    models: list[ComparedModel]
    skipped: list[SkippedModel]
    tests: list[ModelTest]
    diagnostics: list[Diagnostic]
    verdict: Verdict
    """The worst of `diagnostics`, those of the comparison itself."""
    trustworthy: bool
    """Whether the verdict is `trustworthy`."""
    dropped: Dropped | None
    rows: RowsUsed | None = None
    """With `rows` in the request: how many of them are used."""
    timings: Timings
    urls: ComparisonUrls


class GroupedModel(Answer):
    """One model in every group, as columns with one row per group. NaN where there is no value."""

    label: str
    """The name that the request gave it, or its formula."""
    index: int
    """Its place among the request's models, from 0."""
    model: ModelSummary
    k: int
    """Number of free params, and 1 for σ unless `sigma_absolute` or a likelihood."""
    leads: int
    """Number of groups in which it is the first."""
    rank: list[int | None]
    """Its place in each group, from 1; null where it has no fit."""
    params: dict[str, list[Number]]
    """A column for each param, a row a group."""
    stderr: dict[str, list[Number]]
    """Standard errors, a column for each param."""
    rss: list[Number]
    """The sum of the squared residuals in each group."""
    degrees_of_freedom: list[int]
    """Rows less fitted params."""
    log_likelihood: list[Number]
    """The logarithm of the likelihood at the params."""
    aic: list[Number]
    """2·k − 2·`log_likelihood`."""
    aicc: list[Number]
    """`aic` + 2·k·(k + 1)/(n − k − 1)."""
    bic: list[Number]
    """k·log(n) − 2·`log_likelihood`."""
    delta: list[Number]
    """The criterion's difference to the first model of the group."""
    weight: list[Number]
    """exp(−Δ/2), as a part of the sum over the models of the group."""
    stop_reason: list[StopReason]
    """Why it stopped."""
    verdict: list[Verdict]
    """Of the fit of each group."""
    diagnostics: list[list[str]]
    """The codes of the diagnostics in each group."""
    report: dict[str, GroupedReport] | None = None
    """The quantities of the request's `report`."""


class GroupedTest(Answer):
    """A test in every group, as columns with one row per group."""

    test: TestName
    """`f`, an F test; `lrt`, of the likelihood ratio; `lack_of_fit`, against replicates."""
    null: str
    """The label of the smaller model."""
    alternative: str | None
    """The label of the larger model; null for lack of fit."""
    nested: Nested | None
    """How it is known that the smaller model is a special case of the larger one."""
    statistic: list[Number]
    """F, or twice the difference of the log-likelihoods, in each group."""
    df1: list[int | None]
    """Degrees of freedom of the numerator: the params that the larger model has more."""
    df2: list[int | None]
    """Degrees of freedom of the denominator: those of the larger model."""
    p: list[Number]
    """The probability of such a statistic or a larger one, if the smaller model is true."""
    reason: list[str | None]
    """Why a group has no test; else null."""


class GroupedComparison(Keyed, Answer):
    """Models compared in each group; the model that leads most often first."""

    job_id: str
    """The job's id."""
    status: Status
    """The job's status."""
    stop_reason: StopReason
    """Why it stopped."""
    criterion: Criterion
    """By which the models are ranked: `aicc`, `aic` or `bic`."""
    likelihood: LikelihoodName | None = None
    """Of counts, by which the models are compared; null for the Gaussian."""
    target: str
    """What is explained: the left side of the formula."""
    by: By
    """The grouping column, or columns."""
    key: list[Key]
    """The group's value of the column `by`, or its values of the columns."""
    n: list[int]
    """Number of rows of each group."""
    best: list[str | None]
    """The label of the first model in each group."""
    models: list[GroupedModel]
    skipped: list[SkippedModel]
    tests: list[GroupedTest]
    diagnostics: list[Diagnostic]
    verdict: Verdict
    """The worst of `diagnostics`, those of the comparison itself."""
    trustworthy: bool
    """Whether the verdict is `trustworthy`."""
    dropped: Dropped | None
    rows: RowsUsed | None = None
    """With `rows` in the request: how many of them are used."""
    timings: Timings
    urls: ComparisonUrls

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
    index: int
    """Its place in the request, from 0."""
    model: ModelSummary
    rank: int | None
    """1 for the first. Null for a model without the criterion, for a failed fit, and for an
    untrustworthy one that would be before the first."""
    params: dict[str, Number]
    stderr: dict[str, Number] | None
    n: int
    k: int
    """Number of free params, of all groups where curves are compared, and 1 for σ unless
    `sigma_absolute` or a likelihood; with an expression of sigma also those of the noise."""
    rss: Number | None
    """With a likelihood, the deviance."""
    degrees_of_freedom: int
    log_likelihood: Number | None
    """Of the Gaussian, or of the `likelihood`, at its maximum."""
    aic: Number | None
    aicc: Number | None
    """Null with fewer than k + 2 rows."""
    bic: Number | None
    delta: Number | None
    """The criterion less that of the first model."""
    weight: Number | None
    """exp(−delta/2), divided by its sum over the ranked models. It and delta are null where the
    first model fits exactly."""
    residual_std: Number | None
    r_squared: Number | None
    status: Status
    stop_reason: StopReason
    verdict: Verdict
    trustworthy: bool
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
    reason: str


class ModelTest(Answer):
    """A test of a smaller model, which is nested in a larger one."""

    test: TestName
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
    df2: int | None
    """Null for `lrt`, whose statistic is χ² with `df1` degrees of freedom."""
    p: Number | None
    """Probability of such a statistic, or a larger one, if the smaller model is true."""
    reason: str | None = None
    """Why there is no p, or what it does not take into account."""


class ComparisonUrls(Answer):
    """Links of the job."""

    self: str
    events: str
    cancel: str


class Comparison(Answer):
    """Models, ranked: the first first. Those without a rank follow."""

    job_id: str
    status: Status
    stop_reason: StopReason
    criterion: Criterion
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
    trustworthy: bool
    dropped: Dropped | None
    rows: RowsUsed | None = None
    """With `rows` in the request: how many of them are used."""
    timings: Timings
    urls: ComparisonUrls


class GroupedModel(Answer):
    """One model in every group, as columns with one row per group. NaN where there is no value."""

    label: str
    index: int
    model: ModelSummary
    k: int
    leads: int
    """Number of groups in which it is the first."""
    rank: list[int | None]
    params: dict[str, list[Number]]
    stderr: dict[str, list[Number]]
    rss: list[Number]
    degrees_of_freedom: list[int]
    log_likelihood: list[Number]
    aic: list[Number]
    aicc: list[Number]
    bic: list[Number]
    delta: list[Number]
    weight: list[Number]
    stop_reason: list[StopReason]
    verdict: list[Verdict]
    diagnostics: list[list[str]]
    report: dict[str, GroupedReport] | None = None
    """The quantities of the request's `report`."""


class GroupedTest(Answer):
    """A test in every group, as columns with one row per group."""

    test: TestName
    null: str
    alternative: str | None
    nested: Nested | None
    statistic: list[Number]
    df1: list[int | None]
    df2: list[int | None]
    p: list[Number]
    reason: list[str | None]


class GroupedComparison(Keyed, Answer):
    """Models compared in each group; the model that leads most often first."""

    job_id: str
    status: Status
    stop_reason: StopReason
    criterion: Criterion
    likelihood: LikelihoodName | None = None
    """Of counts, by which the models are compared; null for the Gaussian."""
    target: str
    by: By
    """The grouping column, or columns."""
    key: list[Key]
    n: list[int]
    best: list[str | None]
    """The label of the first model in each group."""
    models: list[GroupedModel]
    skipped: list[SkippedModel]
    tests: list[GroupedTest]
    diagnostics: list[Diagnostic]
    verdict: Verdict
    trustworthy: bool
    dropped: Dropped | None
    rows: RowsUsed | None = None
    """With `rows` in the request: how many of them are used."""
    timings: Timings
    urls: ComparisonUrls

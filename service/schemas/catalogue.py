"""Responses of GET /models, /losses, /likelihoods, /optimizers and /diagnostics."""

from __future__ import annotations

from typing import Any

from service.schemas.base import Answer
from service.schemas.names import Verdict


class ParamEntry(Answer):
    """A param of a model."""

    name: str
    meaning: str
    unit: str
    """In terms of the units of x and y."""


class ReportEntry(Answer):
    """A quantity that `"report": "default"` reports."""

    name: str
    expr: str
    meaning: str
    unit: str


class ModelEntry(Answer):
    """A model of the catalogue."""

    name: str
    title: str
    formula: str
    inputs: list[str]
    target: str
    params: list[ParamEntry]
    reports: list[ReportEntry]
    options: dict[str, Any]
    when_to_use: str
    reference: str


class OptionEntry(Answer):
    """An option of a loss, a likelihood, an optimizer or a schedule."""

    name: str
    default: Any
    meaning: str


class LossEntry(Answer):
    """A loss, with its reduction."""

    name: str
    formula: str
    options: list[OptionEntry]
    when_to_use: str
    reference: str


class LikelihoodEntry(Answer):
    """A likelihood of counts."""

    name: str
    formula: str
    """The deviance, which is minimised."""
    variance: str
    """The variance of a target with the mean μ, per unit of the weight that its option gives."""
    options: list[OptionEntry]
    when_to_use: str
    reference: str


class OptimizerEntry(Answer):
    """An optimizer."""

    name: str
    formula: str
    options: list[OptionEntry]
    when_to_use: str
    reference: str


class ScheduleEntry(Answer):
    """A learning-rate schedule of the first-order optimizers."""

    name: str
    formula: str
    """The factor on the learning rate at epoch t, counted from 0."""
    options: list[OptionEntry]
    when_to_use: str
    reference: str


class ModelList(Answer):
    """All models."""

    models: list[ModelEntry]


class LossList(Answer):
    """All losses."""

    losses: list[LossEntry]


class LikelihoodList(Answer):
    """All likelihoods."""

    likelihoods: list[LikelihoodEntry]


class OptimizerList(Answer):
    """All optimizers, and all schedules of their learning rates."""

    optimizers: list[OptimizerEntry]
    schedules: list[ScheduleEntry]


class DiagnosticEntry(Answer):
    """A diagnostic."""

    code: str
    seen: str
    """The condition for it."""
    severity: str
    """`info`, `warning` or `error`, with the condition for each if there is more than one."""
    why_it_matters: str
    cure: str
    """What the suggestion does, if there is one, or what else would help."""


class VerdictEntry(Answer):
    """A verdict: how reliable a fit is."""

    verdict: Verdict
    when: str
    """The condition for it."""


class DiagnosticList(Answer):
    """All verdicts and all diagnostics."""

    verdicts: list[VerdictEntry]
    diagnostics: list[DiagnosticEntry]

"""Responses of GET /models, /losses, /likelihoods, /optimizers and /diagnostics."""

from __future__ import annotations

from typing import Any

from service.schemas.base import Answer
from service.schemas.names import Verdict


class ParamEntry(Answer):
    """A param of a model."""

    name: str
    """Its name in the formula."""
    meaning: str
    """What it is."""
    unit: str
    """In terms of the units of x and y."""


class ReportEntry(Answer):
    """A quantity that `"report": "default"` reports."""

    name: str
    """Its name in the answer."""
    expr: str
    """What it is computed by, from the params."""
    meaning: str
    """What it is."""
    unit: str
    """Its unit, in those of the input and the target."""


class ModelEntry(Answer):
    """A model of the catalogue."""

    name: str
    """What a request calls it."""
    title: str
    """The name for people."""
    formula: str
    """What is computed."""
    inputs: list[str]
    """The names of its inputs in `formula`."""
    target: str
    """The name of its target in `formula`."""
    params: list[ParamEntry]
    reports: list[ReportEntry]
    options: dict[str, Any]
    """Options of the model, with their defaults."""
    when_to_use: str
    """When it is the right choice."""
    reference: str
    """Where it is from: a paper, a book or a standard."""


class OptionEntry(Answer):
    """An option of a loss, a likelihood, an optimizer or a schedule."""

    name: str
    """Its name in a request."""
    default: Any
    """What is used without it."""
    meaning: str
    """What it is."""


class LossEntry(Answer):
    """A loss, with its reduction."""

    name: str
    """What a request calls it."""
    formula: str
    """What is computed."""
    options: list[OptionEntry]
    when_to_use: str
    """When it is the right choice."""
    reference: str
    """Where it is from: a paper, a book or a standard."""


class LikelihoodEntry(Answer):
    """A likelihood of counts."""

    name: str
    """What a request calls it."""
    formula: str
    """The deviance, which is minimised."""
    variance: str
    """The variance of a target with the mean μ, per unit of the weight that its option gives."""
    options: list[OptionEntry]
    when_to_use: str
    """When it is the right choice."""
    reference: str
    """Where it is from: a paper, a book or a standard."""


class OptimizerEntry(Answer):
    """An optimizer."""

    name: str
    """What a request calls it."""
    formula: str
    """What is computed."""
    options: list[OptionEntry]
    when_to_use: str
    """When it is the right choice."""
    reference: str
    """Where it is from: a paper, a book or a standard."""


class ScheduleEntry(Answer):
    """A learning-rate schedule of the first-order optimizers."""

    name: str
    """What a request calls it."""
    formula: str
    """The factor on the learning rate at epoch t, counted from 0."""
    options: list[OptionEntry]
    when_to_use: str
    """When it is the right choice."""
    reference: str
    """Where it is from: a paper, a book or a standard."""


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
    """Its code in an answer."""
    seen: str
    """The condition for it."""
    severity: str
    """`info`, `warning` or `error`, with the condition for each if there is more than one."""
    why_it_matters: str
    """What is wrong with a fit that has it."""
    cure: str
    """What the suggestion does, if there is one, or what else would help."""


class VerdictEntry(Answer):
    """A verdict: how reliable a fit is."""

    verdict: Verdict
    """`trustworthy`, `doubtful` or `untrustworthy`."""
    when: str
    """The condition for it."""


class DiagnosticList(Answer):
    """All verdicts and all diagnostics."""

    verdicts: list[VerdictEntry]
    diagnostics: list[DiagnosticEntry]

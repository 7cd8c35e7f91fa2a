"""GET /models, /losses, /optimizers, /diagnostics: the catalogue."""

from __future__ import annotations

from typing import Any

from service.schemas.base import Answer
from service.schemas.names import Verdict


class ParamEntry(Answer):
    """What a param means."""

    name: str
    meaning: str
    unit: str
    """In terms of the units of x and y."""


class ModelEntry(Answer):
    """A family of the catalogue."""

    name: str
    title: str
    formula: str
    inputs: list[str]
    target: str
    params: list[ParamEntry]
    options: dict[str, Any]
    when_to_use: str
    reference: str


class OptionEntry(Answer):
    """An option of a loss or an optimizer."""

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


class OptimizerEntry(Answer):
    """An optimizer."""

    name: str
    formula: str
    options: list[OptionEntry]
    when_to_use: str
    reference: str


class ModelList(Answer):
    """All families."""

    models: list[ModelEntry]


class LossList(Answer):
    """All losses."""

    losses: list[LossEntry]


class OptimizerList(Answer):
    """All optimizers."""

    optimizers: list[OptimizerEntry]


class DiagnosticEntry(Answer):
    """What may be said of a fit, by its code."""

    code: str
    seen: str
    """When it is said."""
    severity: str
    """How severe that is: `info`, `warning` or `error`, and when which."""
    why_it_matters: str
    cure: str
    """What the suggestion does, where there is one, or what else would help."""


class VerdictEntry(Answer):
    """How far to trust a fit."""

    verdict: Verdict
    when: str


class DiagnosticList(Answer):
    """The verdicts, and all diagnostics that they follow from."""

    verdicts: list[VerdictEntry]
    diagnostics: list[DiagnosticEntry]

"""GET /models, /losses, /optimizers: the catalogue."""

from __future__ import annotations

from typing import Any

from service.schemas.base import Answer


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

"""The tables of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.schemas.catalogue import (
    DiagnosticEntry,
    LikelihoodEntry,
    LossEntry,
    ModelEntry,
    OptimizerEntry,
)

Table = Mapping[str, Sequence[str]]


def entries_table(
    entries: Sequence[ModelEntry | LossEntry | LikelihoodEntry | OptimizerEntry],
) -> Table:
    """The entries of a catalogue, a row each."""
    return {
        "name": [entry.name for entry in entries],
        "formula": [entry.formula for entry in entries],
        "when_to_use": [entry.when_to_use for entry in entries],
        "reference": [entry.reference for entry in entries],
    }


def diagnostics_table(entries: Sequence[DiagnosticEntry]) -> Table:
    """The diagnostics, a row each."""
    return {name: [getattr(e, name) for e in entries] for name in DiagnosticEntry.model_fields}

"""Answers on stdout, in the requested format."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from service.cli import terminal

if TYPE_CHECKING:
    from service.schemas.base import Answer


class Form(StrEnum):
    """The format of an answer."""

    text = "text"
    json = "json"
    csv = "csv"
    oneline = "oneline"


def show(answer: Answer, form: Form, *, raw: bytes | None = None) -> None:
    """Writes an answer. raw: its JSON as the service sent it."""
    write(_written(answer, form, raw))


def write(text: str) -> None:
    """Writes to stdout and flushes, so that typer handles a closed pipe."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _written(answer: Answer, form: Form, raw: bytes | None) -> str:
    if form is Form.json:
        return (answer.document() if raw is None else raw).decode()
    if form is Form.csv:
        from service.render.table_units import units_of_columns
        from service.render.tables import csv_text, table

        return csv_text(table(answer), units_of_columns(answer))
    if form is Form.oneline:
        from service.render.oneline import oneline

        return oneline(answer)
    from service.render.report import report

    return report(answer, width=terminal.width(), color=terminal.colourful())

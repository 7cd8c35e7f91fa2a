"""Answers on stdout, in the requested format."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service.cli import terminal

if TYPE_CHECKING:
    from service.schemas.base import Answer


class Form(StrEnum):
    """The format of an answer."""

    text = "text"
    json = "json"
    csv = "csv"
    oneline = "oneline"


def show(answer: Answer, form: Form, *, raw: bytes | None = None, beside: Any = None) -> None:
    """Writes an answer.

    raw: its JSON as the service sent it. beside: columns that stand beside predictions, in CSV.
    """
    write(_written(answer, form, raw, beside))


def write(text: str) -> None:
    """Writes to stdout and flushes, so that typer handles a closed pipe."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _written(answer: Answer, form: Form, raw: bytes | None, beside: Any) -> str:
    if form is Form.json:
        return (answer.document() if raw is None else raw).decode()
    if form is Form.csv:
        from service.render.tables import csv_text, joined, table

        # With a condition on the rows there are fewer predictions than rows.
        if getattr(answer, "rows", None) is not None:
            beside = None
        return csv_text(joined(beside or {}, table(answer)))
    if form is Form.oneline:
        from service.render.oneline import oneline

        return oneline(answer)
    from service.render.report import report

    return report(answer, width=terminal.width(), color=terminal.colourful())

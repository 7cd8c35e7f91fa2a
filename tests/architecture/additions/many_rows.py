"""A throw-away diagnostic."""

from __future__ import annotations

from service.engine.diagnostics.finished import (
    INFO,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
)


def _severity(finished: FinishedFits) -> Severities:
    """There are rows."""
    return finished.everywhere(INFO)


def _describe(fit: FinishedFit) -> Message:
    return Message(f"{fit.problem.rows} rows are many")


MANY_ROWS = Check(
    "many_rows", _severity, _describe, About("always", "`info`", "it does not", "none")
)

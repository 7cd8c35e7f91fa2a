"""A throw-away diagnostic."""

from __future__ import annotations

from service.engine.diagnostics.finding import (
    INFO,
    About,
    Check,
    Finding,
    Findings,
    Message,
    Severities,
)


def _severity(findings: Findings) -> Severities:
    """There are rows."""
    return findings.everywhere(INFO)


def _describe(finding: Finding) -> Message:
    return Message(f"{finding.problem.rows} rows are many")


MANY_ROWS = Check(
    "many_rows", _severity, _describe, About("always", "`info`", "it does not", "none")
)

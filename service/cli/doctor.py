"""`descent doctor`: is all well here, and with the service?"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from service.cli import options

if TYPE_CHECKING:
    from service.cli import checks


def doctor(url: options.Url = None, api_key: options.ApiKey = None) -> None:
    """Check the installation, the machine, the settings, and a fit: by the service at --url, or by
    one that is started for it. Exit code: 0 all is well, 1 something is not, 5 no service."""
    from service.cli import checks, exits, terminal

    found = [*_told(checks.installation()), *_told(checks.machine()), *_told(checks.settings())]
    found += _told(checks.service(url, api_key))
    wrong = sum(finding.state == "FAIL" for finding in found)
    if any(finding.unreachable for finding in found):
        raise typer.Exit(exits.UNREACHABLE)
    if wrong:
        raise typer.Exit(exits.FAILED)
    typer.echo(terminal.paint("all is well", "green", sys.stdout))


def _told(findings: Iterable[checks.Finding]) -> list[checks.Finding]:
    """The findings, each said as it is found."""
    from service.cli import terminal

    colours = {"ok": "green", "note": "yellow", "FAIL": "red"}
    found = []
    for finding in findings:
        mark = terminal.paint(f"{finding.state:<4}", colours[finding.state], sys.stdout)
        typer.echo(f"{mark}  {finding.text}")
        found.append(finding)
    return found

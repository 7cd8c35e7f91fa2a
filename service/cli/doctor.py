"""`descent doctor`: check the installation and the service."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from service.cli import options

if TYPE_CHECKING:
    from service.cli import checks


def doctor(url: options.Url = None, api_key: options.ApiKey = None) -> None:
    """Check the installation, the machine, the settings, and certified cases: by the service at
    --url, or by a temporary one. Exit code: 0 no problems, 1 a check failed, 5 no service."""
    from service.cli import checks, exits, terminal

    exits.need_the_service()
    found = [*_print(checks.installation()), *_print(checks.machine()), *_print(checks.settings())]
    found += _print(checks.service(url, api_key))
    wrong = sum(result.state == "FAIL" for result in found)
    if any(result.unreachable for result in found):
        raise typer.Exit(exits.UNREACHABLE)
    if wrong:
        raise typer.Exit(exits.FAILED)
    typer.echo(terminal.paint("no problems found", "green", sys.stdout))


def _print(results: Iterable[checks.CheckResult]) -> list[checks.CheckResult]:
    """The results, each printed as it is found."""
    from service.cli import terminal

    colours = {"ok": "green", "note": "yellow", "FAIL": "red"}
    found = []
    for result in results:
        mark = terminal.paint(f"{result.state:<4}", colours[result.state], sys.stdout)
        typer.echo(f"{mark}  {result.text}")
        found.append(result)
    return found

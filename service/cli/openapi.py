"""`descent openapi`: the API's description, as committed in openapi.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli import exits


def openapi(
    check: Annotated[
        bool, typer.Option("--check", help="Compare with ./openapi.json instead of printing.")
    ] = False,
) -> None:
    """Print the OpenAPI document."""
    exits.need_the_service()
    from service.api.openapi import text
    from service.app import create_app
    from service.settings import Settings

    made = text(create_app(Settings()).openapi())
    if not check:
        typer.echo(made, nl=False)
        return
    committed = Path("openapi.json")
    if not committed.is_file() or committed.read_text(encoding="utf-8") != made:
        typer.echo("openapi.json is out of date; run `make openapi`", err=True)
        raise typer.Exit(1)

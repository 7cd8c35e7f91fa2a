"""`descent key NAME`: a new API key."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import exits


def key(
    name: Annotated[str, typer.Argument(help="Its name: the owner of the jobs it starts.")],
) -> None:
    """Create an API key. The key is printed on stderr, this once; its line for DESCENT_KEYS_FILE on
    stdout: `descent key alice >> keys.txt`."""
    exits.need_the_service()
    from service.api.middleware.api_keys import UnusableKeys, new_key

    try:
        secret, line = new_key(name)
    except UnusableKeys as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"The key of {name}, shown this once: {secret}", err=True)
    typer.echo(line)

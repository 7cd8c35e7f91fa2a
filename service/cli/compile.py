"""`descent compile`: compile the kernel ahead of time."""

from __future__ import annotations

import logging
import sys

import typer

from service.cli import exits


def compile() -> None:
    """Compile the numerical kernel and cache its machine code on disk; no effect if it is cached
    already. Exit code 1 if there is no writable folder."""
    exits.need_the_service()
    from service.cli import kernel
    from service.engine.kernel import cache, warm

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if cache.writable() is None and not warm.load():
        typer.echo(f"no folder for the machine code is writable: {kernel.tried()}", err=True)
        raise typer.Exit(1)
    compiled = kernel.prepare()
    typer.echo("The numerical kernel is compiled" + ("" if compiled else " already"))

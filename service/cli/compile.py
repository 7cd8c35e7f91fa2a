"""`descent compile`: the kernel's machine code, before it is needed."""

from __future__ import annotations

import logging
import sys

import typer


def compile() -> None:
    """Compile the numerical kernel and keep its machine code on disk, where a start finds it; where
    it is there already, nothing. Exit code 1 if there is no folder that can be written."""
    from service.cli import kernel
    from service.engine.kernel import cache, warm

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if cache.writable() is None and not warm.load():
        typer.echo(f"there is no folder to keep machine code in: {kernel.tried()}", err=True)
        raise typer.Exit(1)
    compiled = kernel.prepare()
    typer.echo("The numerical kernel is compiled" + ("" if compiled else " already"))

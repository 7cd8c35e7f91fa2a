"""The command line. Each command imports what it needs when it runs, so that only those that use
torch wait for its import."""

from __future__ import annotations

from typing import Annotated

import typer

from service import __version__
from service.cli.cancel import cancel
from service.cli.certify import certify
from service.cli.compare import compare
from service.cli.compile import compile
from service.cli.doctor import doctor
from service.cli.draws import draws
from service.cli.fit import fit
from service.cli.gradient import gradient
from service.cli.invert import invert
from service.cli.jobs import jobs
from service.cli.key import key
from service.cli.models import models
from service.cli.openapi import openapi
from service.cli.predict import predict
from service.cli.serve import serve
from service.cli.watch import watch
from service.cli.work import work

main = typer.Typer(
    help="Fit parametric models to data, and say how far to trust the fit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    *(serve, fit, compare, watch, predict, invert, gradient, jobs, draws, cancel, models),
    *(doctor, certify, openapi, key, compile, work),
):
    main.command()(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"descent {__version__}")
        raise typer.Exit


@main.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass

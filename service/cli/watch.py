"""`descent watch`: follow a job to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli import options
from service.cli.printing import Form


def watch(
    job: Annotated[str, typer.Argument(help="A job's id, as listed by `descent jobs`.")],
    plot: options.Plot = None,
    view: options.View = "fit",
    look: options.Look = None,
    save: Annotated[Path | None, typer.Option(help="The file for the fit's JSON.")] = None,
    strict: options.Strict = False,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Follow a job to its end, and print its fit. ^C ends the watch; the job continues."""
    from service.cli.fit import fit

    fit(
        watch=job, plot=plot, view=view, look=look, save=save, strict=strict, format=format,
        url=url, api_key=api_key,
    )  # fmt: skip

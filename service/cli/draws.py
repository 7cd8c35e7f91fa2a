"""`descent draws`: the replicates of a fit's bootstrap."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options
from service.cli.printing import Form


def draws(
    job: Annotated[str, typer.Argument(help="The id of a job whose fit has a bootstrap.")],
    format: options.Format = Form.csv,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Print the replicates of the bootstrap of a finished fit, a row each."""
    from service.cli import connecting, printing

    with connecting.descent(url, api_key, own=False) as client:
        printing.show(client.job(job).draws(), format)

"""`descent cancel`: stop jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options


def cancel(
    jobs: Annotated[list[str], typer.Argument(help="Job ids, as listed by `descent jobs`.")],
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Stop jobs, keeping their best so far. A finished job is unchanged."""
    from service.cli import connecting

    with connecting.descent(url, api_key, own=False) as client:
        for job_id in jobs:
            job = client.job(job_id)
            job.cancel()
            typer.echo(f"{job_id} {job.status()}")

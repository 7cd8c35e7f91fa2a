"""`descent jobs`: the jobs of a service, or one of them."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, cast

import typer

from service.cli import options
from service.cli.printing import Form
from service.schemas.names import Status


def jobs(
    job: Annotated[str | None, typer.Argument(help="One job's id; without, all of them.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="Only those that are queued, running, succeeded, failed or cancelled."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most to list.")] = 20,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """List the jobs, newest first; or show one."""
    from service.cli import connecting, printing
    from service.schemas.jobs import JobList

    with connecting.descent(url, api_key, own=False) as client:
        if job is not None:
            printing.show(client.job(job).record(), format)
            return
        page = min(limit + 1, 1000)
        found = list(islice(client.jobs(cast("Status | None", status), page=page), limit + 1))
        shown, more = found[:limit], len(found) > limit
        after = shown[-1].job_id if more else None
        printing.show(JobList(jobs=shown, has_more=more, next_after=after), format)

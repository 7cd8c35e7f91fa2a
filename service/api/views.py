"""Jobs as they are kept, turned into what goes over the wire."""

from __future__ import annotations

import asyncio
import re

from pydantic_core import to_json

from service.api.error_handlers import problem_of
from service.jobs.history import Epochs, Floats, Rows
from service.jobs.job import Job
from service.jobs.service import JobService
from service.schemas import jobs as wire
from service.schemas.answers import History
from service.schemas.problems import Problem

# The quotes within a string are escaped, so this is no string's content.
_TIMINGS = re.compile(rb'"timings":\{"queued_s":([\d.e+-]+),"fit_s":([\d.e+-]+)\}')


def url(job: Job) -> str:
    """Where the job is."""
    return f"/jobs/{job.id}"


def full(job: Job, service: JobService) -> bytes:
    """The JSON of the job with its fit, which is as its worker wrote it: however large it is, it is
    not read again."""
    document = brief(job, service).document()
    if job.result is None:
        return document
    # The quotes within a string are escaped, so this is no string's content.
    return document.replace(b'"result":null', b'"result":' + job.result, 1)


def server_timing(result: bytes) -> dict[str, str]:
    """The Server-Timing header of a fit, in milliseconds (W3C Server Timing)."""
    found = _TIMINGS.search(result)
    if found is None:
        return {}
    queued, fitted = (1000 * float(seconds) for seconds in found.groups())
    return {"Server-Timing": f"queue;dur={queued:.3f}, fit;dur={fitted:.3f}"}


def failure(job: Job, request_id: str | None = None) -> Problem | None:
    """Why the job failed; None where it did not."""
    if job.failure is None:
        return None
    return problem_of(job.failure.type, job.failure.detail, request_id=request_id, job_id=job.id)


def history(job: Job, rows: Rows) -> History:
    """Rows of the job's history."""
    return History(
        epoch=rows.epoch.tolist(),
        loss=rows.loss.tolist(),
        params={name: rows.params[:, i].tolist() for i, name in enumerate(job.params)},
        gradient={name: rows.gradient[:, i].tolist() for i, name in enumerate(job.params)},
        total=job.progress.epoch,
        thinned=rows.thinned,
    )


async def history_document(job: Job, rows: Rows) -> bytes:
    """The JSON of the same, written column by column: all of a wide one would take seconds, and
    others have theirs to do."""

    async def columns(table: Floats) -> bytes:
        written = [
            to_json(name) + b":" + await _column(table[:, i]) for i, name in enumerate(job.params)
        ]
        return b"{" + b",".join(written) + b"}"

    members = {
        b"epoch": await _column(rows.epoch),
        b"loss": await _column(rows.loss),
        b"params": await columns(rows.params),
        b"gradient": await columns(rows.gradient),
        b"total": to_json(job.progress.epoch),
        b"thinned": to_json(rows.thinned),
    }
    return b"{" + b",".join(b'"%s":%s' % member for member in members.items()) + b"}"


async def _column(values: Floats | Epochs) -> bytes:
    await asyncio.sleep(0)
    return to_json(values.tolist(), inf_nan_mode="strings")


def progress_event(
    job: Job, rows: Rows, last_epoch: int | None, service: JobService
) -> wire.ProgressEvent:
    """How far the job is, and rows that its watcher has not seen."""
    return wire.ProgressEvent(
        job_id=job.id,
        status=job.status,
        queue_position=service.queue_position(job),
        starts_in_s=_starts_in(job, service),
        progress=_progress(job),
        history=history(job, rows),
        last_epoch=last_epoch,
    )


def done_event(job: Job, last_epoch: int | None, service: JobService) -> wire.DoneEvent:
    """The end of a job."""
    return wire.DoneEvent(job_id=job.id, job=brief(job, service), last_epoch=last_epoch)


def brief(job: Job, service: JobService) -> wire.Job:
    """The job without its fit: `urls.self` has it."""
    at = url(job)
    return wire.Job(
        job_id=job.id,
        status=job.status,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        queue_position=service.queue_position(job),
        starts_in_s=_starts_in(job, service),
        progress=_progress(job),
        model=job.model,
        tags=dict(job.tags),
        result=None,
        error=failure(job),
        urls=wire.JobUrls(
            self=at, history=f"{at}/history", events=f"{at}/events", cancel=f"{at}/cancel"
        ),
    )


def _starts_in(job: Job, service: JobService) -> float | None:
    return service.eta(job) if job.status == "queued" else None


def _progress(job: Job) -> wire.Progress:
    return wire.Progress(**job.progress._asdict())

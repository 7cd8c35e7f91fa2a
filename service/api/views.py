"""Job records and histories converted to answers: their schemas, and their JSON."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

from pydantic_core import to_json

from service.api.concurrency import FairLimiter
from service.api.error_handlers import problem_of
from service.jobs.executor import Place
from service.jobs.history import Rows
from service.jobs.job import Job, Kind, Stored
from service.schemas import jobs as wire
from service.schemas.answers import History
from service.schemas.problems import Problem
from service.schemas.series import columns, written

# The quotes within a string are escaped, so this is no string's content.
_TIMINGS = re.compile(rb'"timings":\{"queued_s":([\d.e+-]+),"fit_s":([\d.e+-]+)\}')
_TAIL = 2**11
"""Bytes at the end of a fit's JSON that are searched for its timings."""
_NOTHING = History.nothing(())
_UNITS: dict[Kind, Literal["epoch", "group", "model"]] = {
    "fit": "epoch",
    "groups": "group",
    "global": "epoch",
    "comparison": "model",
}


def url(job: Job) -> str:
    """The job's path."""
    return f"/jobs/{job.id}"


def full(shown: wire.Job, result: Stored | None) -> tuple[Stored, ...]:
    """The JSON of the job with its fit, in parts. The fit is the bytes that its worker wrote,
    neither parsed nor copied."""
    document = shown.document()
    if result is None:
        return (document,)
    # The quotes within a string are escaped, so this is no string's content.
    before, null, after = document.partition(b'"result":null')
    return before, null.removesuffix(b"null"), result, after


def server_timing(result: Stored) -> dict[str, str]:
    """The Server-Timing header of a fit, in milliseconds (W3C Server Timing)."""
    found = _TIMINGS.search(result, max(0, len(result) - _TAIL))
    if found is None:
        return {}
    queued, fitted = (1000 * float(seconds) for seconds in found.groups())
    return {"Server-Timing": f"queue;dur={queued:.3f}, fit;dur={fitted:.3f}"}


def failure(job: Job, request_id: str | None = None) -> Problem | None:
    """The problem of a failed job; None for any other."""
    if job.failure is None:
        return None
    return problem_of(job.failure.type, job.failure.detail, request_id=request_id, job_id=job.id)


def progress(job: Job, rows: bytes, last_epoch: int | None, place: Place | None) -> bytes:
    """The JSON of a `progress` event: the job's progress, and its new rows, already serialized."""
    event = wire.ProgressEvent(
        job_id=job.id,
        status=job.status,
        queue_position=None if place is None else place.position,
        starts_in_s=None if place is None else place.eta_s,
        progress=_progress(job),
        history=_NOTHING,
        last_epoch=last_epoch,
    )
    before, _, after = event.document().partition(_NOTHING.document())
    return before + rows + after


def done(job: Job, last_epoch: int | None) -> bytes:
    """The JSON of the `done` event."""
    event = wire.DoneEvent(job_id=job.id, job=brief(job), last_epoch=last_epoch)
    return event.document()


def brief(job: Job, place: Place | None = None) -> wire.Job:
    """The job without its fit, which is at `urls.self`."""
    at = url(job)
    return wire.Job(
        job_id=job.id,
        status=job.status,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        queue_position=None if place is None else place.position,
        starts_in_s=None if place is None else place.eta_s,
        progress=_progress(job),
        model=job.model,
        tags=dict(job.tags),
        result=None,
        error=failure(job),
        urls=wire.JobUrls(
            self=at, history=f"{at}/history", events=f"{at}/events", cancel=f"{at}/cancel"
        ),
    )


def _progress(job: Job) -> wire.Progress:
    unit = _UNITS[job.kind]
    return wire.Progress(**job.progress._asdict(), unit=unit)


FEW_NUMBERS = 512
"""Numbers up to which rows are serialized on the event loop."""
_KEPT = 64


def pieces_of_history(job: Job, rows: Rows) -> Iterator[bytes]:
    """The JSON of rows of the job's history, in pieces."""
    yield b'{"epoch":'
    yield from written(rows.epoch)
    yield b',"loss":'
    yield from written(rows.loss)
    yield b',"params":'
    yield from columns(job.params, rows.params)
    yield b',"gradient":'
    yield from columns(job.params, rows.gradient)
    yield b',"total":%b,"thinned":%b}' % (to_json(job.progress.epoch), to_json(rows.thinned))


class Histories:
    """A cache of the rows last serialized for watchers."""

    def __init__(self, turns: FairLimiter) -> None:
        self._turns = turns
        self._kept: OrderedDict[tuple[object, ...], asyncio.Task[bytes]] = OrderedDict()

    async def written(self, job: Job, rows: Rows, caller: str) -> bytes:
        """The JSON of those rows."""
        if len(rows) * (2 + 2 * len(job.params)) <= FEW_NUMBERS:
            return b"".join(pieces_of_history(job, rows))
        key = (job.id, job.version, int(rows.epoch[0]), len(rows))
        writing = self._kept.get(key)
        if writing is None or (writing.done() and writing.cancelled()):
            writing = self._kept[key] = asyncio.create_task(self._write(job, rows, caller))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return await asyncio.shield(writing)

    async def _write(self, job: Job, rows: Rows, caller: str) -> bytes:
        async with self._turns.turn(caller):
            return await asyncio.to_thread(b"".join, pieces_of_history(job, rows))

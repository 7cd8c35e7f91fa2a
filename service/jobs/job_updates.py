"""Watches a job: its new rows and progress, until its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.errors import UnknownJob
from service.jobs.history import Rows
from service.jobs.job import Job
from service.jobs.store import JobStore


@dataclass(frozen=True, slots=True)
class Update:
    """The changes since the last update."""

    job: Job
    rows: Rows
    """The rows recorded since then; none in a keep-alive."""


async def watch(
    store: JobStore,
    job_id: str,
    *,
    after_epoch: int | None = None,
    keep_alive_s: float | None = None,
) -> AsyncIterator[Update]:
    """The job as it is, then an update for each change, the last one with the finished job.

    Nothing is buffered for a reader: a slow one gets all new rows in its next update. An update
    with the same job and no rows is sent after `keep_alive_s` seconds without a change. Ends early
    if the job is deleted."""
    try:
        job = await store.get(job_id)
        while True:
            rows = await store.history(job_id, after_epoch=after_epoch)
            if len(rows):
                after_epoch = int(rows.epoch[-1])
            yield Update(job, rows)
            if job.finished:
                return
            while (newer := await _next(store, job, keep_alive_s)) is None:
                yield Update(job, rows[:0])
            job = newer
    except UnknownJob:
        return


async def _next(store: JobStore, job: Job, seconds: float | None) -> Job | None:
    try:
        return await asyncio.wait_for(store.changed(job.id, job.version), seconds)
    except TimeoutError:
        return None

"""Cheap jobs, run on the event loop of the service: those that `scheduling` selects.

Such a job is run before it is stored, so that its record is one step and no failure leaves it
unfinished. One that takes longer than expected is given up, and queued like any other.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from service.jobs import scheduling
from service.jobs.executor import InlineResult
from service.jobs.history import History, Rows
from service.jobs.job import Failure, Job
from service.jobs.messages import Ended, Failed, FromWorker, HandedOver, Slice, Task
from service.jobs.run_job import INTERNAL_ERROR, FitBackend, run_job
from service.jobs.timing import Clock
from service.schemas.fit import FitRequest
from service.schemas.names import Status
from service.settings import Settings

log = logging.getLogger("descent.executor")


def run_inline(
    plan: Any, backend: FitBackend, request: FitRequest, job: Job, settings: Settings, clock: Clock
) -> InlineResult | None:
    """Runs the job of a plan: a `RunInline` once its first three arguments are given."""
    longest = settings.max_time_limit_s
    task = Task(
        job_id=job.id,
        request=request,
        limit_s=min(request.time_limit_s or longest, longest),
        max_history_rows=settings.rows_of_history(len(job.params)),
        handover_s=scheduling.HANDOVER_S,
    )
    explain = backend.explain_within_limit or backend.explain
    backend = replace(backend, plan=lambda request: plan, explain=explain)
    began, at = clock.monotonic(), clock.now()
    sent: list[FromWorker] = []
    try:
        run_job(task, sent.append, lambda: False, clock.monotonic, backend)
    except OSError:
        log.exception("%s failed", job.id, extra={"job_id": job.id})
        sent.append(Failed(Failure("job-failed", INTERNAL_ERROR)))
    if any(isinstance(message, HandedOver) for message in sent):
        return None
    job = job.evolve(status="running", started_at=at, attempts=job.attempts + 1)
    job, rows = _end(job, sent, settings)
    job = replace(job, finished_at=clock.now())
    return InlineResult(job, rows, clock.monotonic() - began)


def _end(job: Job, sent: list[FromWorker], settings: Settings) -> tuple[Job, Rows]:
    """The job and its history after those messages."""
    history = History(settings.rows_of_history(len(job.params)))
    for message in sent:
        part = message.last if isinstance(message, Ended) else message
        if isinstance(part, Slice):
            if part.whole:
                history = History(history.max_rows)
            history.append(part.rows)
            job = job.evolve(progress=part.progress)
        if isinstance(message, Ended):
            status: Status = "cancelled" if message.stop_reason == "cancelled" else "succeeded"
            job = job.evolve(
                status=status,
                stop_reason=message.stop_reason,
                answered=True,
                result=message.fit,
                curve=message.curve,
            )
        elif isinstance(message, Failed):
            job = job.evolve(status="failed", failure=message.failure)
    history.trim()
    return job, history.rows

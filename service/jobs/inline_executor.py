"""Cheap jobs, run on the event loop of the service: those that `scheduling` selects.

The job passes through the same states in the store as any other, without giving way to other work
in between. One that takes longer than expected is handed to a worker, with its checkpoint.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from service.fitting import Plan
from service.jobs import scheduling
from service.jobs.clock import Clock
from service.jobs.job import Failure, Job, Stored
from service.jobs.messages import Ended, Failed, FromWorker, HandedOver, Slice, Task
from service.jobs.run_job import INTERNAL_ERROR, FitBackend, run_job
from service.jobs.store import JobStore
from service.schemas.names import Status
from service.settings import Settings

log = logging.getLogger("descent.executor")


class InlineExecutor:
    """Runs jobs in this process, with the plan that was made when they were checked."""

    def __init__(
        self, settings: Settings, store: JobStore, clock: Clock, backend: FitBackend
    ) -> None:
        self._settings, self._store, self._clock, self._backend = settings, store, clock, backend

    async def run(self, job: Job, plan: Plan, *, queued_s: float) -> Stored | None:
        """Runs a queued job to its end; where that takes too long, queues it again and returns the
        checkpoint that a worker continues from."""
        await self._store.start(job.id, self._clock.now())
        checkpoint = None
        for message in self._run(job, plan, queued_s):
            if isinstance(message, Slice):
                checkpoint = message.checkpoint or checkpoint
            if isinstance(message, HandedOver):
                await self._store.requeue(job.id)
                return checkpoint
            await self._store_message(job.id, message)
        return None

    def _run(self, job: Job, plan: Plan, queued_s: float) -> list[FromWorker]:
        """Runs the job; returns the messages that a worker would have sent."""
        sent: list[FromWorker] = []
        longest = self._settings.max_time_limit_s
        task = Task(
            job_id=job.id,
            request=job.request,
            limit_s=min(job.request.time_limit_s or longest, longest),
            max_history_rows=self._settings.rows_of_history(len(job.params)),
            queued_s=queued_s,
            handover_s=scheduling.HANDOVER_S,
        )
        explain = self._backend.explain_within_limit or self._backend.explain
        backend = replace(self._backend, plan=lambda request: plan, explain=explain)
        try:
            run_job(task, sent.append, lambda: False, self._clock.monotonic, backend)
        except OSError:
            log.exception("%s failed", job.id, extra={"job_id": job.id})
            sent.append(Failed(Failure("job-failed", INTERNAL_ERROR)))
        return sent

    async def _store_message(self, job_id: str, message: FromWorker) -> None:
        store, now = self._store, self._clock.now()
        if isinstance(message, Slice):
            await store.append(job_id, message.rows, message.progress, whole=message.whole)
        elif isinstance(message, Ended):
            await self._store_message(job_id, message.last)
            status: Status = "cancelled" if message.stop_reason == "cancelled" else "succeeded"
            await store.finish(
                job_id,
                status,
                now,
                stop_reason=message.stop_reason,
                result=message.fit,
                curve=message.curve,
            )
        elif isinstance(message, Failed):
            await store.finish(job_id, "failed", now, failure=message.failure)

"""A cheap job done where it stands, on the event loop: for what `lanes` sends here.

It lives as any other does, queued, running and ended in the store; only nobody has a turn between.
One that takes longer than it should is handed over, with all that it has done.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from service.jobs import lanes
from service.jobs.clock import Clock
from service.jobs.job import Failure, Job
from service.jobs.messages import Ended, Failed, FromWorker, HandedOver, Slice, Task
from service.jobs.run_job import OUR_FAULT, Kit, run_job
from service.jobs.store import JobStore
from service.schemas.names import Status
from service.settings import Settings
from service.translate import Plan

log = logging.getLogger("descent.executor")


class Here:
    """Does jobs in this process, with the plan that their check made."""

    def __init__(self, settings: Settings, store: JobStore, clock: Clock, kit: Kit) -> None:
        self._settings, self._store, self._clock, self._kit = settings, store, clock, kit

    async def carry_out(self, job: Job, plan: Plan, *, queued_s: float) -> bytes | None:
        """From queued to its end; or, where that takes too long, back to the queue: then the
        checkpoint that a worker goes on from."""
        await self._store.start(job.id, self._clock.now())
        checkpoint = None
        for message in self._done(job, plan, queued_s):
            if isinstance(message, Slice):
                checkpoint = message.checkpoint or checkpoint
            if isinstance(message, HandedOver):
                await self._store.requeue(job.id)
                return checkpoint
            await self._keep(job.id, message)
        return None

    def _done(self, job: Job, plan: Plan, queued_s: float) -> list[FromWorker]:
        """All that a worker would have said."""
        said: list[FromWorker] = []
        longest = self._settings.max_time_limit_s
        task = Task(
            job_id=job.id,
            request=job.request,
            limit_s=min(job.request.time_limit_s or longest, longest),
            max_history_rows=self._settings.rows_of_history(len(job.params)),
            queued_s=queued_s,
            patience_s=lanes.PATIENCE_S,
        )
        explain = self._kit.explain_here or self._kit.explain
        kit = replace(self._kit, plan=lambda request: plan, explain=explain)
        try:
            run_job(task, said.append, lambda: False, self._clock.monotonic, kit)
        except OSError:
            log.exception("%s failed", job.id, extra={"job_id": job.id})
            said.append(Failed(Failure("job-failed", OUR_FAULT)))
        return said

    async def _keep(self, job_id: str, message: FromWorker) -> None:
        store, now = self._store, self._clock.now()
        if isinstance(message, Slice):
            await store.append(job_id, message.rows, message.progress, whole=message.whole)
        elif isinstance(message, Ended):
            await self._keep(job_id, message.last)
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

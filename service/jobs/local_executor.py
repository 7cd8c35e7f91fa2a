"""An executor on this machine: pre-started worker processes, one job at a time each."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from service.errors import NotReady, QueueFull, QuotaExceeded
from service.fitting import Plan
from service.jobs import scheduling
from service.jobs.clock import Clock, SystemClock
from service.jobs.cores import cores
from service.jobs.estimates import Durations, whole_seconds
from service.jobs.executor import Place
from service.jobs.fair_queue import FairQueue
from service.jobs.inline_executor import InlineExecutor
from service.jobs.job import Job
from service.jobs.observer import NULL_OBSERVER, Observer
from service.jobs.run_job import FitBackend
from service.jobs.store import JobStore
from service.jobs.worker_slots import ActiveJob, WorkerPool, WorkerSlot
from service.settings import Settings

log = logging.getLogger("descent.executor")


class LocalExecutor:
    """An Executor whose workers are forks of one fork server.

    It owns the queue; each `WorkerSlot` owns a process and the job that it runs. All run on one
    event loop, so nothing here needs a lock.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        clock: Clock | None = None,
        *,
        entry: str = "service.jobs.worker:main",
        backend: FitBackend | None = None,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        """backend: runs cheap jobs in this process; without it all jobs go to the workers."""
        count = settings.workers or cores()
        self._settings, self._store, self._clock = settings, store, clock or SystemClock()
        self._queue: FairQueue[ActiveJob] = FairQueue(settings.max_queued_jobs)
        self._active: dict[str, ActiveJob] = {}
        """The accepted jobs that have not ended."""
        self._durations = Durations()
        pool = WorkerPool(settings, store, self._clock, self._ended, self._freed, observer)
        self._slots = [WorkerSlot(pool, entry, scheduling.threads(count)) for _ in range(count)]
        workers_only = (
            backend is None or settings.device == "cuda"
        )  # the GPU belongs to the workers
        self._inline = (
            None
            if workers_only or backend is None
            else InlineExecutor(settings, store, self._clock, backend)
        )
        self._free: list[WorkerSlot] = []
        """Last in, first out: the caches of the last one are warm."""
        self._admitting = 0
        """Jobs that passed admission and are being stored."""
        self._open = False
        self._idle = asyncio.Event()
        """Set while no job is active."""
        self._idle.set()

    @property
    def pids(self) -> list[int]:
        """The worker processes that are alive."""
        return [slot.pid for slot in self._slots if slot.pid]

    @property
    def workers(self) -> int:
        """The number of workers configured."""
        return len(self._slots)

    @property
    def queued(self) -> int:
        """The number of jobs that wait for a worker."""
        return len(self._queue)

    @property
    def oldest_wait_s(self) -> float:
        """Seconds that the oldest of them has waited."""
        now = self._clock.monotonic()
        return max((now - active.accepted for active in self._queue), default=0.0)

    async def start(self) -> None:
        opened = await asyncio.gather(
            *(slot.open() for slot in self._slots), return_exceptions=True
        )
        for failure in filter(None, opened):
            await self._close()
            raise failure
        self._open = True

    async def submit(self, job: Job, plan: Plan | None = None) -> None:
        if not self._open:
            raise NotReady
        inline = self._inline if plan is not None and scheduling.runs_inline(plan) else None
        if inline is None or plan is None or not scheduling.always_ends_inline(plan):
            self._check_quota(job.owner)
            self._check_room(job.queue_key)
        active = ActiveJob(job, self._clock.monotonic())
        self._admitting += 1
        try:
            await self._store.create(job)
        except QueueFull as error:
            raise type(error)(
                str(error), retry_after_s=whole_seconds(self._until_next(0))
            ) from error
        finally:
            self._admitting -= 1
        self._active[job.id] = active
        self._idle.clear()
        if inline is not None and plan is not None and await self._run_inline(inline, active, plan):
            return
        self._queue.push(job.queue_key, active)
        self._dispatch()

    def _check_quota(self, owner: str) -> None:
        most = self._settings.max_jobs_per_key
        held = sum(active.job.owner == owner for active in self._active.values()) if owner else 0
        if held >= most:
            raise QuotaExceeded(
                f"This key has {held} unfinished jobs, its limit; try again later.",
                retry_after_s=whole_seconds(self._until_next(0)),
            )

    def _check_room(self, queue_key: str) -> None:
        if not self._free and not self._queue.has_room(queue_key, coming=self._admitting):
            raise QueueFull(retry_after_s=whole_seconds(self._until_next(0)))

    async def _run_inline(self, inline: InlineExecutor, active: ActiveJob, plan: Plan) -> bool:
        """Runs the job without a worker or a place in the queue. Returns whether it ended: one that
        takes long continues in a worker."""
        began = self._clock.monotonic()
        try:
            waited = began - active.accepted
            active.checkpoint = await inline.run(active.job, plan, queued_s=waited)
        finally:
            if active.checkpoint is None:
                self._ended(active)
        active.began = None if active.checkpoint is None else began
        return active.checkpoint is None

    async def cancel(self, job_id: str) -> None:
        active = self._active.get(job_id)
        if active is None:
            return
        if active.slot is not None:
            await active.slot.cancel(active)
            return
        with suppress(ValueError):
            self._queue.remove(active.job.queue_key, active)
            await self._cancel_queued(active)

    def place(self, job_id: str) -> Place | None:
        active = self._active.get(job_id)
        if active is None:
            return None
        position = self._queue.position(active.job.queue_key, active)
        return None if position is None else Place(position, self._until_next(position))

    async def stop(self) -> None:
        self._open = False
        while len(self._queue):
            await self._cancel_queued(self._queue.pop())
        grace, cancelling = self._settings.shutdown_grace_s, self._settings.cancel_grace_s
        if not await self._idle_within(grace):
            for job_id in list(self._active):
                await self.cancel(job_id)
            # Cancelled at once, or killed and answered from its checkpoint by another worker.
            await self._idle_within(2 * cancelling)
        await self._close()

    async def _close(self) -> None:
        await asyncio.gather(*(slot.close() for slot in self._slots))

    def _until_next(self, position: int) -> float:
        """Estimated seconds until the job at `position` starts."""
        now = self._clock.monotonic()
        ages = (now - e.began for e in self._active.values() if e.began is not None)
        return self._durations.mean(ages) * (position + 1) / len(self._slots)

    def _dispatch(self) -> None:
        while self._free and len(self._queue):
            self._free.pop().take(self._queue.pop())

    def _freed(self, slot: WorkerSlot, *, free: bool) -> None:
        """A slot has an idle worker, or no longer has one."""
        if free:
            self._free.append(slot)
            self._dispatch()
        elif slot in self._free:
            self._free.remove(slot)

    def _ended(self, active: ActiveJob) -> None:
        """The job ended, as the store has recorded."""
        if active.began is not None:
            self._durations.add(self._clock.monotonic() - active.began)
        self._active.pop(active.job.id, None)
        if not self._active:
            self._idle.set()

    async def _cancel_queued(self, active: ActiveJob) -> None:
        now = self._clock.now()
        await self._store.finish(active.job.id, "cancelled", now, stop_reason="cancelled")
        self._ended(active)

    async def _idle_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

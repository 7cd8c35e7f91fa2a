"""An executor on this machine: pre-started worker processes, one job at a time each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from service.errors import NotReady, QueueFull, UnknownJob
from service.jobs import scheduling
from service.jobs.executor import NULL_OBSERVER, ExecutorStats, Observer, Place, RunInline
from service.jobs.job import Job
from service.jobs.store import Claimed, IdempotencyKey, JobStore
from service.jobs.system import cores
from service.jobs.timing import Clock, Durations, SystemClock, whole_seconds
from service.jobs.worker_pool import ActiveJob, WorkerPool
from service.jobs.worker_slots import WorkerSlot
from service.settings import Settings

log = logging.getLogger("descent.executor")

_PAGE = 1000
_RETRY_S = 1.0


class LocalExecutor:
    """An Executor whose workers are forks of one fork server.

    The store owns the queue; each `WorkerSlot` owns a process and the job that it runs. All run on
    one event loop, so nothing here needs a lock.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        clock: Clock | None = None,
        *,
        entry: str = "service.jobs.worker:main",
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        count = settings.workers or cores()
        self._settings, self._store, self._clock = settings, store, clock or SystemClock()
        self._active: dict[str, ActiveJob] = {}
        """The jobs that were claimed and have not ended."""
        self._durations = Durations()
        pool = WorkerPool(settings, store, self._clock, self._ended, self._freed, observer)
        self._slots = [WorkerSlot(pool, entry, scheduling.threads(count)) for _ in range(count)]
        self._free: list[WorkerSlot] = []
        """Last in, first out: the caches of the last one are warm."""
        self._accepts = False
        self._dispatcher: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        """Set when a slot is free."""
        self._dispatching = asyncio.Lock()
        self._idle = asyncio.Event()
        """Set while no job is active."""
        self._idle.set()

    @property
    def pids(self) -> list[int]:
        """The worker processes that are alive."""
        return [slot.pid for slot in self._slots if slot.pid]

    async def start(self) -> None:
        opened = await asyncio.gather(
            *(slot.open() for slot in self._slots), return_exceptions=True
        )
        for failure in filter(None, opened):
            await self._close()
            raise failure
        self._accepts = True
        self._dispatcher = asyncio.create_task(self._dispatch_freed())

    async def check(self) -> None:
        if not self._accepts:
            raise NotReady
        if not self.pids:
            raise NotReady("No worker process is alive; others are being started. Try again later.")

    async def stats(self) -> ExecutorStats:
        return ExecutorStats(workers=len(self.pids), workers_wanted=len(self._slots))

    async def submit(
        self, job: Job, *, key: IdempotencyKey | None = None, inline: RunInline | None = None
    ) -> tuple[Job, bool]:
        if not self._accepts:
            raise NotReady
        try:
            done = None if inline is None else inline(job, self._settings, self._clock)
            if done is not None:
                return await self._store.record(done.job, done.rows, done.fitted_s, key)
            created = await self._store.create(job, key)
        except QueueFull as error:
            retry_after_s = whole_seconds(self._until_next(0))
            raise type(error)(str(error), retry_after_s=retry_after_s) from error
        await self._dispatch()
        return created

    async def cancel(self, job_id: str) -> None:
        with suppress(UnknownJob):
            await self._store.cancel(job_id, self._clock.now())
        active = self._active.get(job_id)
        if active is not None and active.slot is not None:
            await active.slot.cancel(active)

    async def places(self, job_ids: Sequence[str]) -> Sequence[Place | None]:
        return [
            None if position is None else Place(position, self._until_next(position))
            for position in await self._store.positions(job_ids)
        ]

    async def stop(self) -> None:
        self._accepts = False
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
        await self._cancel_queued()
        grace, cancelling = self._settings.shutdown_grace_s, self._settings.cancel_grace_s
        if not await self._idle_within(grace):
            for job_id in list(self._active):
                await self.cancel(job_id)
            # Cancelled at once, or killed and answered from its checkpoint by another worker.
            await self._idle_within(2 * cancelling)
        await self._close()

    async def _cancel_queued(self) -> None:
        more, after = True, None
        while more:
            found, more = await self._store.list(
                owner=None, status="queued", limit=_PAGE, after=after
            )
            for job in found:
                after = job.id
                if job.id not in self._active:
                    await self._store.cancel(job.id, self._clock.now())

    async def _close(self) -> None:
        await asyncio.gather(*(slot.close() for slot in self._slots))

    def _until_next(self, position: int) -> float:
        """Estimated seconds until the job at `position` starts."""
        now = self._clock.monotonic()
        ages = (now - e.began for e in self._active.values() if e.began is not None)
        return self._durations.mean(ages) * (position + 1) / len(self._slots)

    async def _dispatch(self) -> None:
        """Gives queued jobs to free slots; a store that fails is asked again later."""
        async with self._dispatching:
            try:
                while self._free and (found := await self._store.claim(self._clock.now())):
                    self._take(found)
            except Exception:
                log.exception("no job could be taken from the queue")
                asyncio.get_running_loop().call_later(_RETRY_S, self._wake.set)

    async def _dispatch_freed(self) -> None:
        """Gives queued jobs to slots as they become free."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._dispatch()

    def _take(self, found: Claimed) -> None:
        active = self._active[found.job.id] = ActiveJob(found.job, found.waited_s)
        self._idle.clear()
        # Where the last free worker died meanwhile, its slot's next one takes the job.
        slot = self._free.pop() if self._free else self._vacant()
        slot.take(active)

    def _vacant(self) -> WorkerSlot:
        return next(slot for slot in self._slots if not slot.busy)

    def _freed(self, slot: WorkerSlot, *, free: bool) -> None:
        """A slot has an idle worker, or no longer has one."""
        if free:
            self._free.append(slot)
            self._wake.set()
        elif slot in self._free:
            self._free.remove(slot)

    def _ended(self, active: ActiveJob) -> None:
        """The job ended, as the store has recorded."""
        if active.began is not None:
            self._durations.add(self._clock.monotonic() - active.began)
        self._active.pop(active.job.id, None)
        if not self._active:
            self._idle.set()

    async def _idle_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

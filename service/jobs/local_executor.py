"""Jobs on this machine: warm worker processes, one job each at a time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from service.errors import NotReady, QueueFull, QuotaExceeded
from service.jobs import lanes
from service.jobs.clock import Clock, SystemClock
from service.jobs.cores import cores
from service.jobs.errand import Errand
from service.jobs.estimates import Durations, whole_seconds
from service.jobs.executor import Place
from service.jobs.fair_queue import FairQueue
from service.jobs.here import Here
from service.jobs.job import Job
from service.jobs.observing import NOBODY, Observer
from service.jobs.places import Desk, WorkPlace
from service.jobs.run_job import Kit
from service.jobs.store import JobStore
from service.settings import Settings
from service.translate import Plan

log = logging.getLogger("descent.executor")


class LocalExecutor:
    """An Executor whose workers are forks of one zygote.

    It owns the queue; each `WorkPlace` owns a process and the job at work in it. All run on one
    event loop, so that nothing here needs a lock.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        clock: Clock | None = None,
        *,
        entry: str = "service.jobs.worker:main",
        kit: Kit | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        """kit: what cheap jobs are done with in this process; without it all go to the workers."""
        count = settings.workers or cores()
        self._settings, self._store, self._clock = settings, store, clock or SystemClock()
        self._queue: FairQueue[Errand] = FairQueue(settings.max_queued_jobs)
        self._errands: dict[str, Errand] = {}
        """Every job that was accepted and has not ended."""
        self._durations = Durations()
        desk = Desk(settings, store, self._clock, self._ended, self._freed, observer)
        self._places = [WorkPlace(desk, entry, lanes.threads(count)) for _ in range(count)]
        away = kit is None or settings.device == "cuda"  # the GPU is for the workers
        self._here = None if away or kit is None else Here(settings, store, self._clock, kit)
        self._free: list[WorkPlace] = []
        """The one freed last is taken first: its caches are warm."""
        self._coming = 0
        """Jobs let in that the store is taking in."""
        self._open = False
        self._quiet = asyncio.Event()
        """Set while there is no errand."""
        self._quiet.set()

    @property
    def pids(self) -> list[int]:
        """The worker processes that are alive."""
        return [place.pid for place in self._places if place.pid]

    @property
    def workers(self) -> int:
        """How many there should be."""
        return len(self._places)

    @property
    def queued(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._queue)

    @property
    def oldest_wait_s(self) -> float:
        """For how long the first of them has."""
        now = self._clock.monotonic()
        return max((now - errand.accepted for errand in self._queue), default=0.0)

    async def start(self) -> None:
        opened = await asyncio.gather(
            *(place.open() for place in self._places), return_exceptions=True
        )
        for failure in filter(None, opened):
            await self._close()
            raise failure
        self._open = True

    async def submit(self, job: Job, plan: Plan | None = None) -> None:
        if not self._open:
            raise NotReady
        here = self._here if plan is not None and lanes.is_here(plan) else None
        if here is None or plan is None or not lanes.is_surely_here(plan):
            self._check_quota(job.owner)
            self._check_room(job.lane)
        errand = Errand(job, self._clock.monotonic())
        self._coming += 1
        try:
            await self._store.create(job)
        except QueueFull as error:
            raise type(error)(
                str(error), retry_after_s=whole_seconds(self._until_next(0))
            ) from error
        finally:
            self._coming -= 1
        self._errands[job.id] = errand
        self._quiet.clear()
        if here is not None and plan is not None and await self._do_here(here, errand, plan):
            return
        self._queue.push(job.lane, errand)
        self._dispatch()

    def _check_quota(self, owner: str) -> None:
        most = self._settings.max_jobs_per_key
        held = sum(errand.job.owner == owner for errand in self._errands.values()) if owner else 0
        if held >= most:
            raise QuotaExceeded(
                f"This key has {held} unfinished jobs, as many as one may have; try again later.",
                retry_after_s=whole_seconds(self._until_next(0)),
            )

    def _check_room(self, lane: str) -> None:
        if not self._free and not self._queue.has_room(lane, coming=self._coming):
            raise QueueFull(retry_after_s=whole_seconds(self._until_next(0)))

    async def _do_here(self, here: Here, errand: Errand, plan: Plan) -> bool:
        """Takes no worker and no place in the queue, and tells nothing of how long jobs take.
        Whether the job has ended: one that takes long is to go on in a worker."""
        began = self._clock.monotonic()
        try:
            waited = began - errand.accepted
            errand.checkpoint = await here.carry_out(errand.job, plan, queued_s=waited)
        finally:
            if errand.checkpoint is None:
                self._ended(errand)
        errand.began = None if errand.checkpoint is None else began
        return errand.checkpoint is None

    async def cancel(self, job_id: str) -> None:
        errand = self._errands.get(job_id)
        if errand is None:
            return
        if errand.place is not None:
            await errand.place.cancel(errand)
            return
        with suppress(ValueError):
            self._queue.remove(errand.job.lane, errand)
            await self._cancel_queued(errand)

    def place(self, job_id: str) -> Place | None:
        errand = self._errands.get(job_id)
        if errand is None:
            return None
        position = self._queue.position(errand.job.lane, errand)
        return None if position is None else Place(position, self._until_next(position))

    async def stop(self) -> None:
        self._open = False
        while len(self._queue):
            await self._cancel_queued(self._queue.pop())
        grace, hearing = self._settings.shutdown_grace_s, self._settings.cancel_grace_s
        if not await self._quiet_within(grace):
            for job_id in list(self._errands):
                await self.cancel(job_id)
            # Heard at once, or killed and its best taken from the checkpoint by another worker.
            await self._quiet_within(2 * hearing)
        await self._close()

    async def _close(self) -> None:
        await asyncio.gather(*(place.close() for place in self._places))

    def _until_next(self, position: int) -> float:
        """Seconds until the queue has moved by so many and one."""
        now = self._clock.monotonic()
        ages = (now - e.began for e in self._errands.values() if e.began is not None)
        return self._durations.mean(ages) * (position + 1) / len(self._places)

    def _dispatch(self) -> None:
        while self._free and len(self._queue):
            self._free.pop().take(self._queue.pop())

    def _freed(self, place: WorkPlace, *, free: bool) -> None:
        """A place has a worker that waits for a job, or has lost it."""
        if free:
            self._free.append(place)
            self._dispatch()
        elif place in self._free:
            self._free.remove(place)

    def _ended(self, errand: Errand) -> None:
        """The job came to its end, which the store knows."""
        if errand.began is not None:
            self._durations.add(self._clock.monotonic() - errand.began)
        self._errands.pop(errand.job.id, None)
        if not self._errands:
            self._quiet.set()

    async def _cancel_queued(self, errand: Errand) -> None:
        now = self._clock.now()
        await self._store.finish(errand.job.id, "cancelled", now, stop_reason="cancelled")
        self._ended(errand)

    async def _quiet_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._quiet.wait(), seconds)
        except TimeoutError:
            return False
        return True

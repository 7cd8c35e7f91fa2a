"""A worker node: takes tickets, claims jobs and runs them in its worker slots (`descent work`)."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from contextlib import suppress

from redis import RedisError

from service.errors import StoreUnavailable, UnknownJob
from service.jobs import scheduling
from service.jobs.executor import NULL_OBSERVER, Observer
from service.jobs.job import IllegalTransition, StaleAttempt
from service.jobs.redis.connection import reason
from service.jobs.redis.executor import BELL, issue
from service.jobs.redis.node_store import NodeStore
from service.jobs.redis.store import RedisStore
from service.jobs.redis.tickets import Tickets
from service.jobs.store import Claimed
from service.jobs.system import cores
from service.jobs.timing import Clock, SystemClock
from service.jobs.worker_pool import ActiveJob, WorkerPool
from service.jobs.worker_slots import ATTEMPTS, LOST, WorkerSlot
from service.settings import Settings

log = logging.getLogger("descent.node")

_BEATS_A_LEASE = 4
_MOST_TICKETS = 100
"""Tickets issued at once in place of lost ones."""


class Node:
    """Runs jobs of a cell until it is stopped; then hands back what it runs."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        entry: str = "service.jobs.worker:main",
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        count = settings.workers or cores()
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._settings, self._clock = settings, clock or SystemClock()
        self.store = RedisStore(settings, observer)
        self._patient = NodeStore(self.store)
        self._tickets = Tickets(settings)
        self._active: dict[str, ActiveJob] = {}
        self._done: dict[str, asyncio.Event] = {}
        self._claims = 0
        """Claims that have not been answered."""
        self._cancelled: set[str] = set()
        """Jobs that were cancelled meanwhile, and may be what a claim is answered with."""
        pool = WorkerPool(settings, self._patient, self._clock, self._ended, self._freed, observer)
        self._slots = [WorkerSlot(pool, entry, scheduling.threads(count)) for _ in range(count)]
        self._free: list[WorkerSlot] = []
        self._is_free = asyncio.Event()
        self._heart: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self) -> None:
        """Starts the workers, then takes tickets. Raises RuntimeError where no worker starts."""
        opened = await asyncio.gather(
            *(slot.open() for slot in self._slots), return_exceptions=True
        )
        for failure in filter(None, opened):
            await asyncio.gather(*(slot.close() for slot in self._slots))
            raise failure
        await self.store.subscription.listen(BELL, lambda _: self._tickets.ring())
        await self.store.subscription.listen("cancel", self._cancel)
        self._heart = asyncio.create_task(self._beat())
        loop = asyncio.get_running_loop()

        def work(_: str) -> None:
            asyncio.run_coroutine_threadsafe(self._work(), loop).result()

        self._tickets.consume(work, len(self._slots))

    async def stop(self) -> None:
        """Hands the running jobs back to the queue, from where other nodes continue them from their
        checkpoints, and ends all processes."""
        self._stopping = True
        self._patient.closing.set()
        self._is_free.set()
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        held = [active for slot in self._slots if (active := await slot.abandon()) is not None]
        for active in held:
            with suppress(UnknownJob, IllegalTransition, StaleAttempt, StoreUnavailable):
                await self._patient.release(active.job)
                log.info("%s was handed back", active.job.id)
            self._ended(active)
        if held:
            await issue(self._tickets, self.store, *(active.job.id for active in held))
        await asyncio.to_thread(self._tickets.close)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()

    # --- tickets ----------------------------------------------------------------------------------

    async def _work(self) -> None:
        """What a ticket is for: runs the next job to its end, if there is one."""
        slot = await self._free_slot()
        if slot is None:
            return
        try:
            claimed, is_cancelled = await self._claim()
        except BaseException:
            self._freed(slot, free=True)
            raise
        if claimed is None:
            self._freed(slot, free=True)
            return
        if claimed.job.attempts > ATTEMPTS:
            self._freed(slot, free=True)
            await self._give_up(claimed)
            return
        job = claimed.job
        active = ActiveJob(
            job, claimed.waited_s, checkpoint=claimed.checkpoint, spent_s=claimed.spent_s
        )
        active.stop = "cancelled" if is_cancelled else None
        done = self._done[job.id] = asyncio.Event()
        self._active[job.id] = active
        if not slot.pid:  # it died meanwhile: its next worker takes the job
            log.info("%s waits for a worker", job.id)
        slot.take(active)
        await done.wait()

    async def _claim(self) -> tuple[Claimed | None, bool]:
        """The next job, if there is one, and whether it is to be cancelled."""
        self._claims += 1
        try:
            claimed = await self._patient.claim(self._clock.now(), self.name)
        except StoreUnavailable:
            claimed = None
        finally:
            cancelled = self._cancelled
            self._claims -= 1
            if not self._claims:
                self._cancelled = set()
        if claimed is None:
            return None, False
        return claimed, claimed.job.cancelling or claimed.job.id in cancelled

    async def _free_slot(self) -> WorkerSlot | None:
        while not self._free:
            if self._stopping:
                return None
            self._is_free.clear()
            await self._is_free.wait()
        return None if self._stopping else self._free.pop()

    async def _give_up(self, claimed: Claimed) -> None:
        """Fails a job that several nodes or workers were lost with."""
        job = claimed.job
        with suppress(UnknownJob, IllegalTransition, StaleAttempt, StoreUnavailable):
            await self._patient.finish(
                job.id,
                "failed",
                self._clock.now(),
                failure=LOST,
                attempt=job.attempts,
            )

    def _freed(self, slot: WorkerSlot, *, free: bool) -> None:
        """A slot has an idle worker, or no longer has one."""
        if free:
            self._free.append(slot)
            self._is_free.set()
        elif slot in self._free:
            self._free.remove(slot)

    def _ended(self, active: ActiveJob) -> None:
        """The job ended, or is no longer this node's."""
        job_id = active.job.id
        self._patient.forget(job_id)
        if self._active.get(job_id) is active:
            del self._active[job_id]
            self._done.pop(job_id).set()

    def _cancel(self, job_id: str) -> None:
        active = self._active.get(job_id)
        if active is None and self._claims:
            self._cancelled.add(job_id)
        elif active is not None and active.slot is not None:
            task = asyncio.create_task(active.slot.cancel(active))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # --- signs of life ----------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Renews the leases, and issues tickets in place of lost ones."""
        while True:
            try:
                jobs = [active.job for active in self._active.values()]
                waiting, lost = await self.store.beat(self.name, len(self._slots), jobs)
                for job_id in lost:
                    log.warning("%s has been taken over by another node", job_id)
                await self._renew_tickets(waiting)
            except (StoreUnavailable, RedisError, OSError) as error:
                log.warning("no sign of life could be given: %s", reason(error))
            await asyncio.sleep(self._settings.lease_s / _BEATS_A_LEASE)

    async def _renew_tickets(self, waiting: int) -> None:
        """Issues as many tickets as there are jobs to claim without one."""
        if not waiting:
            return
        missing = waiting - await asyncio.to_thread(self._tickets.waiting)
        if missing > 0:
            tickets = ["renewed"] * min(missing, _MOST_TICKETS)
            await issue(self._tickets, self.store, *tickets)

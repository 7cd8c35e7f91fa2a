"""An executor whose workers are on other machines: it stores jobs and issues their tickets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from redis import RedisError

from service.errors import NotReady, QueueFull, StoreUnavailable, UnknownJob
from service.jobs.executor import ExecutorStats, Place, RunInline
from service.jobs.job import Job
from service.jobs.redis.connection import reason, translated
from service.jobs.redis.reader import Nodes
from service.jobs.redis.store import RedisStore
from service.jobs.redis.tickets import Tickets
from service.jobs.store import IdempotencyKey
from service.jobs.timing import Clock, SystemClock, whole_seconds
from service.settings import Settings

log = logging.getLogger("descent.executor")

BELL = "bell"
"""The channel that tells nodes of new tickets."""


class RedisExecutor:
    """An Executor of an API replica. It has no job of its own: where it ends, nothing is lost."""

    def __init__(self, settings: Settings, store: RedisStore, clock: Clock | None = None) -> None:
        self._settings, self._store, self._clock = settings, store, clock or SystemClock()
        self._tickets = Tickets(settings)
        self._accepts = False

    async def start(self) -> None:
        self._accepts = True
        try:
            await self.check()
        except StoreUnavailable as error:
            log.warning("the service is not ready until Redis is: %s", reason(error))

    async def check(self) -> None:
        if not self._accepts:
            raise NotReady
        await self._store.nodes()
        with translated():
            await asyncio.to_thread(self._tickets.check)

    async def submit(
        self, job: Job, *, key: IdempotencyKey | None = None, inline: RunInline | None = None
    ) -> tuple[Job, bool]:
        if not self._accepts:
            raise NotReady
        done = None if inline is None else inline(job, self._settings, self._clock)
        try:
            if done is not None:
                return await self._store.record(done.job, done.rows, done.fitted_s, key)
            created, existed = await self._store.create(job, key)
        except QueueFull as error:
            retry_after_s = whole_seconds(_place(0, await self._store.nodes()).eta_s)
            raise type(error)(str(error), retry_after_s=retry_after_s) from error
        if not existed:
            await issue(self._tickets, self._store, job.id)
        return created, existed

    async def cancel(self, job_id: str) -> None:
        with suppress(UnknownJob):
            await self._store.cancel(job_id, self._clock.now())

    async def places(self, job_ids: Sequence[str]) -> Sequence[Place | None]:
        positions, nodes = await self._store.places(job_ids)
        return [None if position is None else _place(position, nodes) for position in positions]

    async def stats(self) -> ExecutorStats:
        slots = (await self._store.nodes()).slots
        return ExecutorStats(workers=slots, workers_wanted=slots)

    async def stop(self) -> None:
        self._accepts = False
        await asyncio.to_thread(self._tickets.close)


def _place(position: int, nodes: Nodes) -> Place:
    return Place(position, nodes.mean_s * (position + 1) / max(nodes.slots, 1))


async def issue(tickets: Tickets, store: RedisStore, *job_ids: str) -> None:
    """Issues tickets and rings for the nodes. Where that fails, a node finds the jobs a little
    later by itself, so they are accepted."""
    try:
        await asyncio.to_thread(tickets.issue, *job_ids)
        await store.client.publish(f"{store.prefix}{BELL}", b"")
    except (RedisError, OSError) as error:
        log.warning("no ticket could be issued: %s", error)

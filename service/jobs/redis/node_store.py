"""The store as the worker slots of a node see it: patient while Redis is away, and with the slices
of a job gathered to a few appends a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from service.errors import StoreUnavailable
from service.jobs.history import Rows
from service.jobs.job import Job, Progress, Stored
from service.jobs.redis.connection import reason
from service.jobs.redis.documents import joined
from service.jobs.redis.store import RedisStore
from service.jobs.store import Claimed
from service.schemas.names import Status
from service.schemas.requests import JobRequest

log = logging.getLogger("descent.store")

_HEARD_S, _UNHEARD_S = 0.1, 0.5
"""Seconds between two appends of a job that somebody waits for, and of any other."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0

T = TypeVar("T")


@dataclass(slots=True)
class _Held:
    """What of a job has not been appended yet."""

    job: Job | None = None
    """As of the last append."""
    parts: list[Rows] = field(default_factory=list)
    progress: Progress | None = None
    whole: bool = False
    attempt: int | None = None
    checkpoint: Stored | None = None
    spent_s: float = 0.0
    pause_s: float = 0.0
    appended_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class NodeStore:
    """What `WorkerSlot` uses of a JobStore."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._held: dict[str, _Held] = {}
        self._flushes: set[asyncio.Task[None]] = set()
        self.closing = asyncio.Event()
        """Once set, a Redis that is away is not waited for."""

    async def claim(self, at: datetime, node: str) -> Claimed | None:
        """See RedisStore."""
        return await self._patiently(lambda: self._store.claim(at, node=node))

    async def get(self, job_id: str) -> Job:
        return await self._patiently(lambda: self._store.get(job_id))

    async def request(self, job_id: str) -> JobRequest:
        return await self._patiently(lambda: self._store.request(job_id))

    async def history(self, job_id: str) -> Rows:
        await self.flush(job_id)
        return await self._patiently(lambda: self._store.history(job_id))

    async def start(self, job_id: str, at: datetime) -> Job:
        return await self._patiently(lambda: self._store.start(job_id, at))

    async def requeue(self, job_id: str, *, attempt: int | None = None) -> Job:
        await self.flush(job_id)
        return await self._patiently(lambda: self._store.requeue(job_id, attempt=attempt))

    async def release(self, job: Job) -> Job:
        """See RedisStore."""
        await self.flush(job.id)
        return await self._patiently(lambda: self._store.release(job))

    async def finish(self, job_id: str, status: Status, at: datetime, **end: Any) -> Job:
        await self.flush(job_id)
        self._held.pop(job_id, None)
        return await self._patiently(lambda: self._store.finish(job_id, status, at, **end))

    async def append(
        self,
        job_id: str,
        rows: Rows,
        progress: Progress,
        *,
        whole: bool = False,
        attempt: int | None = None,
        checkpoint: Stored | None = None,
        spent_s: float = 0.0,
    ) -> Job:
        held = self._held.get(job_id)
        if held is None or held.attempt != attempt:
            held = self._held[job_id] = _Held(attempt=attempt)
        if whole:
            held.parts.clear()
            held.whole = True
        if len(rows):
            held.parts.append(rows)
        held.progress, held.spent_s = progress, spent_s
        held.checkpoint = checkpoint or held.checkpoint
        left = held.appended_at + held.pause_s - asyncio.get_running_loop().time()
        if held.job is None or left <= 0:
            await self.flush(job_id)
            assert held.job is not None, "it has been appended"
        elif held.timer is None:
            loop = asyncio.get_running_loop()
            held.timer = loop.call_later(left, self._flush_later, job_id)
        return held.job

    def forget(self, job_id: str) -> None:
        """Drops what has not been appended."""
        held = self._held.pop(job_id, None)
        if held is not None and held.timer is not None:
            held.timer.cancel()

    async def flush(self, job_id: str) -> None:
        """Appends what is held of a job."""
        held = self._held.get(job_id)
        if held is None:
            return
        async with held.lock:
            if held.timer is not None:
                held.timer.cancel()
                held.timer = None
            if held.progress is None:
                return
            rows, progress = joined(held.parts), held.progress
            whole, checkpoint = held.whole, held.checkpoint
            held.parts, held.progress, held.whole, held.checkpoint = [], None, False, None
            changed = await self._patiently(
                lambda: self._store.append_heard(
                    job_id,
                    rows,
                    progress,
                    whole=whole,
                    attempt=held.attempt,
                    checkpoint=checkpoint,
                    spent_s=held.spent_s,
                )
            )
            held.job = changed.job
            held.pause_s = _HEARD_S if changed.listeners else _UNHEARD_S
            held.appended_at = asyncio.get_running_loop().time()

    def _flush_later(self, job_id: str) -> None:
        task = asyncio.create_task(self._try_flush(job_id))
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _try_flush(self, job_id: str) -> None:
        try:
            await self.flush(job_id)
        except Exception as error:  # its worker's next message meets the same error
            log.warning("%s: rows could not be appended: %s", job_id, error)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Calls until Redis answers, or the node closes."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                if self.closing.is_set():
                    raise
                log.warning("the store is tried again in %.2g s: %s", pause, reason(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

"""A store in this process's memory, limited by count, bytes and age."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.errors import (
    JobStillRunning,
    QueueFull,
    QuotaExceeded,
    UnknownJob,
)
from service.fitting import Curve
from service.jobs.executor import NULL_OBSERVER, Observer
from service.jobs.fair_queue import FairQueue
from service.jobs.history import History, Rows
from service.jobs.job import Failure, IllegalTransition, Job, Progress, StaleAttempt, Stored
from service.jobs.memory_entries import Entries, Entry, curve_bytes, visible
from service.jobs.store import Answer, Claimed, IdempotencyKey, StoreStats
from service.jobs.timing import Clock, SystemClock
from service.schemas.names import Status, StopReason
from service.schemas.requests import JobRequest
from service.settings import Settings


class MemoryStore:
    """A JobStore for one process.

    It evicts finished jobs, the oldest of the owner who uses the most (see `eviction`), never
    queued or running ones: where those fill it, `create` raises QueueFull, or QuotaExceeded where
    this owner's exceed an even share. The last `max_jobs` removed ids are remembered as expired or
    deleted. An idempotency key is kept as long as its job."""

    def __init__(
        self, settings: Settings, clock: Clock | None = None, observer: Observer = NULL_OBSERVER
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = clock or SystemClock()
        self._entries = Entries(settings, self._clock)
        self._queue: FairQueue[Entry] = FairQueue(settings.max_queued_jobs)

    async def stats(self) -> StoreStats:
        now = self._clock.monotonic()
        return StoreStats(
            jobs=Counter(entry.job.status for entry in self._entries),
            nbytes=self._entries.nbytes,
            queued=len(self._queue),
            oldest_wait_s=max((now - entry.created_at for entry in self._queue), default=0.0),
        )

    async def find(self, owner: str, key: IdempotencyKey) -> Job | None:
        return self._entries.find(owner, key)

    async def create(self, job: Job, key: IdempotencyKey | None = None) -> tuple[Job, bool]:
        if (found := self._entries.find(job.owner, key)) is not None:
            return found, True
        held, most = self._entries.unfinished(job.owner), self._settings.max_jobs_per_key
        if job.owner and held >= most:
            raise QuotaExceeded(f"This key has {held} unfinished jobs, its limit; try again later.")
        if not self._queue.has_room(job.queue_key):
            raise QueueFull
        entry = self._entries.add(job, key)
        entry.queued = True
        self._queue.push(job.queue_key, entry)
        return job, False

    async def record(
        self, job: Job, rows: Rows, fitted_s: float, key: IdempotencyKey | None = None
    ) -> tuple[Job, bool]:
        if (found := self._entries.find(job.owner, key)) is not None:
            return found, True
        job = replace(job, nbytes=job.nbytes + len(job.result or b"") + curve_bytes(job.curve))
        entry = self._entries.add(job, key, rows)
        self._entries.end(entry)
        self._observer.job_ended(job, 0.0, fitted_s)
        return job, False

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        return self._entries.get(job_id, owner).job

    async def request(self, job_id: str) -> JobRequest:
        request = self._entries.get(job_id).job.request
        assert request is not None, "the store keeps the job that it was given"
        return request

    async def answer(self, job_id: str) -> Answer | None:
        job = self._entries.get(job_id).job
        return None if job.result is None else Answer(job.result, job.curve)

    async def list(
        self, *, owner: str | None, status: Status | None, limit: int, after: str | None
    ) -> tuple[Sequence[Job], bool]:
        found: list[Job] = []
        for entry in self._entries.before(after, owner):
            if not visible(entry.job, owner, status):
                continue
            if len(found) == limit:
                return found, True
            found.append(entry.job)
        return found, False

    async def claim(self, at: datetime) -> Claimed | None:
        if not len(self._queue):
            return None
        entry = self._queue.pop()
        entry.queued = False
        job = await self.start(entry.job.id, at)
        return Claimed(job, self._clock.monotonic() - entry.created_at)

    async def positions(self, job_ids: Sequence[str]) -> Sequence[int | None]:
        entries: list[Entry | None] = []
        for job_id in job_ids:
            entry = None
            with suppress(UnknownJob):
                entry = self._entries.get(job_id)
            entries.append(entry if entry is not None and entry.queued else None)
        waiting = [(entry.job.queue_key, entry) for entry in entries if entry is not None]
        found = iter(self._queue.positions(waiting))
        return [None if entry is None else next(found) for entry in entries]

    async def cancel(self, job_id: str, at: datetime) -> Job:
        entry = self._entries.get(job_id)
        job = entry.job
        if job.status == "running":
            entry.job = job = replace(job, cancelling=True)
        elif entry.queued:
            job = await self.finish(job_id, "cancelled", at, stop_reason="cancelled")
        return job

    async def start(self, job_id: str, at: datetime) -> Job:
        entry = self._entries.get(job_id)
        job = entry.job
        if entry.started_at is None:
            entry.started_at = self._clock.monotonic()
        return self._change(
            job_id, status="running", started_at=job.started_at or at, attempts=job.attempts + 1
        )

    async def requeue(self, job_id: str, *, attempt: int | None = None) -> Job:
        self._check_attempt(job_id, attempt)
        return self._change(job_id, status="queued")

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
        entry = self._entries.get(job_id)
        self._check_attempt(job_id, attempt)
        if entry.job.status != "running":
            raise IllegalTransition(job_id, entry.job.status, "running")
        before = entry.history.nbytes
        if whole:
            entry.history = History(entry.history.max_rows)
        entry.history.append(rows)
        self._entries.grow(entry, entry.history.nbytes - before)
        return self._change(job_id, progress=progress)

    async def finish(
        self,
        job_id: str,
        status: Status,
        at: datetime,
        *,
        stop_reason: StopReason | None = None,
        result: Stored | None = None,
        curve: Curve | None = None,
        failure: Failure | None = None,
        attempt: int | None = None,
    ) -> Job:
        entry = self._entries.get(job_id)
        self._check_attempt(job_id, attempt)
        before = entry.nbytes
        job = self._change(
            job_id,
            status=status,
            finished_at=at,
            stop_reason=stop_reason,
            answered=result is not None,
            result=result,
            curve=curve,
            failure=failure,
            nbytes=entry.job.nbytes + len(result or b"") + curve_bytes(curve),
        )
        entry.history.trim()
        self._entries.grow(entry, entry.nbytes - before)
        self._entries.end(entry)
        if entry.started_at is None:
            self._observer.job_ended(job, None, None)
        else:
            waited_s = entry.started_at - entry.created_at
            self._observer.job_ended(job, waited_s, entry.finished_at - entry.started_at)
        return job

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        if not self._entries.get(job_id, owner).job.finished:
            raise JobStillRunning
        self._entries.forget(job_id, "deleted")

    async def history(
        self,
        job_id: str,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> Rows:
        rows = self._entries.get(job_id).history.page(after_epoch, limit)
        return rows if max_points is None else rows.thin(max_points)

    async def changed(self, job_id: str, version: int) -> Job:
        entry = self._entries.get(job_id)
        while entry.job.version <= version:
            if entry.changed is None:
                entry.changed = asyncio.Event()
            await entry.changed.wait()
            if entry.job.version <= version:
                self._entries.get(job_id)
        return entry.job

    def _check_attempt(self, job_id: str, attempt: int | None) -> None:
        latest = self._entries.get(job_id).job.attempts
        if attempt not in (None, latest):
            raise StaleAttempt(f"{job_id} is at attempt {latest}, not {attempt}")

    def _change(self, job_id: str, **changes: Any) -> Job:
        entry = self._entries.get(job_id)
        entry.job = entry.job.evolve(**changes)
        if entry.queued and entry.job.status != "queued":
            entry.queued = False
            self._queue.remove(entry.job.queue_key, entry)
        entry.wake()
        return entry.job

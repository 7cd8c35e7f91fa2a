"""A store in this process's memory, limited by count, bytes and age."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.errors import JobStillRunning, QueueFull, QuotaExceeded, UnknownJob
from service.fitting import Curve, curve_nbytes
from service.jobs.clock import Clock, SystemClock
from service.jobs.history import History, Rows
from service.jobs.job import Failure, IllegalTransition, Job, Progress, Stored
from service.jobs.observer import NULL_OBSERVER, Observer
from service.jobs.store_quota import StoreQuota
from service.jobs.tombstones import Tombstones
from service.schemas.names import Status, StopReason
from service.settings import Settings


class _Entry:
    """A job with its history and times."""

    __slots__ = ("changed", "created_at", "finished_at", "history", "job", "number", "started_at")

    def __init__(self, job: Job, number: int, max_history_rows: int, now: float) -> None:
        self.job = job
        self.number = number
        """Jobs in order of creation."""
        self.history = History(max_history_rows)
        self.created_at = now
        """This and the next two by the monotonic clock."""
        self.started_at: float | None = None
        self.finished_at = 0.0
        self.changed: asyncio.Event | None = None
        """Set at the next change; created by the first waiter."""

    @property
    def nbytes(self) -> int:
        return self.job.nbytes + self.history.nbytes


class MemoryStore:
    """A JobStore for one process.

    It evicts finished jobs, the oldest of the owner who uses the most (see `store_quota`), never
    queued or running ones: where those fill it, `create` raises QueueFull, or QuotaExceeded where
    this owner's exceed an even share. The last `max_jobs` removed ids are remembered as expired or
    deleted."""

    def __init__(
        self, settings: Settings, clock: Clock | None = None, observer: Observer = NULL_OBSERVER
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = clock or SystemClock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._finished: OrderedDict[str, _Entry] = OrderedDict()
        """In the order in which they finished."""
        self._quota = StoreQuota(settings.max_jobs, settings.max_store_bytes)
        self._tombstones = Tombstones(settings.max_jobs, since=self._clock.now())
        self._created = 0
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes used, as the store counts them."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._entries)

    def count_by_status(self) -> Counter[str]:
        """The number of jobs by status."""
        return Counter(entry.job.status for entry in self._entries.values())

    async def create(self, job: Job) -> None:
        if job.id in self._entries:
            raise ValueError(f"{job.id} exists already")
        now = self._clock.monotonic()
        entry = _Entry(job, self._created, self._settings.rows_of_history(len(job.params)), now)
        if self._quota.exceeds_share(job.owner, entry.nbytes):
            raise QuotaExceeded(
                "The unfinished jobs of this key fill its share of the store; try again later."
            )
        if not self._make_room(job.owner, jobs=1, nbytes=entry.nbytes):
            raise QueueFull("Unfinished jobs fill the store; try again later.")
        self._created += 1
        self._entries[job.id] = entry
        self._nbytes += entry.nbytes
        self._quota.add(job.owner, entry.nbytes)

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        return self._entry(job_id, owner).job

    async def list(
        self, *, owner: str | None, status: Status | None, limit: int, after: str | None
    ) -> tuple[Sequence[Job], bool]:
        before = self._created if after is None else self._number(after, owner)
        found: list[Job] = []
        for entry in reversed(self._entries.values()):
            if entry.number >= before or not _visible(entry.job, owner, status):
                continue
            if len(found) == limit:
                return found, True
            found.append(entry.job)
        return found, False

    async def start(self, job_id: str, at: datetime) -> Job:
        entry = self._entry(job_id)
        job = entry.job
        if entry.started_at is None:
            entry.started_at = self._clock.monotonic()
        return self._change(
            job_id, status="running", started_at=job.started_at or at, attempts=job.attempts + 1
        )

    async def requeue(self, job_id: str) -> Job:
        return self._change(job_id, status="queued")

    async def append(
        self,
        job_id: str,
        rows: Rows,
        progress: Progress,
        *,
        whole: bool = False,
    ) -> Job:
        entry = self._entry(job_id)
        if entry.job.status != "running":
            raise IllegalTransition(job_id, entry.job.status, "running")
        before = entry.history.nbytes
        if whole:
            entry.history = History(entry.history.max_rows)
        entry.history.append(rows)
        self._add_nbytes(entry, entry.history.nbytes - before)
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
    ) -> Job:
        entry = self._entry(job_id)
        before = entry.nbytes
        job = self._change(
            job_id,
            status=status,
            finished_at=at,
            stop_reason=stop_reason,
            result=result,
            curve=curve,
            failure=failure,
            nbytes=entry.job.nbytes + len(result or b"") + curve_nbytes(curve or b""),
        )
        entry.history.trim()
        self._add_nbytes(entry, entry.nbytes - before)
        entry.finished_at = self._clock.monotonic()
        self._finished[job_id] = entry
        self._quota.finish(job.owner, job_id, entry.nbytes)
        self._make_room(job.owner, spare=job_id)
        if entry.started_at is None:
            self._observer.job_ended(job, None, None)
        else:
            waited_s = entry.started_at - entry.created_at
            self._observer.job_ended(job, waited_s, entry.finished_at - entry.started_at)
        return job

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        if not self._entry(job_id, owner).job.finished:
            raise JobStillRunning
        self._forget(job_id, "deleted")

    async def history(
        self,
        job_id: str,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> Rows:
        rows = self._entry(job_id).history.page(after_epoch, limit)
        return rows if max_points is None else rows.thin(max_points)

    async def changed(self, job_id: str, version: int) -> Job:
        entry = self._entry(job_id)
        while entry.job.version <= version:
            if entry.changed is None:
                entry.changed = asyncio.Event()
            await entry.changed.wait()
            if entry.job.version <= version:
                self._entry(job_id)
        return entry.job

    def _entry(self, job_id: str, owner: str | None = None) -> _Entry:
        entry = self._entries.get(job_id)
        if entry is None or not _visible(entry.job, owner):
            raise UnknownJob(self._tombstones.message(job_id, owner))
        expired = self._clock.monotonic() - self._settings.max_job_age_s
        if entry.job.finished and entry.finished_at < expired:
            self._forget(job_id, "expired")
            raise UnknownJob(self._tombstones.message(job_id, owner))
        return entry

    def _number(self, job_id: str, owner: str | None) -> int:
        """The number after which a page begins; a removed job keeps its number."""
        number = self._tombstones.number(job_id, owner)
        return self._entry(job_id, owner).number if number is None else number

    def _change(self, job_id: str, **changes: Any) -> Job:
        entry = self._entry(job_id)
        entry.job = entry.job.evolve(**changes)
        self._wake(entry)
        return entry.job

    def _wake(self, entry: _Entry) -> None:
        if entry.changed is not None:
            entry.changed.set()
            entry.changed = None

    def _make_room(
        self, asker: str, jobs: int = 0, nbytes: int = 0, spare: str | None = None
    ) -> bool:
        """Removes expired jobs, then evicts as few as are needed. Returns whether there is room
        now. If eviction cannot make enough room, nothing is evicted for a new job; for an existing
        one, `spare`, all that can be is."""
        expired = self._clock.monotonic() - self._settings.max_job_age_s
        while self._finished:
            job_id, entry = next(iter(self._finished.items()))
            if entry.finished_at >= expired or job_id == spare:
                break
            self._forget(job_id, "expired")
        if self._fits(jobs, nbytes):
            return True
        may_go = len(self._finished), self._quota.finished_nbytes
        if spare is None and not self._fits(jobs - may_go[0], nbytes - may_go[1]):
            return False
        going, room = [], False
        for job_id, freed in self._quota.evictable(asker, spare):
            going.append(job_id)
            jobs, nbytes = jobs - 1, nbytes - freed
            if room := self._fits(jobs, nbytes):
                break
        if room or spare is not None:
            for job_id in going:
                self._forget(job_id, "expired")
        return room

    def _add_nbytes(self, entry: _Entry, nbytes: int) -> None:
        self._nbytes += nbytes
        self._quota.grow(entry.job.owner, nbytes)

    def _fits(self, jobs: int, nbytes: int) -> bool:
        return (
            len(self._entries) + jobs <= self._settings.max_jobs
            and self._nbytes + nbytes <= self._settings.max_store_bytes
        )

    def _forget(self, job_id: str, why: str) -> None:
        entry = self._entries.pop(job_id)
        self._finished.pop(job_id, None)
        self._nbytes -= entry.nbytes
        self._quota.remove(entry.job.owner, job_id)
        self._tombstones.add(entry.job, entry.number, why)
        self._wake(entry)


def _visible(job: Job, owner: str | None, status: Status | None = None) -> bool:
    return owner in (None, job.owner) and status in (None, job.status)

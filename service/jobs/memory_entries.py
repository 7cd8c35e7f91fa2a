"""The entries of a store in memory: where room is made for new ones, oldest first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from service.errors import IdempotencyConflict, QueueFull, QuotaExceeded, UnknownJob
from service.fitting import Curve, curve_nbytes
from service.jobs.eviction import StoreQuota, Tombstones
from service.jobs.history import History, Rows
from service.jobs.job import Job
from service.jobs.store import IdempotencyKey
from service.jobs.timing import Clock
from service.schemas.names import Status
from service.settings import Settings


class Entry:
    """A job with its history and times."""

    __slots__ = (
        *("changed", "created_at", "finished_at", "history", "job", "key", "number"),
        *("queued", "started_at"),
    )

    def __init__(self, job: Job, number: int, max_history_rows: int, now: float) -> None:
        self.job = job
        self.number = number
        """Jobs in order of creation."""
        self.history = History(max_history_rows)
        self.created_at = now
        """This and the next two by the monotonic clock."""
        self.started_at: float | None = None
        self.finished_at = 0.0
        self.key: IdempotencyKey | None = None
        self.queued = False
        """Whether it is in the queue."""
        self.changed: asyncio.Event | None = None
        """Set at the next change; created by the first waiter."""

    @property
    def nbytes(self) -> int:
        return self.job.nbytes + self.history.nbytes

    def wake(self) -> None:
        """Wakes those who wait for a change."""
        if self.changed is not None:
            self.changed.set()
            self.changed = None


class Entries:
    """Jobs by id, no more than the settings allow.

    Finished ones are evicted, the oldest of the owner who uses the most (see `eviction`)."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._finished: OrderedDict[str, Entry] = OrderedDict()
        """In the order in which they finished."""
        self._keys: dict[tuple[str, str], Entry] = {}
        """By owner and idempotency key."""
        self._quota = StoreQuota(settings.max_jobs, settings.max_store_bytes)
        self._tombstones = Tombstones(settings.max_jobs, since=clock.now())
        self._created = 0
        self.nbytes = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, job_id: str, owner: str | None = None) -> Entry:
        """The entry of a job. Raises UnknownJob, as of one that is too old."""
        entry = self._entries.get(job_id)
        if entry is None or not visible(entry.job, owner) or self._expire(entry):
            raise UnknownJob(self._tombstones.message(job_id, owner))
        return entry

    def find(self, owner: str, key: IdempotencyKey | None) -> Job | None:
        """The job that was created under the key. Raises IdempotencyConflict where the key was used
        for another request."""
        entry = None if key is None else self._keys.get((owner, key.key))
        if entry is None or self._expire(entry):
            return None
        if entry.key != key:
            raise IdempotencyConflict
        return entry.job

    def before(self, after: str | None, owner: str | None) -> Iterator[Entry]:
        """The entries created before the job `after`, newest first; a removed one keeps its
        place."""
        number = self._created if after is None else self._tombstones.number(after, owner)
        number = self.get(after or "", owner).number if number is None else number
        return (entry for entry in reversed(self._entries.values()) if entry.number < number)

    def unfinished(self, owner: str) -> int:
        """The number of the owner's unfinished jobs."""
        return self._quota.unfinished(owner)

    def add(self, job: Job, key: IdempotencyKey | None, rows: Rows | None = None) -> Entry:
        """The entry of a new job. Raises QueueFull where there is no room for it."""
        if job.id in self._entries:
            raise ValueError(f"{job.id} exists already")
        now = self._clock.monotonic()
        entry = Entry(job, self._created, self._settings.rows_of_history(len(job.params)), now)
        if rows is not None:
            entry.history = History(entry.history.max_rows, rows)
        if self._quota.exceeds_share(job.owner, entry.nbytes):
            raise QuotaExceeded(
                "The unfinished jobs of this key fill its share of the store; try again later."
            )
        if not self._make_room(job.owner, jobs=1, nbytes=entry.nbytes):
            raise QueueFull("Unfinished jobs fill the store; try again later.")
        self._created += 1
        self._entries[job.id] = entry
        self.nbytes += entry.nbytes
        self._quota.add(job.owner, entry.nbytes)
        if key is not None:
            entry.key, self._keys[job.owner, key.key] = key, entry
        return entry

    def grow(self, entry: Entry, nbytes: int) -> None:
        """Counts bytes that were added to an entry."""
        self.nbytes += nbytes
        self._quota.grow(entry.job.owner, nbytes)

    def end(self, entry: Entry) -> None:
        """Makes a job that has ended one that may be evicted."""
        job = entry.job
        entry.finished_at = self._clock.monotonic()
        self._finished[job.id] = entry
        self._quota.finish(job.owner, job.id, entry.nbytes)
        self._make_room(job.owner, spare=job.id)

    def _expire(self, entry: Entry) -> bool:
        """Forgets a job that is too old. Returns whether it was."""
        oldest = self._clock.monotonic() - self._settings.max_job_age_s
        expired = entry.job.finished and entry.finished_at < oldest
        if expired:
            self.forget(entry.job.id, "expired")
        return expired

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
            self.forget(job_id, "expired")
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
                self.forget(job_id, "expired")
        return room

    def _fits(self, jobs: int, nbytes: int) -> bool:
        return (
            len(self._entries) + jobs <= self._settings.max_jobs
            and self.nbytes + nbytes <= self._settings.max_store_bytes
        )

    def forget(self, job_id: str, why: str) -> None:
        """Removes a finished job, and remembers why: expired or deleted."""
        entry = self._entries.pop(job_id)
        self._finished.pop(job_id, None)
        if entry.key is not None:
            del self._keys[entry.job.owner, entry.key.key]
        self.nbytes -= entry.nbytes
        self._quota.remove(entry.job.owner, job_id)
        self._tombstones.add(entry.job, entry.number, why)
        entry.wake()


def visible(job: Job, owner: str | None, status: Status | None = None) -> bool:
    """Whether the owner may see the job, and it has that status."""
    return owner in (None, job.owner) and status in (None, job.status)


def curve_bytes(curve: Curve | None) -> int:
    """Bytes of what a job keeps for predictions."""
    return 0 if curve is None else curve_nbytes(curve)

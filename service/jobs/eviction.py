"""The jobs and bytes of each owner in a shared store, and which finished jobs are evicted.


The owner who uses the most is evicted from first, so that no owner can displace the jobs of another
before their own. Without keys there is one owner, and the oldest job is evicted.

Unfinished jobs cannot be evicted. So that one owner's do not fill the store, they are limited to an
even share: the store's bytes divided by the number of owners with such jobs plus one, for an owner
to come.

Of those that were removed last a tombstone says why.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush

from service.jobs.job import Job


class _Usage:
    """What one owner uses."""

    __slots__ = ("finished", "finished_nbytes", "jobs", "nbytes")

    def __init__(self) -> None:
        self.jobs = self.nbytes = self.finished_nbytes = 0
        self.finished: OrderedDict[str, int] = OrderedDict()
        """Bytes by job id, in the order in which they finished."""

    @property
    def unfinished(self) -> int:
        return self.jobs - len(self.finished)


class StoreQuota:
    """Jobs and bytes by owner."""

    def __init__(self, max_jobs: int, max_nbytes: int) -> None:
        self._max_jobs, self._max_nbytes = max_jobs, max_nbytes
        self._usage: dict[str, _Usage] = {}
        self._busy = 0
        """Owners with unfinished jobs."""
        self.finished_nbytes = 0
        """Bytes of all owners that can be evicted."""

    def unfinished(self, owner: str) -> int:
        """The number of the owner's unfinished jobs."""
        usage = self._usage.get(owner)
        return 0 if usage is None else usage.unfinished

    def add(self, owner: str, nbytes: int) -> None:
        """Counts a new job of the owner."""
        usage = self._usage.get(owner)
        if usage is None:
            usage = self._usage[owner] = _Usage()
        self._busy += not usage.unfinished
        usage.jobs += 1
        usage.nbytes += nbytes

    def grow(self, owner: str, nbytes: int) -> None:
        """Adds to the bytes of the owner's unfinished jobs."""
        self._usage[owner].nbytes += nbytes

    def finish(self, owner: str, job_id: str, nbytes: int) -> None:
        """Marks a job of `nbytes` as finished: it can be evicted."""
        usage = self._usage[owner]
        usage.finished[job_id] = nbytes
        usage.finished_nbytes += nbytes
        self.finished_nbytes += nbytes
        self._busy -= not usage.unfinished

    def remove(self, owner: str, job_id: str) -> None:
        """Removes a finished job."""
        usage = self._usage[owner]
        nbytes = usage.finished.pop(job_id)
        usage.finished_nbytes -= nbytes
        self.finished_nbytes -= nbytes
        usage.jobs -= 1
        usage.nbytes -= nbytes
        if not usage.jobs:
            del self._usage[owner]

    def exceeds_share(self, owner: str, nbytes: int) -> bool:
        """Whether the owner's unfinished jobs would exceed an even share with one more of `nbytes`
        bytes. The first job of an owner, and any job without keys, is accepted whatever its
        size."""
        usage = self._usage.get(owner)
        if not owner or usage is None or not usage.unfinished:
            return False
        held = usage.nbytes - usage.finished_nbytes
        return (held + nbytes) * (self._busy + 1) > self._max_nbytes

    def evictable(self, asker: str, spare: str | None = None) -> Iterator[tuple[str, int]]:
        """The finished jobs to evict for a job of `asker`, with their bytes, in order: each is the
        oldest of the owner who uses the most by then. Owners who use less than `asker` are spared.
        Nothing is removed here, and nothing must be removed during the iteration."""
        own = self._weight(asker, 0, 0)
        candidates = []
        for order, (owner, usage) in enumerate(self._usage.items()):
            left = (item for item in usage.finished.items() if item[0] != spare)
            candidates.append((-self._weight(owner, 0, 0), order, owner, 0, 0, left))
        heapify(candidates)
        while candidates:
            weight, order, owner, jobs, nbytes, left = heappop(candidates)
            if -weight < own:
                return
            job = next(left, None)
            if job is None:
                continue
            yield job
            jobs, nbytes = jobs + 1, nbytes + job[1]
            weight = self._weight(owner, jobs, nbytes)
            own = weight if owner == asker else own
            heappush(candidates, (-weight, order, owner, jobs, nbytes, left))

    def _weight(self, owner: str, jobs: int, nbytes: int) -> float:
        """The fraction of the store that the owner uses after that many jobs and bytes are evicted,
        by the limit that is nearer."""
        usage = self._usage.get(owner)
        if usage is None:
            return 0.0
        return max((usage.jobs - jobs) / self._max_jobs, (usage.nbytes - nbytes) / self._max_nbytes)


@dataclass(frozen=True, slots=True)
class _Tombstone:
    owner: str
    number: int
    why: str


class Tombstones:
    """Remembers the last `capacity` jobs that were removed."""

    def __init__(self, capacity: int, since: datetime) -> None:
        self._capacity = capacity
        self._since = since
        self._tombstones: OrderedDict[str, _Tombstone] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tombstones)

    def add(self, job: Job, number: int, why: str) -> None:
        """Remembers why a job was removed (`expired` or `deleted`) and its number in order of
        creation."""
        self._tombstones[job.id] = _Tombstone(job.owner, number, why)
        while len(self._tombstones) > self._capacity:
            self._tombstones.popitem(last=False)

    def number(self, job_id: str, owner: str | None) -> int | None:
        """A remembered job's number in order of creation; else None."""
        tombstone = self._find(job_id, owner)
        return None if tombstone is None else tombstone.number

    def message(self, job_id: str, owner: str | None) -> str:
        """The message of UnknownJob; to other owners, the job never existed."""
        shown = job_id if len(job_id) <= 40 else job_id[:40] + "…"
        tombstone = self._find(job_id, owner)
        if tombstone is None:
            return (
                f"There is no job '{shown}': it is unknown, or the service lost it when it "
                f"restarted at {self._since:%Y-%m-%dT%H:%M:%SZ}."
            )
        if tombstone.why == "deleted":
            return f"There is no job '{shown}' any more: it was deleted."
        return (
            f"There is no job '{shown}' any more: it expired, to make room or because of its age."
        )

    def _find(self, job_id: str, owner: str | None) -> _Tombstone | None:
        tombstone = self._tombstones.get(job_id)
        return tombstone if tombstone is not None and owner in (None, tombstone.owner) else None

"""Tombstones: why the jobs removed last are gone."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from service.jobs.job import Job


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

"""Jobs that are no more: why, for as many as there is room to remember."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from service.jobs.job import Job


@dataclass(frozen=True, slots=True)
class _Memory:
    owner: str
    number: int
    why: str


class Tombstones:
    """Remembers the last `room` jobs that were forgotten."""

    def __init__(self, room: int, since: datetime) -> None:
        self._room = room
        self._since = since
        self._memories: OrderedDict[str, _Memory] = OrderedDict()

    def __len__(self) -> int:
        return len(self._memories)

    def add(self, job: Job, number: int, why: str) -> None:
        """Remembers that the job was `expired` or `deleted`, and its place in the order."""
        self._memories[job.id] = _Memory(job.owner, number, why)
        while len(self._memories) > self._room:
            self._memories.popitem(last=False)

    def number(self, job_id: str, owner: str | None) -> int | None:
        """The place in the order of creation of a job that is remembered."""
        memory = self._recall(job_id, owner)
        return None if memory is None else memory.number

    def sentence(self, job_id: str, owner: str | None) -> str:
        """Why there is no such job, for its owner; to another it never was."""
        shown = job_id if len(job_id) <= 40 else job_id[:40] + "…"
        memory = self._recall(job_id, owner)
        if memory is None:
            return (
                f"There is no job '{shown}': it is unknown, or the service forgot it when it "
                f"restarted at {self._since:%Y-%m-%dT%H:%M:%SZ}."
            )
        if memory.why == "deleted":
            return f"There is no job '{shown}' any more: it was deleted."
        return f"There is no job '{shown}' any more: it expired, to make room or for its age."

    def _recall(self, job_id: str, owner: str | None) -> _Memory | None:
        memory = self._memories.get(job_id)
        return memory if memory is not None and owner in (None, memory.owner) else None

"""Where jobs are kept: what any store promises. `tests/jobs/test_store.py` holds it to that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from service.jobs.history import Rows
from service.jobs.job import Failure, Job, Progress, Stored
from service.schemas.names import Status, StopReason

if TYPE_CHECKING:
    from service.fitting import Curve


class JobStore(Protocol):
    """Keeps jobs and their histories, guards the transitions, wakes who waits.

    All methods raise UnknownJob, which says whether the id is unknown, expired or deleted, and
    IllegalTransition where the job's status forbids the change. An `owner` of None sees all jobs;
    to any other, another's job is one that never was.
    """

    async def create(self, job: Job) -> None:
        """Takes a queued job; QueueFull where unfinished jobs leave no room for it."""

    async def get(self, job_id: str, owner: str | None = None) -> Job: ...

    async def list(
        self, *, owner: str | None, status: Status | None, limit: int, after: str | None
    ) -> tuple[Sequence[Job], bool]:
        """At most `limit` jobs older than `after`, newest first, and whether there are more."""

    async def start(self, job_id: str, at: datetime) -> Job:
        """queued -> running, one attempt more."""

    async def requeue(self, job_id: str) -> Job:
        """running -> queued, to be tried again; the history stays."""

    async def append(
        self,
        job_id: str,
        rows: Rows,
        progress: Progress,
        *,
        whole: bool = False,
    ) -> Job:
        """Adds to the history of a running job, or replaces all of it where `whole`."""

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
        """The one last transition: to succeeded, failed or cancelled."""

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Forgets a finished job; JobStillRunning for any other."""

    async def history(
        self,
        job_id: str,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> Rows:
        """The first `limit` rows later than `after_epoch`, thinned to `max_points`."""

    async def changed(self, job_id: str, version: int) -> Job:
        """The job, as soon as its version is above `version`."""

"""The protocol of job stores, tested by `tests/jobs/test_store.py`."""

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
    """Keeps jobs and their histories, enforces the transitions, wakes waiting callers.


    All methods raise UnknownJob, which says whether the id is unknown, expired or deleted, and
    IllegalTransition where the job's status forbids the change. An `owner` of None sees all jobs;
    for any other owner, the jobs of others are unknown.
    """

    async def create(self, job: Job) -> None:
        """Adds a queued job. Raises QueueFull where unfinished jobs fill the store."""

    async def get(self, job_id: str, owner: str | None = None) -> Job: ...

    async def list(
        self, *, owner: str | None, status: Status | None, limit: int, after: str | None
    ) -> tuple[Sequence[Job], bool]:
        """At most `limit` jobs older than `after`, newest first, and whether there are more."""

    async def start(self, job_id: str, at: datetime) -> Job:
        """queued -> running; increments the attempts."""

    async def requeue(self, job_id: str) -> Job:
        """running -> queued, for a retry; the history is kept."""

    async def append(
        self,
        job_id: str,
        rows: Rows,
        progress: Progress,
        *,
        whole: bool = False,
    ) -> Job:
        """Appends to the history of a running job; with `whole`, replaces it."""

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
        """The last transition: to succeeded, failed or cancelled."""

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Deletes a finished job. Raises JobStillRunning for any other."""

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
        """Waits until the job's version is above `version`, and returns the job."""

"""The protocol of job stores, tested by `tests/jobs/test_store.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from service.jobs.history import Rows
from service.jobs.job import Failure, Job, Progress, Stored
from service.schemas.names import Status, StopReason
from service.schemas.requests import JobRequest

if TYPE_CHECKING:
    from service.fitting import Curve


class IdempotencyKey(NamedTuple):
    """A caller's key for a request."""

    key: str
    fingerprint: bytes
    """Distinguishes requests under the same key."""


class Answer(NamedTuple):
    """What a job that succeeded leaves."""

    result: Stored
    """`service.schemas.answers.Fit` as JSON."""
    curve: Curve | None
    """What predictions need of it."""


class Claimed(NamedTuple):
    """A job that was taken from the queue, for the process that runs it."""

    job: Job
    """Running, its `attempts` the number of this attempt."""
    waited_s: float
    """Seconds from its creation to its first start."""
    spent_s: float = 0.0
    """Seconds of work by earlier attempts."""
    checkpoint: Stored | None = None
    """The state of the last attempt, where the store keeps it."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What the store holds."""

    jobs: Mapping[str, int]
    """By status."""
    nbytes: int
    """Bytes used, as the store counts them."""
    queued: int
    """Jobs that wait for a worker."""
    oldest_wait_s: float
    """Seconds that the oldest of them has waited."""


class AttemptStore(Protocol):
    """What running a job needs of its store: see `JobStore`."""

    async def get(self, job_id: str) -> Job: ...

    async def request(self, job_id: str) -> JobRequest:
        """The request of a job."""

    async def history(self, job_id: str) -> Rows: ...

    async def start(self, job_id: str, at: datetime) -> Job:
        """queued -> running of this job; increments the attempts."""

    async def requeue(self, job_id: str, *, attempt: int | None = None) -> Job:
        """running -> queued, for a retry by the same process, which calls `start`: others do not
        claim it. The history is kept."""

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
        """Appends to the history of a running job; with `whole`, replaces it. A store that outlives
        this process keeps the checkpoint and the seconds of work with it, for a later `Claimed`."""

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
        """The last transition: to succeeded, failed or cancelled."""


class JobStore(AttemptStore, Protocol):
    """Keeps jobs, their queue and their histories, enforces limits and transitions, wakes waiting
    callers.

    All methods raise UnknownJob, which says whether the id is unknown, expired or deleted, and
    IllegalTransition where the job's status forbids the change. An `owner` of None sees all jobs;
    for any other owner, the jobs of others are unknown. Each change is one atomic step. An
    `attempt`, where it is given, must be the job's latest: else StaleAttempt is raised, since
    another process has taken the job over.
    """

    async def find(self, owner: str, key: IdempotencyKey) -> Job | None:
        """The job that was created under the key. Raises IdempotencyConflict where the key was used
        for another request."""

    async def create(self, job: Job, key: IdempotencyKey | None = None) -> tuple[Job, bool]:
        """Adds a job and queues it, callers taking turns by `queue_key`; or finds the one of `key`.
        Returns it, and whether it existed.

        Raises IdempotencyConflict; QueueFull where the queue is full or unfinished jobs fill the
        store, or QuotaExceeded where those of its owner exceed their limit."""

    async def record(
        self, job: Job, rows: Rows, fitted_s: float, key: IdempotencyKey | None = None
    ) -> tuple[Job, bool]:
        """Adds a job that has ended already, with its history: see `create`. It takes no place in
        the queue."""

    async def get(self, job_id: str, owner: str | None = None) -> Job: ...

    async def answer(self, job_id: str) -> Answer | None:
        """What the job answered; None where it has no result."""

    async def list(
        self, *, owner: str | None, status: Status | None, limit: int, after: str | None
    ) -> tuple[Sequence[Job], bool]:
        """At most `limit` jobs older than `after`, newest first, and whether there are more."""

    async def claim(self, at: datetime) -> Claimed | None:
        """queued -> running of the job whose turn it is; increments its attempts. None where no job
        waits."""

    async def positions(self, job_ids: Sequence[str]) -> Sequence[int | None]:
        """The number of jobs that are claimed before each, if no more come; None where it is not in
        the queue."""

    async def history(
        self,
        job_id: str,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> Rows:
        """The first `limit` rows later than `after_epoch`, thinned to `max_points`."""

    async def cancel(self, job_id: str, at: datetime) -> Job:
        """Ends a job that waits in the queue as cancelled; marks one that runs as `cancelling`. No
        effect on one that has ended."""

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Deletes a finished job. Raises JobStillRunning for any other."""

    async def changed(self, job_id: str, version: int) -> Job:
        """Waits until the job's version is above `version`, and returns the job."""

    async def stats(self) -> StoreStats:
        """What the store holds, for metrics."""

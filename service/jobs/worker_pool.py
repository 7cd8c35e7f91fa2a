"""What the worker slots of a process share, and the jobs that they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from service.jobs.executor import NULL_OBSERVER, Observer
from service.jobs.history import Rows
from service.jobs.job import Failure, Job, Progress, Stored
from service.jobs.timing import Clock
from service.schemas.names import Status, StopReason
from service.schemas.requests import JobRequest
from service.settings import Settings

if TYPE_CHECKING:
    from service.fitting import Curve
    from service.jobs.worker_slots import WorkerSlot


@dataclass(slots=True, eq=False)
class ActiveJob:
    """A job that was claimed and has not ended."""

    job: Job
    """Its record as of the latest attempt."""
    waited_s: float
    """Seconds that it was queued."""
    slot: WorkerSlot | None = None
    """The slot that runs it."""
    began: float | None = None
    """When its first attempt began, by the monotonic clock."""
    checkpoint: Stored | None = None
    spent_s: float = 0.0
    """Seconds of work by other processes, before `began`."""
    stop: StopReason | None = None
    """Why it is being stopped, if it is."""
    closing: bool = False
    """Whether the worker has taken its last step and computes the answer."""
    salvaged: bool = False
    """Whether an answer from the checkpoint alone has been tried."""


class SlotStore(Protocol):
    """What slots use of a `JobStore`."""

    async def get(self, job_id: str) -> Job: ...

    async def request(self, job_id: str) -> JobRequest: ...

    async def history(self, job_id: str) -> Rows: ...

    async def start(self, job_id: str, at: datetime) -> Job: ...

    async def requeue(self, job_id: str, *, attempt: int | None = None) -> Job: ...

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
    ) -> Job: ...

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
    ) -> Job: ...


class Freed(Protocol):
    """Called when a slot has an idle worker (`free`), and when it no longer has one."""

    def __call__(self, slot: WorkerSlot, /, *, free: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """What all slots share."""

    settings: Settings
    store: SlotStore
    clock: Clock
    ended: Callable[[ActiveJob], None]
    freed: Freed
    observer: Observer = NULL_OBSERVER

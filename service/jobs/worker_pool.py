"""What the worker slots of a process share, and the jobs that they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.jobs.executor import NULL_OBSERVER, Observer
from service.jobs.job import Job, Stored
from service.jobs.timing import Clock
from service.schemas.names import StopReason
from service.settings import Settings

if TYPE_CHECKING:
    from service.jobs.store import AttemptStore
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


class Freed(Protocol):
    """Called when a slot has an idle worker (`free`), and when it no longer has one."""

    def __call__(self, slot: WorkerSlot, /, *, free: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """What all slots share."""

    settings: Settings
    store: AttemptStore
    clock: Clock
    ended: Callable[[ActiveJob], None]
    freed: Freed
    observer: Observer = NULL_OBSERVER

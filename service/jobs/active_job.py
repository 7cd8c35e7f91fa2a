"""An accepted job that has not ended, as the executor tracks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.jobs.job import Job
from service.schemas.names import StopReason

if TYPE_CHECKING:
    from service.jobs.worker_slots import WorkerSlot


@dataclass(slots=True, eq=False)
class ActiveJob:
    """An accepted job that has not ended."""

    job: Job
    accepted: float
    """When it was accepted, by the monotonic clock."""
    slot: WorkerSlot | None = None
    """The slot that runs it; None while it is queued."""
    began: float | None = None
    """When its first attempt began, by the monotonic clock."""
    attempts: int = 0
    checkpoint: bytes | None = None
    stop: StopReason | None = None
    """Why it is being stopped, if it is."""
    closing: bool = False
    """Whether the worker has taken its last step and computes the answer."""
    salvaged: bool = False
    """Whether an answer from the checkpoint alone has been tried."""

"""An accepted job on its way to its end, as the executor knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.jobs.job import Job
from service.schemas.names import StopReason

if TYPE_CHECKING:
    from service.jobs.places import WorkPlace


@dataclass(slots=True, eq=False)
class Errand:
    """An accepted job on its way to its end."""

    job: Job
    accepted: float
    """When it was taken in, by the clock that never jumps."""
    place: WorkPlace | None = None
    """Where it is at work; None while it is queued."""
    began: float | None = None
    """When its first attempt began, by the clock that never jumps."""
    attempts: int = 0
    checkpoint: bytes | None = None
    stop: StopReason | None = None
    """Why it was told to end, if it was."""
    closing: bool = False
    """Whether the worker has taken its last step and reckons the answer."""
    salvaged: bool = False
    """Whether an answer from the checkpoint alone has been tried."""

"""What goes over a worker's socket. To the worker: Task, Cancel. From it: the others.

Named tuples, because they pickle several times faster than dataclasses.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, NamedTuple

from service.jobs.history import Rows
from service.jobs.job import Failure, Progress, Stored
from service.schemas.fit import FitRequest
from service.schemas.names import StopReason

if TYPE_CHECKING:
    from service.fitting import Curve


class Task(NamedTuple):
    """Run this job."""

    job_id: str
    request: FitRequest
    limit_s: float
    """Seconds of work, those of earlier attempts included."""
    max_history_rows: int
    queued_s: float = 0.0
    """Seconds it waited for its turn."""
    spent_s: float = 0.0
    """Seconds of work before this attempt."""
    history: Rows | None = None
    """What earlier attempts recorded."""
    checkpoint: bytes | None = None
    """Where the last attempt was, pickled by a worker and read by none but a worker."""
    patience_s: float | None = None
    """Seconds after which the job is handed over, unless it is at its end; None: never."""
    device: str = "cpu"
    """As the settings say it: cpu, cuda or auto."""
    stop_reason: StopReason | None = None
    """Take no step: answer with the best of the checkpoint, for this reason."""


class Cancel(NamedTuple):
    """Stop the job, if it is the one at work, and answer with its best."""

    job_id: str


class Ready(NamedTuple):
    """The worker waits for its first task."""


class Slice(NamedTuple):
    """What happened since the last message."""

    rows: Rows
    whole: bool
    """`rows` is all that is kept so far, in place of what was sent: the sender had to thin."""
    progress: Progress
    checkpoint: bytes | None = None


class HandedOver(NamedTuple):
    """The job takes longer than it may here: its last slice has the checkpoint to go on from."""


class Closing(NamedTuple):
    """The steps are done or were stopped; the answer is being reckoned."""


class Ended(NamedTuple):
    """The job's answer."""

    last: Slice
    stop_reason: StopReason
    fit: Stored
    """`service.schemas.answers.Fit` as JSON."""
    curve: Curve
    """What predictions take of it."""

    def __reduce__(self) -> tuple[object, ...]:
        """A long document travels as a buffer."""
        return Ended, (self.last, self.stop_reason, PickleBuffer(self.fit), self.curve)


class Failed(NamedTuple):
    """The job has no answer."""

    failure: Failure


FromWorker = Ready | Slice | HandedOver | Closing | Ended | Failed
ToWorker = Task | Cancel

"""The messages on a worker's socket. To the worker: Task, Cancel. From it: the others.


Named tuples, because they pickle several times faster than dataclasses.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, NamedTuple

from service.jobs.history import Rows
from service.jobs.job import Failure, Progress, Stored
from service.schemas.names import StopReason
from service.schemas.requests import JobRequest

if TYPE_CHECKING:
    from service.fitting import Curve


def _out_of_band(stored: Stored | None) -> PickleBuffer | None:
    """Pickled out of band where it is long."""
    return None if stored is None else PickleBuffer(stored)


class Task(NamedTuple):
    """Run a job."""

    job_id: str
    request: JobRequest
    limit_s: float
    """The time limit in seconds of work, earlier attempts included."""
    max_history_rows: int
    queued_s: float = 0.0
    """Seconds spent in the queue."""
    spent_s: float = 0.0
    """Seconds of work before this attempt."""
    history: Rows | None = None
    """The rows recorded by earlier attempts."""
    checkpoint: Stored | None = None
    """The state of the last attempt, as `FitBackend.pack` writes it."""
    handover_s: float | None = None
    """Seconds after which an unfinished job is left to a worker; None: never."""
    device: str = "cpu"
    """The setting: cpu, cuda or auto."""
    stop_reason: StopReason | None = None
    """If set, take no step: answer with the checkpoint's best, with this stop reason."""

    def __reduce__(self) -> tuple[object, ...]:
        made = self._asdict() | {"checkpoint": _out_of_band(self.checkpoint)}
        return Task, tuple(made.values())


class Cancel(NamedTuple):
    """Stop the job, if it is the current one, and answer with its best."""

    job_id: str


class Ready(NamedTuple):
    """The worker is ready for its first task."""


class Slice(NamedTuple):
    """The rows and progress since the last slice."""

    rows: Rows
    whole: bool
    """Whether `rows` replaces all rows sent before, because the history was thinned."""
    progress: Progress
    checkpoint: Stored | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Slice, (self.rows, self.whole, self.progress, _out_of_band(self.checkpoint))


class HandedOver(NamedTuple):
    """The inline job takes too long: a worker is to run it, from its start."""


class Closing(NamedTuple):
    """The last step is done; the answer is being computed."""


class Ended(NamedTuple):
    """The job's answer."""

    last: Slice
    stop_reason: StopReason
    fit: Stored
    """`service.schemas.jobs.JobResult` as JSON."""
    curve: Curve | None
    """What predictions need of it; None where there is nothing to predict with."""

    def __reduce__(self) -> tuple[object, ...]:
        return Ended, (self.last, self.stop_reason, _out_of_band(self.fit), self.curve)


class Failed(NamedTuple):
    """The job has no answer."""

    failure: Failure


FromWorker = Ready | Slice | HandedOver | Closing | Ended | Failed
ToWorker = Task | Cancel

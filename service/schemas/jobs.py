"""Jobs on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from service.schemas.answers import Fit, History
from service.schemas.base import Answer, Number
from service.schemas.names import Status
from service.schemas.problems import Problem


class Progress(Answer):
    """How far a job is."""

    epoch: int
    epochs: int
    loss: Number | None
    best_loss: Number | None
    epochs_per_s: Number | None
    eta_s: Number | None


class JobUrls(Answer):
    """Where to go from here."""

    self: str
    history: str
    events: str
    cancel: str


class Job(Answer):
    """The record of one fit."""

    job_id: str
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queue_position: int | None
    """Jobs that start before this one; null once it has started."""
    starts_in_s: Number | None
    """An estimate, by how long jobs took lately; null once it has started."""
    progress: Progress
    model: str
    tags: dict[str, str]
    result: Fit | None
    error: Problem | None
    urls: JobUrls


class JobList(Answer):
    """A page of jobs, newest first."""

    jobs: list[Job]
    has_more: bool
    next_after: str | None
    """Pass it as `after` for the next page."""


class ProgressEvent(Answer):
    """What is new in a job since the event before."""

    event: Literal["progress"] = "progress"
    job_id: str
    status: Status
    queue_position: int | None
    """Jobs that start before this one; null once it has started."""
    starts_in_s: Number | None
    """An estimate, by how long jobs took lately; null once it has started."""
    progress: Progress
    history: History
    """The rows recorded since the event before; there may be none."""
    last_epoch: int | None
    """The last epoch sent: the event's `id`, and the `after_epoch` to go on from."""


class DoneEvent(Answer):
    """The job has finished; nothing comes after this."""

    event: Literal["done"] = "done"
    job_id: str
    job: Job
    """The job as it ended. Its `result` is null: the fit is at `urls.self`."""
    last_epoch: int | None

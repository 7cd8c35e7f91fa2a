"""Response bodies and events of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from service.schemas.answers import Fit, History
from service.schemas.base import Answer, Number
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.grouped import GroupedFit
from service.schemas.names import Status
from service.schemas.problems import Problem

JobResult = Fit | GroupedFit | Comparison | GroupedComparison
"""The answer of a finished job."""


class Progress(Answer):
    """The progress of a job."""

    epoch: int
    epochs: int
    unit: Literal["epoch", "group", "model"] = "epoch"
    """What `epoch` and `epochs` count: epochs, or the groups that have ended, or the models of a
    comparison."""
    loss: Number | None
    best_loss: Number | None
    epochs_per_s: Number | None
    eta_s: Number | None


class JobUrls(Answer):
    """Links of the job."""

    self: str
    history: str
    events: str
    cancel: str


class Job(Answer):
    """The record of one fit or comparison."""

    job_id: str
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queue_position: int | None
    """Number of jobs that start before this one; null once it has started."""
    starts_in_s: Number | None
    """Estimated from the durations of recent jobs; null once it has started."""
    progress: Progress
    model: str
    tags: dict[str, str]
    result: Fit | Comparison | None
    error: Problem | None
    urls: JobUrls


class JobList(Answer):
    """A page of jobs, newest first."""

    jobs: list[Job]
    has_more: bool
    next_after: str | None
    """The `after` parameter of the next page."""


class ProgressEvent(Answer):
    """The changes of a job since the previous event."""

    event: Literal["progress"] = "progress"
    job_id: str
    status: Status
    queue_position: int | None
    """Number of jobs that start before this one; null once it has started."""
    starts_in_s: Number | None
    """Estimated from the durations of recent jobs; null once it has started."""
    progress: Progress
    history: History
    """The rows recorded since the previous event; there may be none."""
    last_epoch: int | None
    """The last epoch sent: the event's `id`, and the `after_epoch` to continue from."""


class DoneEvent(Answer):
    """The job has finished. This is the last event."""

    event: Literal["done"] = "done"
    job_id: str
    job: Job
    """The finished job. Its `result` is null: get the fit from `urls.self`."""
    last_epoch: int | None

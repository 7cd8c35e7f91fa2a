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
    """Done so far."""
    epochs: int
    """Requested."""
    unit: Literal["epoch", "group", "model"] = "epoch"
    """What `epoch` and `epochs` count: epochs, or the groups that have ended, or the models of a
    comparison."""
    loss: Number | None
    """The last recorded loss; of a finished fit that of its params."""
    best_loss: Number | None
    """The lowest so far."""
    epochs_per_s: Number | None
    """The speed."""
    eta_s: Number | None
    """Seconds left, estimated."""


class JobUrls(Answer):
    """Links of the job."""

    self: str
    """The path of the job."""
    history: str
    """The path of its recorded epochs."""
    events: str
    """The path of its events while it runs."""
    cancel: str
    """The path that cancels it, by POST."""


class Job(Answer):
    """The record of one fit or comparison."""

    job_id: str
    """Its id."""
    status: Status
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When work began; null before."""
    finished_at: datetime | None
    """When it ended; null before."""
    queue_position: int | None
    """Number of jobs that start before this one; null once it has started."""
    starts_in_s: Number | None
    """Estimated from the durations of recent jobs; null once it has started."""
    progress: Progress
    model: str
    """The formula, or the labels of the models compared."""
    tags: dict[str, str]
    """The request's."""
    result: JobResult | None
    """The answer of a finished job; null in lists."""
    error: Problem | None
    """Why it failed."""
    urls: JobUrls


class JobList(Answer):
    """A page of jobs, newest first."""

    jobs: list[Job]
    """Newest first."""
    has_more: bool
    """Whether there are older ones."""
    next_after: str | None
    """The `after` parameter of the next page."""


class ProgressEvent(Answer):
    """The changes of a job since the previous event."""

    event: Literal["progress"] = "progress"
    """Always `progress`."""
    job_id: str
    """The job's id."""
    status: Status
    """The job's status."""
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
    """Always `done`."""
    job_id: str
    """The job's id."""
    job: Job
    """The finished job. Its `result` is null: get the fit from `urls.self`."""
    last_epoch: int | None
    """The last epoch that was recorded; null without a history."""

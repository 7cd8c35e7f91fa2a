"""Jobs on the wire."""

from __future__ import annotations

from datetime import datetime

from service.schemas.answers import Fit
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

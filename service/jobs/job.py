"""A job: the record of one fit, and the states it may go through."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from service.schemas.fit import FitRequest
from service.schemas.names import Status, StopReason

if TYPE_CHECKING:
    from service.fitting import Curve, Plan

TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        "queued": frozenset({"running", "cancelled", "failed"}),
        "running": frozenset({"succeeded", "failed", "cancelled", "queued"}),
        "succeeded": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }
)
"""From each status, those that may follow; a job that lost its worker goes back to `queued`."""

Stored = bytes | memoryview
"""Bytes that are kept as they came: those of a long document as the buffer they arrived in."""

RECORD_BYTES = 4096
"""What a job costs besides its data, history and result; measured, and rounded up."""


class IllegalTransition(RuntimeError):
    """A status that cannot follow the present one: a bug, never the caller's doing."""

    def __init__(self, job_id: str, before: Status, after: Status) -> None:
        super().__init__(f"{job_id} cannot go from {before} to {after}")


class Progress(NamedTuple):
    """How far a job is; what is not known yet is None."""

    epoch: int = 0
    epochs: int = 0
    """Asked for."""
    loss: float | None = None
    best_loss: float | None = None
    epochs_per_s: float | None = None
    eta_s: float | None = None


class Failure(NamedTuple):
    """Why a job failed: a stable type of `service.errors`, and a sentence for the caller."""

    type: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One fit. A record is never changed: `evolve` makes the next one."""

    id: str
    owner: str
    """Who may see it."""
    lane: str
    """Whose turn it takes in the queue: the owner, or an address."""
    request: FitRequest
    model: str
    """The model for display: its formula."""
    tags: Mapping[str, str]
    created_at: datetime
    params: tuple[str, ...]
    """Names of the history's columns."""
    nbytes: int
    """Bytes held by the request and the result; the store adds the history's."""
    status: Status = "queued"
    started_at: datetime | None = None
    """Of the first attempt."""
    finished_at: datetime | None = None
    progress: Progress = Progress()
    stop_reason: StopReason | None = None
    result: Stored | None = None
    """The finished `service.schemas.answers.Fit` as JSON."""
    curve: Curve | None = None
    """What predictions take of it."""
    failure: Failure | None = None
    attempts: int = 0
    version: int = 0
    """Grows with every change of the job or of its history."""

    @property
    def finished(self) -> bool:
        return not TRANSITIONS[self.status]

    def evolve(self, **changes: Any) -> Job:
        """The next record; IllegalTransition where its status cannot follow this one, and for any
        change of a finished job."""
        after = changes.get("status", self.status)
        if self.finished or ("status" in changes and after not in TRANSITIONS[self.status]):
            raise IllegalTransition(self.id, self.status, after)
        return replace(self, version=self.version + 1, **changes)


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a job once its request has been checked."""

    model: str
    """The formula."""
    params: tuple[str, ...]
    epochs: int
    plan: Plan | None = None
    """What the check made of it, so that whoever does the job at once need not make it again."""


def new_job(request: FitRequest, outline: Outline, *, owner: str, lane: str, now: datetime) -> Job:
    """A queued job with an id that cannot be guessed (128 bits)."""
    return Job(
        id=f"job_{secrets.token_urlsafe(16)}",
        owner=owner,
        lane=lane,
        request=request,
        model=outline.model,
        params=outline.params,
        tags=MappingProxyType(dict(request.tags)),
        created_at=now,
        nbytes=RECORD_BYTES + request_nbytes(request),
        progress=Progress(epochs=outline.epochs),
    )


def request_nbytes(request: FitRequest) -> int:
    """Bytes of the columns that a request holds."""
    sigma = request.sigma
    return sum(column.nbytes for column in request.data.values()) + (
        32 * len(sigma) if isinstance(sigma, list) else 0
    )

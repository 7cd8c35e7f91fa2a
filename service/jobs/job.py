"""The record of a job, which is one fit or comparison, and the transitions of its status."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from service.schemas.names import Status, StopReason
from service.schemas.requests import JobRequest

if TYPE_CHECKING:
    from service.fitting import Curve
    from service.jobs.executor import RunInline

TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        "queued": frozenset({"running", "cancelled", "failed"}),
        "running": frozenset({"succeeded", "failed", "cancelled", "queued"}),
        "succeeded": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }
)
"""The allowed transitions; a job whose worker died returns to `queued`."""

Kind = Literal["fit", "groups", "global", "comparison"]
"""One fit, one for each group, one of groups that share params, or a comparison of models."""

Stored = bytes | memoryview
"""Stored bytes; a long document stays in the buffer it was received in."""

RECORD_BYTES = 4096
"""Bytes of a job without its data, history and result; measured, and rounded up."""


class IllegalTransition(RuntimeError):
    """A transition that is not allowed: a bug, never the caller's error."""

    def __init__(self, job_id: str, before: Status, after: Status) -> None:
        super().__init__(f"{job_id} cannot go from {before} to {after}")


class StaleAttempt(RuntimeError):
    """A change by an attempt at a job that another process has taken over."""


class Progress(NamedTuple):
    """A job's progress; None for what is not known yet."""

    epoch: int = 0
    epochs: int = 0
    """The epochs requested."""
    loss: float | None = None
    best_loss: float | None = None
    epochs_per_s: float | None = None
    eta_s: float | None = None


class Failure(NamedTuple):
    """Why a job failed: a stable type of `service.errors`, and a message for the caller."""

    type: str
    detail: str


class UnreadableRequest(RuntimeError):
    """A stored request that this version of the service cannot read; the message is for its
    caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The immutable record of one fit or comparison; `evolve` returns a changed copy."""

    id: str
    owner: str
    """The name of the API key that may see it; "" without keys."""
    queue_key: str
    """The caller whose turn it takes in the fair queue: the owner, or an address."""
    request: JobRequest | None
    """Where it is at hand: see `JobStore.request`."""
    kind: Kind
    model: str
    """The model for display: its formula; those of a comparison by their labels."""
    tags: Mapping[str, str]
    created_at: datetime
    params: tuple[str, ...]
    """Names of the history's columns."""
    nbytes: int
    """Bytes held by the request and the result; the store adds the history's."""
    status: Status = "queued"
    started_at: datetime | None = None
    """The start of the first attempt."""
    finished_at: datetime | None = None
    progress: Progress = Progress()
    stop_reason: StopReason | None = None
    answered: bool = False
    """Whether it has a result."""
    result: Stored | None = None
    """The finished `service.schemas.jobs.JobResult` as JSON, where it is at hand: see
    `JobStore.answer`."""
    curve: Curve | None = None
    """What predictions need of the fit, or of the first model of a comparison, where it is at
    hand."""
    failure: Failure | None = None
    attempts: int = 0
    cancelling: bool = False
    """Whether a running job is to end with its best so far."""
    version: int = 0
    """Increases with every change of the job or of its history."""

    @property
    def finished(self) -> bool:
        return not TRANSITIONS[self.status]

    def evolve(self, **changes: Any) -> Job:
        """A changed copy. Raises IllegalTransition for a transition that is not allowed, and for
        any change of a finished job."""
        after = changes.get("status", self.status)
        if self.finished or ("status" in changes and after not in TRANSITIONS[self.status]):
            raise IllegalTransition(self.id, self.status, after)
        return replace(self, version=self.version + 1, **changes)


@dataclass(frozen=True, slots=True)
class Outline:
    """What the check of a request finds out about its job."""

    model: str
    """The formula."""
    params: tuple[str, ...]
    epochs: int
    """The epochs requested, or the number of groups or models."""
    kind: Kind = "fit"
    inline: RunInline | None = None
    """Runs the job in this process, where it is cheap."""


def new_job(
    request: JobRequest, outline: Outline, *, owner: str, queue_key: str, now: datetime
) -> Job:
    """A queued job with an unguessable id (128 random bits)."""
    return Job(
        id=f"job_{secrets.token_urlsafe(16)}",
        owner=owner,
        queue_key=queue_key,
        request=request,
        kind=outline.kind,
        model=outline.model,
        params=outline.params,
        tags=MappingProxyType(dict(request.tags)),
        created_at=now,
        nbytes=RECORD_BYTES + request_nbytes(request),
        progress=Progress(epochs=outline.epochs),
    )


def request_nbytes(request: JobRequest) -> int:
    """Bytes of a request's columns."""
    lists = (given for given in (request.sigma, request.weights) if isinstance(given, list))
    return sum(column.nbytes for column in request.data.values()) + 32 * sum(map(len, lists))

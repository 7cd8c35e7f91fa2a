"""A job service that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from service.errors import NotReady
from service.jobs.executor import Place
from service.jobs.job import Failure, Job, Outline, new_job
from service.jobs.store import Answer
from service.schemas.fit import FitRequest
from service.schemas.names import Status
from service.schemas.requests import JobRequest

DATA = {"x": [1.0, 2.0, 3.0], "y": [2.1, 3.9, 6.2]}
BODY = {"data": DATA}


def job(status: Status = "succeeded", **members: Any) -> Job:
    """A job as the service would have it."""
    made = new_job(
        FitRequest.model_validate(BODY),
        Outline("y = w * x + b", ("w", "b"), 1),
        owner="",
        queue_key="",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    answered = members.get("result") is not None
    return replace(made, id="job_1", status=status, answered=answered, **members)


def failed(kind: str, detail: str = "it broke") -> Job:
    return job("failed", failure=Failure(kind, detail))


class FakeJobs:
    """Submits `submitted`, waits for `ended`; or raises `error`. Remembers what it was asked."""

    ready = True

    def __init__(
        self,
        submitted: Job | None = None,
        ended: Job | None = None,
        *,
        replayed: bool = False,
        error: Exception | None = None,
    ) -> None:
        self.submitted = submitted or job("queued")
        self.ended = ended or self.submitted
        self.replayed = replayed
        self.error = error
        self.asked: dict[str, Any] = {}
        self.waited: list[float] = []

    async def check(self) -> None:
        if not self.ready:
            raise NotReady

    async def submit(self, request: JobRequest, **asked: Any) -> tuple[Job, bool]:
        if self.error:
            raise self.error
        self.asked = asked
        return self.submitted, self.replayed

    async def wait(self, job_id: str, timeout: float) -> Job:
        self.waited.append(timeout)
        return self.ended

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        if self.error:
            raise self.error
        return self.submitted

    async def list(self, *asked: Any) -> tuple[Sequence[Job], bool]:
        self.asked = {"list": asked}
        return [self.submitted], False

    async def place(self, job: Job) -> Place | None:
        return Place(3, 1.5) if job.status == "queued" else None

    async def places(self, jobs: Sequence[Job]) -> Sequence[Place | None]:
        return [await self.place(job) for job in jobs]

    async def request(self, job: Job) -> JobRequest:
        assert job.request is not None
        return job.request

    async def answer(self, job: Job) -> Answer | None:
        return None if job.result is None else Answer(job.result, job.curve)

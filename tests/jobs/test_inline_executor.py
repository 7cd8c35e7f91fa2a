"""A cheap job done in the API's process: the same life, the same answer, the same failures."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import NotReady
from service.fitting import use_threads
from service.jobs import scheduling
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.history import Rows
from service.jobs.job import Job
from service.jobs.local_executor import LocalExecutor
from service.jobs.memory_store import MemoryStore
from service.jobs.run_job import FitBackend
from service.jobs.service import JobService, outline
from service.jobs.store import IdempotencyKey
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.test_scheduling import AWAY, HERE, plan
from tests.soon import PATIENCE_S


class NotingStore(MemoryStore):
    """Notes each status that a job comes to."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lives: dict[str, list[str]] = {}

    async def create(self, job: Job, key: IdempotencyKey | None = None) -> tuple[Job, bool]:
        created = await super().create(job, key)
        self.lives[job.id] = [job.status]
        return created

    async def record(
        self, job: Job, rows: Rows, fitted_s: float, key: IdempotencyKey | None = None
    ) -> tuple[Job, bool]:
        recorded = await super().record(job, rows, fitted_s, key)
        self.lives[job.id] = [job.status]
        return recorded

    def _change(self, job_id: str, **changes: Any) -> Job:
        job = super()._change(job_id, **changes)
        self.lives[job_id].append(job.status)
        return job


class LocalJobs:
    """A job service whose cheap jobs are done with `backend`, the others by workers."""

    def __init__(self, backend: FitBackend | None, entry: str, **limits: Any) -> None:
        settings = Settings(workers=1, shutdown_grace_s=0.05, cancel_grace_s=0.3, **limits)
        self.store = NotingStore(settings)
        self.executor = LocalExecutor(settings, self.store, entry=entry)
        check = partial(outline, backend=backend)
        self.jobs = JobService(settings, self.store, self.executor, check=check)

    async def ended(self, request: FitRequest) -> Job:
        job, _ = await self.jobs.submit(request)
        return await self.jobs.wait(job.id, PATIENCE_S)


@asynccontextmanager
async def local(
    backend: FitBackend | None = FIT_BACKEND, entry: str = "service.jobs.worker:main", **limits: Any
) -> AsyncIterator[LocalJobs]:
    use_threads(1)
    made = LocalJobs(backend, entry, **limits)
    await made.jobs.start()
    try:
        yield made
    finally:
        await made.jobs.stop()


def request(name: str) -> FitRequest:
    asked: FitRequest = plan(**HERE[name]).request
    return asked


DIVERGING: dict[str, Any] = {"optimizer": {"name": "sgd", "learning_rate": 50.0}, "epochs": 2000}
WEIGHED: dict[str, Any] = {
    "model": "y = w*x + b",
    "params": {"b": {"value": 1.0, "fixed": True}},
    "sigma": 0.2,
}
SCALED = {**HERE["5,000 epochs at once"], "scaling": "standardize"}


BENT = {"a curve whose start is searched for", "a curve that mostly needs few steps"}
"""Decays fitted to a line, whose intervals are by profile: those a worker walks."""


async def test_here_or_there_the_answer_is_the_same_bit_for_bit() -> None:
    bodies = {**HERE, "diverging": DIVERGING, "weighed": WEIGHED, "scaled": SCALED}
    requests = {name: plan(**body).request for name, body in bodies.items()}
    async with local() as near, local(backend=None) as far:
        for name, asked in requests.items():
            here, there = await near.ended(asked), await far.ended(asked)
            inline = near.store.lives[here.id] == [here.status]
            assert inline != (name in BENT) or name not in HERE
            assert fakes.without_urls(here.result) == fakes.without_urls(there.result)
            assert (here.attempts, there.attempts) == (1, 1)
            same = ("status", "model", "params", "stop_reason", "failure")
            assert [getattr(here, n) for n in same] == [getattr(there, n) for n in same]
            for mine, theirs in zip(
                (await near.store.history(here.id)).columns,
                (await far.store.history(there.id)).columns,
                strict=True,
            ):
                np.testing.assert_array_equal(mine, theirs)


async def test_it_lives_as_any_other_does() -> None:
    async with local() as near:
        job = await near.ended(request("5,000 epochs at once"))
        assert near.store.lives[job.id] == ["succeeded"], "it is stored with its end"
        assert job.progress.epoch == job.progress.epochs == 5000
        assert job.started_at is not None
        assert job.finished_at is not None
        assert job.created_at <= job.started_at <= job.finished_at
        updates = [update async for update in near.jobs.watch(job.id)]
        assert len(updates[-1].rows) == 101
        assert (await near.jobs.cancel(job.id)).status == "succeeded"
        await near.jobs.delete(job.id)


async def test_it_waits_for_no_worker_and_takes_none() -> None:
    """The one worker is busy and the queue is full, and the cheap job ends at once."""
    async with local(entry=fakes.ENTRY, max_queued_jobs=1) as near:
        long = fakes.request(10**8, record_every=10**8, epoch_s=0.001)
        for _ in range(2):
            await near.executor.submit(await _job(long))
        job, _ = await near.jobs.submit(request("a line"))
        assert (await near.store.get(job.id)).status == "succeeded"
        assert await near.jobs.place(job) is None


async def _job(asked: FitRequest) -> Job:
    from service.jobs.job import Outline, new_job
    from tests.jobs.conftest import SetClock

    return new_job(asked, Outline("y", ("a", "b"), 1), owner="", queue_key="", now=SetClock().now())


async def test_the_rest_goes_to_a_worker() -> None:
    seen: list[Any] = []

    def start(made: Any, saved: Any) -> Any:
        seen.append(made)
        return FIT_BACKEND.start(made, saved)

    backend = replace(FIT_BACKEND, start=start)
    async with local(backend) as near:
        away = await near.ended(plan(**AWAY["nobody knows how many evaluations"]).request)
        assert (away.status, seen) == ("succeeded", [])
        assert (await near.ended(request("a line"))).status == "succeeded"
        assert len(seen) == 1


@pytest.mark.parametrize(
    "error", [ValueError("the password is swordfish"), OSError("/secret"), MemoryError()]
)
async def test_a_failure_within_is_a_failed_job_and_tells_nothing(error: Exception) -> None:
    def fail(*_: Any) -> Any:
        raise error

    async with local(replace(FIT_BACKEND, start=fail)) as near:
        job = await near.ended(request("a line"))
        assert job.status == "failed"
        assert job.failure is not None
        assert job.failure.type == "job-failed"
        assert "swordfish" not in job.failure.detail
        assert "secret" not in job.failure.detail
        assert (await near.ended(plan(**AWAY["many mini-batches"]).request)).status == "succeeded"


async def test_the_time_limit_holds_here_too() -> None:
    async with local() as near:
        body = {**HERE["a short descent"], "time_limit_s": 1e-9}
        job = await near.ended(plan(**body).request)
        assert (job.status, job.stop_reason) == ("succeeded", "time_limit")


async def test_the_same_key_is_the_same_job() -> None:
    async with local() as near:
        asked = request("a line")
        one, _ = await near.jobs.submit(asked, idempotency_key="k", fingerprint=b"1")
        other, replayed = await near.jobs.submit(asked, idempotency_key="k", fingerprint=b"1")
        assert (one.id, replayed, other.status) == (other.id, True, "succeeded")


async def test_nothing_is_done_after_the_end() -> None:
    async with local() as near:
        pass
    with pytest.raises(NotReady):
        await near.jobs.submit(request("a line"))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done here is not handed over because the machine is slow."""
    monkeypatch.setattr(scheduling, "HANDOVER_S", math.inf)


async def test_intervals_that_take_long_are_left_to_a_worker() -> None:
    """Profiles cost dozens of fits, which nobody else is to wait for."""
    case = Path(__file__).parents[1] / "data" / "cases" / "profile_isomerization.json"
    body = {**json.loads(case.read_text())["request"], "confidence_interval": {"level": 0.9}}
    async with local() as near:
        job = await near.ended(FitRequest.model_validate(body))
        assert near.store.lives[job.id][:2] == ["queued", "running"]
        assert (job.status, job.attempts) == ("succeeded", 1)
        said = {each["code"] for each in json.loads(bytes(job.result or b""))["diagnostics"]}
        assert "nonlinear_interval" in said


async def test_a_job_that_takes_long_is_left_to_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its start: the answer is that of one that was never handed over."""
    asked = request("a curve whose start is searched for")
    async with local() as near:
        alone = await near.ended(asked)
        monkeypatch.setattr(scheduling, "HANDOVER_S", 0.0)
        job = await near.ended(asked)
        assert near.store.lives[job.id][:2] == ["queued", "running"]
        assert (job.status, job.attempts) == ("succeeded", 1)
        assert fakes.without_urls(job.result) == fakes.without_urls(alone.result)
        one, other = [await near.store.history(each.id) for each in (alone, job)]
        assert one.epoch.tolist() == other.epoch.tolist()
        assert one.params.tolist() == other.params.tolist()

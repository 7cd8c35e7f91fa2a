from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.api.routes.fits import fingerprint
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.api.fakes import BODY, FakeJobs, failed, job
from tests.api.in_process import fake

RESULT = b'{"job_id": "job_1",  "as": "the worker wrote it"}'


async def _fit(jobs: FakeJobs, body: Any = BODY, **headers: str) -> httpx.Response:
    async with fake(jobs, Settings(max_wait_s=30)) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post("/fit", json=body, headers=named)


async def test_a_fit_is_the_workers_bytes() -> None:
    jobs = FakeJobs(ended=job(result=RESULT))
    answer = await _fit(jobs)
    assert answer.status_code == 200
    assert answer.content == RESULT + b"\n"
    assert answer.headers["content-type"] == "application/json"
    assert jobs.waited == [30.0]


@pytest.mark.parametrize(
    ("body", "headers", "waited", "applied"),
    [
        ({**BODY, "background": True}, {}, [], None),
        (BODY, {"prefer": "respond-async"}, [], "respond-async"),
        (BODY, {"prefer": "wait=2"}, [2.0], "wait=2"),
        (BODY, {"prefer": "wait=2, respond-async"}, [2.0], "respond-async, wait=2"),
        (BODY, {"prefer": "wait=0"}, [], "wait=0"),
        (BODY, {"prefer": "wait=1000"}, [30.0], "wait=1000"),
        (BODY, {}, [30.0], None),
    ],
)
async def test_who_does_not_wait_long_enough_gets_the_job(
    body: Any, headers: dict[str, str], waited: list[float], applied: str | None
) -> None:
    jobs = FakeJobs(ended=job("queued"))
    answer = await _fit(jobs, body, **headers)
    assert answer.status_code == 202
    assert answer.headers["location"] == "/jobs/job_1"
    assert answer.headers.get("preference-applied") == applied
    assert jobs.waited == waited
    shown = answer.json()
    assert shown["job_id"] == "job_1"
    assert shown["status"] == "queued"
    assert shown["queue_position"] == 3
    assert shown["urls"]["self"] == "/jobs/job_1"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("job-failed", 500), ("worker-lost", 503), ("invalid-data", 422), ("new-kind", 500)],
)
async def test_a_failed_fit_is_a_problem_that_names_the_job(kind: str, status: int) -> None:
    answer = await _fit(FakeJobs(ended=failed(kind, "it broke")))
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == kind
    assert answer.json()["detail"] == "it broke"
    assert answer.json()["job_id"] == "job_1"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_cancelled_fit_is_the_best_so_far_if_there_is_one() -> None:
    answer = await _fit(FakeJobs(ended=job("cancelled", result=RESULT)))
    assert (answer.status_code, answer.content) == (200, RESULT + b"\n")
    without = await _fit(FakeJobs(ended=job("cancelled")))
    assert without.status_code == 409
    assert without.json()["type"] == "job-cancelled"
    assert without.json()["job_id"] == "job_1"


async def test_an_idempotency_key_travels_with_what_the_body_means() -> None:
    jobs = FakeJobs(ended=job(result=RESULT))
    answer = await _fit(jobs, idempotency_key="key-1")
    assert "idempotent-replayed" not in answer.headers
    assert jobs.asked["idempotency_key"] == "key-1"
    assert jobs.asked["fingerprint"] == fingerprint(FitRequest.model_validate(BODY))


async def test_a_replay_joins_the_job_and_says_so() -> None:
    jobs = FakeJobs(job("running"), job(result=RESULT), replayed=True)
    answer = await _fit(jobs, idempotency_key="key-1")
    assert answer.status_code == 200
    assert answer.headers["idempotent-replayed"] == "true"
    assert jobs.waited == [30.0]


async def test_without_a_key_there_is_nothing_to_tell_apart() -> None:
    jobs = FakeJobs(ended=job(result=RESULT))
    await _fit(jobs)
    assert jobs.asked["idempotency_key"] is None
    assert jobs.asked["fingerprint"] is None


@pytest.mark.parametrize("key", ["", "a b", "k" * 256])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    answer = await _fit(FakeJobs(), idempotency_key=key)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_the_queue_knows_a_caller_by_its_address_and_believes_no_header() -> None:
    jobs = FakeJobs(ended=job(result=RESULT))
    await _fit(jobs, x_forwarded_for="203.0.113.9", forwarded="for=203.0.113.9")
    assert jobs.asked["client"] == "127.0.0.1"

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from service import errors
from service.api.http_errors import PROBLEMS
from service.errors import DescentError, FieldError, InvalidData, InvalidRequest
from tests.api.fakes import BODY, FakeJobs, failed, job
from tests.api.in_process import fake


def _subclasses(cls: type[DescentError]) -> set[type[DescentError]]:
    return {cls}.union(*map(_subclasses, cls.__subclasses__()))


def test_every_error_has_a_type_that_is_in_the_table() -> None:
    known = {e for e in _subclasses(DescentError) if e.__module__.startswith("service.")}
    typed = {error for error in known if "type" in vars(error)}
    assert set(PROBLEMS.values()) == typed - {DescentError}
    assert len({error.type for error in typed}) == len(typed)
    assert all(issubclass(error, PROBLEMS[error.type]) for error in known - typed)


async def _fit_with(error: Exception) -> Any:
    async with fake(FakeJobs(error=error)) as client:
        return await client.post("/fit", json=BODY)


async def test_a_validation_error_keeps_its_pointer() -> None:
    answer = await _fit_with(InvalidData("row 3 is empty", pointer="/data/x/2"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "invalid-data",
        "title": "The data cannot be used",
        "status": 422,
        "detail": "row 3 is empty",
        "errors": [{"pointer": "/data/x/2", "detail": "row 3 is empty"}],
        "request_id": answer.headers["x-request-id"],
    }


async def test_validation_errors_are_counted() -> None:
    answer = await _fit_with(InvalidRequest.of(FieldError(f"/{i}", "no") for i in range(50)))
    assert len(answer.json()["errors"]) == 20
    assert answer.json()["detail"] == "no (and 49 more, see errors)"


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (errors.QueueFull(retry_after_s=7), 429, "7"),
        (errors.NotReady(), 503, "1"),
        (errors.IdempotencyConflict(), 422, None),
        (errors.JobStillRunning(), 409, None),
    ],
)
async def test_statuses(error: DescentError, status: int, retry_after: str | None) -> None:
    answer = await _fit_with(error)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["type"] == error.type
    assert answer.headers.get("retry-after") == retry_after


async def test_the_unforeseen_leaks_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await _fit_with(ZeroDivisionError("secret path /etc"))
    assert answer.status_code == 500
    assert answer.json()["type"] == "internal-error"
    assert "secret" not in answer.text
    assert "Zero" not in answer.text
    identity = answer.headers["x-request-id"]
    assert answer.json()["request_id"] == identity
    (record,) = caplog.records
    assert identity in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_unknown_routes_name_the_nearest() -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.post("/fitt", json=BODY)
        slashed = await client.post("/fit/", json=BODY)
    assert answer.status_code == slashed.status_code == 404
    assert answer.json()["type"] == "unknown-route"
    assert "did you mean '/fit'?" in answer.json()["detail"]
    assert "did you mean '/fit'?" in slashed.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/fit", "POST"), ("PUT", "/jobs/job_1", "DELETE, GET"), ("POST", "/jobs", "GET")],
)
async def test_methods_that_are_not_taken_name_those_that_are(
    method: str, path: str, allow: str
) -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow
    assert answer.headers["content-type"] == "application/problem+json"
    assert allow in answer.json()["detail"]


async def test_a_given_request_id_is_kept_if_sane() -> None:
    async with fake(FakeJobs()) as client:
        kept = await client.get("/livez", headers={"x-request-id": "trace-1/2:a=b"})
        for bad in ("", "a b", "x" * 129, 'q"'):
            made = await client.get("/nowhere", headers={"x-request-id": bad})
            assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])
            assert made.json()["request_id"] == made.headers["x-request-id"]
    assert kept.headers["x-request-id"] == "trace-1/2:a=b"


async def test_a_failed_job_tells_its_error_as_a_problem() -> None:
    async with fake(FakeJobs(failed("worker-lost"))) as client:
        error = (await client.get("/jobs/job_1")).json()["error"]
    assert error["type"] == "worker-lost"
    assert error["status"] == 503
    assert error["job_id"] == "job_1"


async def test_readyz_follows_the_service() -> None:
    jobs = FakeJobs(job())
    async with fake(jobs) as client:
        assert (await client.get("/readyz")).json() == {"status": "ok"}
        jobs.ready = False
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["type"] == "not-ready"
        assert (await client.get("/livez")).json() == {"status": "ok"}

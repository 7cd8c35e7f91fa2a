from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import cast

import httpx
import pytest

from service.api import answers
from service.api.concurrency import ConcurrencyLimit
from service.api.http_errors import TooManyBytes
from service.api.state import new_state
from service.app import create_app
from service.jobs.service import JobService
from service.settings import Settings
from tests.api.fakes import BODY, FakeJobs, job
from tests.api.in_process import door, fake

JSON = {"content-type": "application/json"}
LIMIT = 1000


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    jobs = FakeJobs(job("succeeded", result=b"{}"))
    async with fake(jobs, Settings(max_body_bytes=LIMIT)) as client:
        yield client


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8",
        "application/vnd.descent+json",
        "application/problem+json ; x=y",
    ],
)
async def test_json_by_any_of_its_names(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post(
        "/fit", content=json.dumps(BODY), headers={"content-type": media_type}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "text/plain"},
        {"content-type": "application/jsonl"},
        {"content-type": "x" * 500},
        {},
    ],
)
async def test_another_type_is_told_of_curl_json(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/fit", content=json.dumps(BODY), headers=headers)
    assert answer.status_code == 415
    assert "-H 'Content-Type: application/json' -d" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 600


async def test_another_packing_than_gzip_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit", content=b"x", headers={**JSON, "content-encoding": "br"})
    assert answer.status_code == 415
    assert "Content-Encoding must be gzip or absent, not 'br'" in answer.json()["detail"]


async def test_gzip_is_read(client: httpx.AsyncClient) -> None:
    packed = gzip.compress(json.dumps(BODY).encode())
    for encoding in ("gzip", "GZIP", "x-gzip"):
        answer = await client.post(
            "/fit", content=packed, headers={**JSON, "content-encoding": encoding}
        )
        assert answer.status_code == 200, answer.text
    answer = await client.post("/fit", content=b"{}", headers={**JSON, "content-encoding": "gzip"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "malformed-body"


async def test_gzip_is_bounded_by_what_it_holds(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_DRAIN_S", 0.0)  # here no server says that the caller has gone
    packed = gzip.compress(json.dumps(BODY).ljust(LIMIT + 1).encode())
    assert len(packed) < LIMIT
    headers = {**JSON, "content-encoding": "gzip"}
    _check_too_large(await client.post("/fit", content=packed, headers=headers))


async def test_a_large_body_within_gzip_holds_its_place() -> None:
    settings = Settings(max_body_bytes=2**21)
    packed = gzip.compress(json.dumps(BODY).ljust(2**20 + 1).encode())
    state = new_state(settings, cast(JobService, FakeJobs(job("succeeded", result=b"{}"))))
    headers = {**JSON, "content-encoding": "gzip"}
    async with door(create_app(settings), state) as client:
        assert (await client.post("/fit", content=packed, headers=headers)).status_code == 200
        state["bodies"] = ConcurrencyLimit(2**20, 2**20, TooManyBytes, retry_after_s=1)
    async with door(create_app(settings), state) as client:
        assert (await client.post("/fit", content=packed, headers=headers)).status_code == 429


async def test_options_beside_a_json_body_are_not_passed_over(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit?epochs=5", json=BODY)
    assert answer.status_code == 422
    assert "query parameter 'epochs'" in answer.json()["detail"]
    other = await client.post("/fit?formt=csv", json=BODY)
    assert other.status_code == 422
    assert "did you mean 'format'?" in other.json()["detail"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b'{"data": {"x": [1,\n 2,, 3]}}', "line 2 column 4"),
        (b"{'data': 1}", "line 1 column 2"),
        (b"\xff\xfe", "not JSON"),
        (b'{"tags": {"a": "\\ud800"}}', "not JSON"),
        (b"[" * 900, "recursion limit"),
        (b'{"epochs": ' + b"1" * 900 + b"e}", "not JSON"),
    ],
)
async def test_no_json_is_400_with_its_place(
    client: httpx.AsyncClient, body: bytes, detail: str
) -> None:
    answer = await client.post("/fit", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["type"] == "malformed-json"
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"null", b"3", b"[]", b'"x"'])
async def test_json_that_is_no_object_is_422(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/fit", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == ""
    assert "the body must be an object" in answer.json()["detail"]


async def test_many_errors_are_counted_in_the_detail(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit", json={**BODY, "u1": 1, "u2": 1, "u3": 1})
    problem = answer.json()
    assert problem["detail"].endswith("(and 2 more, see errors)")
    assert [error["pointer"] for error in problem["errors"]] == ["/u1", "/u2", "/u3"]


async def test_errors_beyond_counting_are_not_listed() -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.post("/fit", json={**BODY, **{f"u{i}": 1 for i in range(10_001)}})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the body has 10001 errors")


async def test_a_body_at_the_limit_is_read(client: httpx.AsyncClient) -> None:
    body = json.dumps(BODY).ljust(LIMIT).encode()
    answer = await client.post("/fit", content=body, headers=JSON)
    assert answer.status_code == 200


async def test_a_body_said_to_be_too_large_is_refused_whatever_comes(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(
        "/fit", content=b"{}", headers={**JSON, "content-length": str(LIMIT + 1)}
    )
    _check_too_large(answer)


@pytest.mark.parametrize("pieces", [1, 50])
async def test_a_body_that_grows_too_large_is_stopped(
    client: httpx.AsyncClient, pieces: int
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b" " * (2 * LIMIT // pieces)

    _check_too_large(await client.post("/fit", content=stream(), headers=JSON))


def _check_too_large(answer: httpx.Response) -> None:
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "body-too-large"
    assert f"{LIMIT:,}" in answer.json()["detail"]

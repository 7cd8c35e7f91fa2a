from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from service.api.middleware.api_keys import RateLimiter, new_key
from service.app import create_app
from service.settings import Settings
from tests.api.fakes import BODY, FakeJobs
from tests.api.in_process import fake

KEY, LINE = new_key("alice")
OTHER, OTHER_LINE = new_key("bob")


@asynccontextmanager
async def keyed(
    jobs: FakeJobs | None = None, **settings: object
) -> AsyncIterator[httpx.AsyncClient]:
    made = Settings.model_validate({"keys": f"{LINE},{OTHER_LINE}", **settings})
    async with fake(jobs or FakeJobs(), made) as client:
        yield client


async def test_a_key_is_a_bearer_token_or_a_header_of_its_own() -> None:
    async with keyed() as client:
        for headers in (
            {"Authorization": f"Bearer {KEY}"},
            {"authorization": f"bearer  {KEY} "},
            {"X-API-Key": KEY},
        ):
            assert (await client.get("/jobs", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-API-Key": ""},
        {"Authorization": "Bearer x", "X-API-Key": KEY},
        {"Cookie": f"key={KEY}"},
    ],
)
async def test_without_one_it_is_401_and_says_how(headers: dict[str, str]) -> None:
    async with keyed() as client:
        answer = await client.get(f"/jobs?key={KEY}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "unauthorized"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_every_route_but_the_open_ones_asks() -> None:
    app = create_app(Settings())
    async with keyed() as client:
        for path, operations in app.openapi()["paths"].items():
            for method in operations:
                answer = await client.request(method, path.replace("{job_id}", "job_1"))
                asks = path not in {"/", "/livez", "/readyz"} and "/problems/" not in path
                assert (answer.status_code == 401) is asks, (method, path)
        assert (await client.get("/nowhere")).status_code == 401


async def test_paths_that_look_open_are_not() -> None:
    async with keyed() as client:
        for path in (
            "//livez",
            "/livez/",
            "/livez/../jobs",
            "/docs/../jobs",
            "/Livez",
            "/livez%2f",
        ):
            # Alone, `//livez` would be a host to httpx.
            answer = await client.get(str(client.base_url).rstrip("/") + path)
            assert answer.status_code in {401, 404}, path
            assert "jobs" not in answer.json()


async def test_the_owner_of_a_job_is_the_name_of_the_key() -> None:
    jobs = FakeJobs()
    async with keyed(jobs) as client:
        await client.post("/fit", json=BODY, headers={"Authorization": f"Bearer {OTHER}"})
    assert (jobs.asked["owner"], jobs.asked["client"]) == ("bob", "bob")


async def test_without_keys_nobody_is_asked() -> None:
    jobs = FakeJobs()
    async with fake(jobs) as client:
        await client.post("/fit", json=BODY)
    assert jobs.asked["owner"] == ""


async def test_requests_a_minute_are_counted_by_key() -> None:
    async with keyed(max_requests_per_minute=2) as client:
        alice, bob = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER))
        said = [(await client.get("/jobs", headers=alice)) for _ in range(3)]
        assert [one.status_code for one in said] == [200, 200, 429]
        assert said[2].json()["type"] == "quota-exceeded"
        assert 1 <= int(said[2].headers["retry-after"]) <= 30
        assert (await client.get("/jobs", headers=bob)).status_code == 200
        assert (await client.get("/livez")).status_code == 200


def test_a_rate_refills_steadily() -> None:
    now = 0.0
    rates = RateLimiter(60, lambda: now)
    assert [rates.wait("a") for _ in range(60)] == [0.0] * 60
    assert rates.wait("a") == pytest.approx(1.0)
    now = 1.0
    assert rates.wait("a") == 0.0
    assert rates.wait("a") == pytest.approx(1.0)
    now = 1000.0
    assert [rates.wait("a") for _ in range(61)][-1] > 0

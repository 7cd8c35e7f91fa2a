"""GET /certify: one at a time, and ended with its caller."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import cast

import httpx
import pytest
import pytest_asyncio
from starlette.types import Message

from service.api.state import new_state
from service.app import create_app
from service.certification import Case, cases
from service.jobs.service import JobService
from service.schemas.certification import CertifiedCase, CertifiedSource
from service.settings import Settings
from tests.api.fakes import FakeJobs
from tests.api.in_process import real

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with real(Settings(workers=1)) as client:
        yield client


class Held:
    """Cases that wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began: list[str] = []

    def certified(self, case: Case) -> CertifiedCase:
        self.began.append(case.name)
        self.go.wait()
        return CertifiedCase(
            name=case.name,
            title=case.title,
            source=CertifiedSource(citation="-", url=None),
            note=None,
            route=case.route,
            digits=1.0,
            certified=1,
            passed=True,
            reason=None,
            values=[],
        )


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    made = Held()
    monkeypatch.setattr("service.certification.certified", made.certified)
    return made


async def until_begun(held: Held) -> None:
    while not held.began:
        await asyncio.sleep(0.01)


async def test_one_runs_at_a_time_and_the_loop_is_free(
    client: httpx.AsyncClient, held: Held
) -> None:
    first = asyncio.create_task(client.get("/certify"))
    await until_begun(held)
    assert (await client.get("/livez")).status_code == 200
    second = await client.get("/certify")
    assert second.status_code == 429
    assert second.json()["type"] == "too-many-certifications"
    assert second.headers["retry-after"] == "5"
    held.go.set()
    answer = await first
    assert answer.status_code == 200
    assert answer.json()["summary"]["passed"] == len(cases())
    assert answer.json()["cases"][0]["values"] is None
    assert (await client.get("/certify")).status_code == 200


async def test_it_ends_with_its_caller(held: Held) -> None:
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    settings = Settings()
    app, state = create_app(settings), new_state(settings, cast(JobService, FakeJobs()))
    scope = {
        "type": "http", "method": "GET", "path": "/certify", "raw_path": b"/certify",
        "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http",
        "server": ("descent", 80), "client": ("here", 1), "state": dict(state),
    }  # fmt: skip
    call = asyncio.create_task(app(scope, receive, send))
    await until_begun(held)
    gone.set()
    await asyncio.sleep(0.05)
    held.go.set()
    await asyncio.gather(call, return_exceptions=True)
    assert len(held.began) == 1
    assert len(state["certifications"]) == 0


async def test_an_unknown_parameter_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/certify", params={"details": "true"})
    assert answer.status_code == 422
    assert "detail" in answer.text

"""GET /jobs/{job_id}/events, without a socket: what is sent, in which form, from where on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from service.api.concurrency import ConcurrencyLimit
from service.api.http_errors import TooManyStreams
from service.api.routes import events as route
from service.jobs.history import Rows
from service.jobs.service import Update
from service.schemas.jobs import DoneEvent, ProgressEvent
from service.settings import Settings
from tests.api.fakes import FakeJobs, job
from tests.api.in_process import fake

pytestmark = pytest.mark.asyncio(loop_scope="module")

THERMOMETER: dict[str, Any] = {
    "model": "t_c = w * t_u + b",
    "data": {"t_u": [35.7, 55.9, 58.2, 81.9, 56.3], "t_c": [0.5, 14.0, 15.0, 28.0, 11.0]},
    "params": {"w": 0.1, "b": 0.0},
    "scaling": {"t_u": {"scale": 0.1}},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "epochs": 1000,
    "record_every": 100,
}
EPOCHS = [1, *range(100, 1001, 100)]
LINES = {"accept": "application/jsonl"}


class Watched(FakeJobs):
    """A job service whose job changes as it is told to."""

    def __init__(self, *updates: Update) -> None:
        super().__init__(updates[-1].job)
        self.updates = updates

    async def watch(self, *_: Any, **asked: Any) -> AsyncIterator[Update]:
        self.asked = asked
        for update in self.updates:
            yield update


def rows(first: int, last: int, params: int = 2) -> Rows:
    epoch = np.arange(first, last + 1)
    table = np.ones((len(epoch), params)) * epoch[:, None]
    return Rows(epoch, 1.0 / epoch, table, -table)


def events(text: str) -> list[dict[str, str]]:
    """What a reader of server-sent events makes of a stream, its comments under ""."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(client: httpx.AsyncClient) -> str:
    """Where the events of a finished job are."""
    url: str = (await client.post("/fit", json=THERMOMETER)).json()["urls"]["events"]
    return url


async def test_a_stream_is_progress_then_done(client: httpx.AsyncClient, at: str) -> None:
    answer = await client.get(at)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    hello, progress, done = events(answer.text)
    assert hello == {"retry": str(route.RETRY_MS)}
    assert (progress["event"], progress["id"]) == ("progress", "1000")
    told = ProgressEvent.model_validate_json(progress["data"])
    assert told.history.epoch == EPOCHS
    assert set(told.history.params) == {"w", "b"}
    assert (done["event"], done["id"]) == ("done", "1000")
    end = DoneEvent.model_validate_json(done["data"])
    assert (end.job.status, end.job.result) == ("succeeded", None)
    assert (await client.get(end.job.urls.self)).json()["result"]["params"]


async def test_lines_are_the_same_events(client: httpx.AsyncClient, at: str) -> None:
    answer = await client.get(at, headers=LINES)
    assert answer.headers["content-type"] == "application/jsonl"
    as_events = [event["data"] for event in events((await client.get(at)).text)[1:]]
    assert answer.text.splitlines() == as_events
    assert [json.loads(line)["event"] for line in as_events] == ["progress", "done"]


@pytest.mark.parametrize("seen", [0, 1, 500, 999, 1000, 5000])
@pytest.mark.parametrize("by", ["header", "query", "both"])
async def test_a_stream_goes_on_after_the_last_event(
    client: httpx.AsyncClient, at: str, seen: int, by: str
) -> None:
    query = {"query": {"after_epoch": seen}, "both": {"after_epoch": 1}}.get(by)
    headers = {**LINES, **({} if by == "query" else {"last-event-id": str(seen)})}
    *progress, _ = (await client.get(at, params=query, headers=headers)).text.splitlines()
    sent = [epoch for line in progress for epoch in json.loads(line)["history"]["epoch"]]
    assert sent == [epoch for epoch in EPOCHS if epoch > seen]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", route.EVENTS),
        ("text/event-stream", route.EVENTS),
        ("application/jsonl", route.LINES),
        ("APPLICATION/JSONL; charset=utf-8", route.LINES),
        ("application/x-ndjson", route.LINES),
        ("text/event-stream, application/jsonl;q=0.5", route.EVENTS),
        ("text/event-stream;q=0.3, application/jsonl;q=0.5", route.LINES),
        ("application/jsonl;q=0, */*", route.EVENTS),
    ],
)
async def test_accept_chooses_the_form(
    client: httpx.AsyncClient, at: str, accept: str, kind: str
) -> None:
    answer = await client.get(at, headers={"accept": accept})
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("given", ["x", "1.5", "-3", "9" * 30])
async def test_an_id_that_is_no_epoch_is_refused(
    client: httpx.AsyncClient, at: str, given: str
) -> None:
    answer = await client.get(at, headers={"last-event-id": given})
    assert answer.status_code == 422
    assert "Last-Event-ID" in answer.json()["detail"]


async def test_an_unknown_job_is_a_problem_and_no_stream(client: httpx.AsyncClient) -> None:
    answer = await client.get("/jobs/job_nope/events")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_sign_of_life_is_a_comment_or_an_empty_progress() -> None:
    running = job("running")
    jobs = Watched(Update(running, rows(1, 0)), Update(running, rows(1, 0)))
    async with fake(jobs, Settings(keep_alive_s=7)) as client:
        first, second = events((await client.get("/jobs/job_1/events")).text)[1:]
        lines = (await client.get("/jobs/job_1/events", headers=LINES)).text.splitlines()
    assert first["event"] == "progress"
    assert second == {"": "still here"}
    assert jobs.asked["keep_alive_s"] == 7.0
    assert json.loads(lines[1])["history"]["epoch"] == []


async def test_a_long_history_is_many_events_without_gap_or_repeat() -> None:
    jobs = Watched(Update(job("running", params=("w", "b")), rows(1, 10_000)))
    async with fake(jobs) as client:
        sent = events((await client.get("/jobs/job_1/events")).text)[1:]
    assert len(sent) > 5
    histories = [json.loads(event["data"])["history"]["epoch"] for event in sent]
    assert [epoch for history in histories for epoch in history] == [*range(1, 10_001)]
    assert [int(event["id"]) for event in sent] == [history[-1] for history in histories]


async def test_a_queued_job_says_where_it_stands() -> None:
    async with fake(Watched(Update(job("queued"), rows(1, 0)))) as client:
        _, sent = events((await client.get("/jobs/job_1/events")).text)
    told = json.loads(sent["data"])
    assert (told["status"], told["queue_position"], told["starts_in_s"]) == ("queued", 3, 1.5)
    assert "id" not in sent


async def test_streams_are_counted_and_given_back() -> None:
    jobs = Watched(Update(job("succeeded"), rows(1, 3)))
    async with fake(jobs, Settings(max_streams=1)) as client:
        for _ in range(3):
            assert (await client.get("/jobs/job_1/events")).status_code == 200


async def test_places_are_bounded_in_all_and_by_caller() -> None:
    places = ConcurrencyLimit(3, 2, TooManyStreams, retry_after_s=5)
    with places.hold("ann"), places.hold("ann"):
        with pytest.raises(TooManyStreams, match="2 of the 2 streams"), places.hold("ann"):
            pass
        with places.hold("bob"):
            with pytest.raises(TooManyStreams, match="No room") as full, places.hold("cyd"):
                pass
            assert full.value.retry_after_s == 5
            assert len(places) == 3
    assert len(places) == 0

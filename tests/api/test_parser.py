"""Large bodies, parsed in a process apart: the same answers, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import httpx
import numpy as np
import pytest
import pytest_asyncio

from service.api.bodies import reading
from service.api.bodies.json import parse
from service.api.bodies.parser import Parser
from service.api.bodies.table import Bounds
from service.api.concurrency import ConcurrencyLimit
from service.api.http_errors import TooManyBytes
from service.api.state import new_state
from service.app import create_app
from service.errors import BudgetExceeded, DescentError, InvalidData, InvalidRequest, WorkerLost
from service.fitting.columns import numbers
from service.jobs.service import JobService
from service.schemas.compute import PredictRequest
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.api.fakes import FakeJobs, job
from tests.api.in_process import door, fake
from tests.soon import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = 80_000
BOUNDS = Bounds.of(Settings())


def body(**members: Any) -> bytes:
    """A body of more than a megabyte, which a null sends apart."""
    column = [None, *(np.arange(ROWS - 1) / 7).tolist()]
    return json.dumps({"data": {"x": column, "y": column}, **members}).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apart() -> AsyncIterator[Parser]:
    made = Parser(BOUNDS)
    yield made
    await made.close()


async def test_what_comes_back_is_what_was_sent(apart: Parser) -> None:
    sent = body(model="y = a * x", params={"a": {"value": 1.0, "min": 0.0}}, tags={"a": "b"})
    found, same = await apart.parse_in_process(sent, FitRequest), parse(sent, FitRequest)
    for name in same.data:
        assert np.array_equal(numbers(found.data, name), numbers(same.data, name), equal_nan=True)
    assert found.model_copy(update={"data": {}}) == same.model_copy(update={"data": {}})
    writeable = [numbers(each.data, "x").flags.writeable for each in (found, same)]
    assert writeable[0] == writeable[1]


@pytest.mark.parametrize("count", [1001, 200_000])
async def test_too_many_columns_are_not_carried_over(apart: Parser, count: int) -> None:
    """A few too many are counted once parsed, and very many before."""
    columns = ",".join(f'"k{n}": [1, null]' for n in range(count))
    with pytest.raises(InvalidData, match=f"^{count:,} columns are more than the 1,000 allowed"):
        await apart.parse_in_process(f'{{"data": {{{columns}}}}}'.encode(), PredictRequest)


async def test_it_parses_any_body(apart: Parser) -> None:
    sent = b'{"model": "a * x", "params": {"a": 1.0}, "data": {"x": [1.0]}}'
    assert (await apart.parse_in_process(bytearray(sent), PredictRequest)).model == "a * x"


@pytest.mark.parametrize(
    "slip",
    [
        b'{"data": {"x": [1, "two"]}}',
        b'{"data": {"x": [1]}, "u": 1, "epochs": -1}',
        b"[]",
        b'{"data": ' + b"{" * 300,
        b"",
        b'{"data": {"x": [1,,2]}}',
        b'{"data": {}, ' + b", ".join(b'"u%d": 1' % i for i in range(10_001)) + b"}",
    ],
)
async def test_what_is_wrong_is_told_in_the_same_words(apart: Parser, slip: bytes) -> None:
    with pytest.raises(DescentError) as here:
        parse(slip, FitRequest)
    with pytest.raises(type(here.value)) as there:
        await apart.parse_in_process(slip, FitRequest)
    assert _told(there.value) == _told(here.value)


def _told(error: DescentError) -> object:
    if isinstance(error, InvalidRequest):
        return str(error), error.errors
    return str(error), error.type


async def test_a_process_that_was_killed_is_replaced(apart: Parser) -> None:
    await apart.parse_in_process(b'{"data": {}}', FitRequest)
    victim = apart.pid
    os.kill(victim, signal.SIGKILL)
    assert len((await apart.parse_in_process(body(), FitRequest)).data["x"]) == ROWS
    assert apart.pid != victim


async def test_a_body_that_kills_every_process_is_given_up() -> None:
    mortal = Parser(BOUNDS, "tests.jobs.fakes:stillborn")
    with pytest.raises(WorkerLost):
        await mortal.parse_in_process(b"{}", FitRequest)
    await mortal.close()


async def test_who_leaves_stops_the_parse(apart: Parser) -> None:
    await apart.parse_in_process(b'{"data": {}}', FitRequest)
    handle = os.pidfd_open(apart.pid)
    try:
        parsing = asyncio.create_task(
            apart.parse_in_process(b"[" + b" " * 2**24 + b"]", FitRequest)
        )
        await asyncio.sleep(0)
        parsing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await parsing
        assert apart.pid == 0
        await _ended(handle)
    finally:
        os.close(handle)
    assert (await apart.parse_in_process(b'{"data": {}}', FitRequest)).data == {}


async def test_a_parse_has_a_limit() -> None:
    hurried = Parser(BOUNDS, longest_s=0.0)
    with pytest.raises(BudgetExceeded, match="longer than 0 s"):
        await hurried.parse_in_process(body(), FitRequest)
    assert hurried.pid == 0
    await hurried.close()


async def test_it_leaves_no_process() -> None:
    one = Parser(BOUNDS)
    await one.parse_in_process(b'{"data": {}}', FitRequest)
    handle = os.pidfd_open(one.pid)
    try:
        await one.close()
        await _ended(handle)
    finally:
        os.close(handle)


async def _ended(handle: int) -> None:
    """Waits for the process to end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
    finally:
        loop.remove_reader(handle)


# --- over HTTP ------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}


async def test_a_large_body_goes_by_way_of_the_parser() -> None:
    jobs = FakeJobs(job(result=b"{}"))
    async with fake(jobs) as client:
        answer = await client.post(
            "/fit", content=body(), headers={**JSON, "idempotency-key": "large"}
        )
        assert len(jobs.asked["fingerprint"]) == 32
        numbers = await client.post("/fit", content=body().replace(b"null", b"0.5"), headers=JSON)
        wrong = await client.post("/fit", content=body(epochs="many"), headers=JSON)
    assert answer.status_code == numbers.status_code == 200
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/epochs"


@pytest.mark.parametrize("length", [True, False])
async def test_the_bytes_of_large_bodies_are_bounded(length: bool) -> None:
    sent = body()

    def chunks() -> Iterator[bytes]:
        yield from (sent[i : i + 2**16] for i in range(0, len(sent), 2**16))

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    settings = Settings(max_body_bytes=len(sent))
    state = new_state(settings, cast(JobService, FakeJobs()))
    state["bodies"] = ConcurrencyLimit(len(sent) - 1, len(sent), TooManyBytes, retry_after_s=1)
    async with door(create_app(settings), state) as client:
        content = sent if length else stream()
        answer = await client.post("/fit", content=content, headers=JSON)
    assert answer.status_code == 429
    assert answer.json()["type"] == "too-many-bytes"
    assert answer.headers["retry-after"] == "1"


async def test_a_body_that_pauses_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "STALL_S", 0.01)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with fake(FakeJobs()) as client:
        answer: httpx.Response = await client.post("/fit", content=stalling(), headers=JSON)
    assert answer.status_code == 408
    assert answer.json()["type"] == "request-timeout"
    assert answer.headers["connection"] == "close"

"""When a call is sent again, and after how long. Nobody sleeps: the pauses are written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from service.client import (
    AsyncDescent,
    ConnectionFailed,
    Descent,
    FitFailedError,
    ServiceUnavailable,
)
from service.client.calls import Reply
from service.client.retrying import FIRST_S, LONGEST_S, retry_after

Handler = Callable[[httpx.Request], httpx.Response]
READY = httpx.Response(200, json={"status": "ok"})


def busy(status: int = 503, retry: str | None = "2", **more: Any) -> httpx.Response:
    body = {"type": "not-ready", "title": "Busy", "status": status, "detail": "later", **more}
    return httpx.Response(
        status, json=body, headers={} if retry is None else {"Retry-After": retry}
    )


class Script:
    """Answers in turn, or failures."""

    def __init__(self, *turns: httpx.Response | Exception) -> None:
        self.turns, self.sent, self.pauses = list(turns), 0, list[float]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        turn = self.turns[min(self.sent, len(self.turns) - 1)]
        self.sent += 1
        if isinstance(turn, Exception):
            raise turn
        # Anew, since a response can be read once.
        return httpx.Response(turn.status_code, headers=turn.headers, content=turn.content)

    def ready(self, **options: Any) -> Any:
        http = httpx.Client(transport=httpx.MockTransport(self))
        with Descent("http://x", http=http, sleep=self.pauses.append, **options) as client:
            return client.ready()

    def aready(self, **options: Any) -> Any:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        async def ask() -> Any:
            http = httpx.AsyncClient(transport=httpx.MockTransport(self))
            async with AsyncDescent("http://x", http=http, sleep=sleep, **options) as client:
                return await client.ready()

        return asyncio.run(ask())


@pytest.fixture(params=["ready", "aready"])
def way(request: pytest.FixtureRequest) -> str:
    """Both clients."""
    return str(request.param)


@pytest.mark.parametrize(
    "failure",
    [
        busy(429),
        busy(503),
        busy(502, None),
        busy(504, None),
        busy(408, None),
        httpx.ConnectError("refused"),
        httpx.ReadError("cut"),
        httpx.RemoteProtocolError("ended early"),
        httpx.ReadTimeout("silent"),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again(failure: httpx.Response | Exception, way: str) -> None:
    script = Script(failure, failure, READY)
    assert getattr(script, way)() == {"status": "ok"}
    assert script.sent == 3


def test_retry_after_is_waited_for_and_jitter_comes_on_top(way: str) -> None:
    script = Script(busy(429, "7"), busy(503, "3"), busy(503, None), READY)
    getattr(script, way)()
    for pause, asked, window in zip(script.pauses, (7, 3, 0), (1, 2, 4), strict=True):
        assert asked <= pause <= asked + FIRST_S * window


def test_the_pauses_widen_and_differ(way: str) -> None:
    scripts = [Script(httpx.ConnectError("refused")) for _ in range(20)]
    for script in scripts:
        with pytest.raises(ConnectionFailed, match=r"refused \(9 tries\)"):
            getattr(script, way)(retries=8)
    for n, pauses in enumerate(zip(*(script.pauses for script in scripts), strict=True)):
        assert max(pauses) <= min(LONGEST_S, FIRST_S * 2**n)
        assert len(set(pauses)) == 20


def test_enough_is_enough(way: str) -> None:
    script = Script(busy(503, "0"))
    with pytest.raises(ServiceUnavailable, match="later"):
        getattr(script, way)(retries=2)
    assert script.sent == 3


def test_who_cannot_wait_so_long_is_told_at_once(way: str) -> None:
    script = Script(busy(429, "3600"))
    with pytest.raises(ServiceUnavailable) as caught:
        getattr(script, way)(timeout=60)
    assert (script.sent, script.pauses, caught.value.retry_after_s) == (1, [], 3600)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_what_will_not_pass_is_not(status: int, way: str) -> None:
    script = Script(busy(status))
    with pytest.raises(Exception, match="later"):
        getattr(script, way)()
    assert script.sent == 1


def test_a_job_that_ended_is_not_asked_for_again(way: str) -> None:
    """Its 503 says that the job lost its worker: the same key would bring the same answer."""
    script = Script(busy(503, None, type="worker-lost", job_id="job_1"))
    with pytest.raises(FitFailedError):
        getattr(script, way)()
    assert script.sent == 1


@pytest.mark.parametrize(
    ("said", "seconds"), [("5", 5), ("0", 0), ("", 0), ("soon", 0), ("-3", 0), (" 2 ", 2)]
)
def test_retry_after_as_seconds(said: str, seconds: float) -> None:
    assert retry_after(Reply(503, {"retry-after": said}, b"")) == seconds


def test_retry_after_as_a_date() -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    reply = Reply(503, {"retry-after": format_datetime(at, usegmt=True)}, b"")
    assert 3500 < retry_after(reply) <= 3600
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert retry_after(Reply(503, {"retry-after": format_datetime(past, usegmt=True)}, b"")) == 0

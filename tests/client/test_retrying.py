"""When a call is sent again, and after how long. The pauses are recorded, not slept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from service.client import ConnectionFailed, FitFailedError, ServiceUnavailable
from service.client.retrying import FIRST_S, LONGEST_S, retry_after
from service.client.transport import Reply
from tests.client.scripted import CLIENTS, Run, Script

READY = httpx.Response(200, json={"status": "ok"})


def busy(status: int = 503, retry: str | None = "2", **more: Any) -> httpx.Response:
    body = {"type": "not-ready", "title": "Busy", "status": status, "detail": "later", **more}
    return httpx.Response(
        status, json=body, headers={} if retry is None else {"Retry-After": retry}
    )


def ready(client: Any) -> Any:
    return client.ready()


@pytest.fixture(params=list(CLIENTS))
def run(request: pytest.FixtureRequest) -> Run:
    return CLIENTS[str(request.param)]


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
def test_temporary_failures_are_retried(failure: httpx.Response | Exception, run: Run) -> None:
    script = Script(failure, failure, READY)
    assert run(script, ready) == {"status": "ok"}
    assert len(script.requests) == 3


def test_the_pause_is_retry_after_and_jitter(run: Run) -> None:
    script = Script(busy(429, "7"), busy(503, "3"), busy(503, None), READY)
    run(script, ready)
    for pause, asked, window in zip(script.pauses, (7, 3, 0), (1, 2, 4), strict=True):
        assert asked <= pause <= asked + FIRST_S * window


def test_the_pauses_grow_and_are_random(run: Run) -> None:
    scripts = [Script(httpx.ConnectError("refused"), repeat=True) for _ in range(20)]
    for script in scripts:
        with pytest.raises(ConnectionFailed, match=r"refused \(9 tries\)"):
            run(script, ready, retries=8)
    for n, pauses in enumerate(zip(*(script.pauses for script in scripts), strict=True)):
        assert max(pauses) <= min(LONGEST_S, FIRST_S * 2**n)
        assert len(set(pauses)) == 20


def test_retries_are_limited(run: Run) -> None:
    script = Script(busy(503, "0"), repeat=True)
    with pytest.raises(ServiceUnavailable, match="later"):
        run(script, ready, retries=2)
    assert len(script.requests) == 3


def test_a_pause_beyond_the_timeout_raises_at_once(run: Run) -> None:
    script = Script(busy(429, "3600"), repeat=True)
    with pytest.raises(ServiceUnavailable) as caught:
        run(script, ready, timeout=60)
    assert (len(script.requests), script.pauses, caught.value.retry_after_s) == (1, [], 3600)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_other_errors_are_not_retried(status: int, run: Run) -> None:
    script = Script(busy(status), repeat=True)
    with pytest.raises(Exception, match="later"):
        run(script, ready)
    assert len(script.requests) == 1


def test_the_error_of_a_finished_job_is_not_retried(run: Run) -> None:
    """Its 503 means that the job lost its worker; the same key would return the same answer."""
    script = Script(busy(503, None, type="worker-lost", job_id="job_1"))
    with pytest.raises(FitFailedError):
        run(script, ready)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5), ("0", 0), ("", 0), ("soon", 0), ("-3", 0), (" 2 ", 2)]
)
def test_retry_after_as_seconds(value: str, seconds: float) -> None:
    assert retry_after(Reply(503, {"retry-after": value}, b"")) == seconds


def test_retry_after_as_a_date() -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    reply = Reply(503, {"retry-after": format_datetime(at, usegmt=True)}, b"")
    assert 3500 < retry_after(reply) <= 3600
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert retry_after(Reply(503, {"retry-after": format_datetime(past, usegmt=True)}, b"")) == 0

"""A clock on the wall that is moved, as by a first contact with a time server."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from typing import Any

import httpx

from tests.resilience.servers import DECAY, ENDLESS, LINE, end, look, started, submit, until


def test_a_moved_clock_moves_nothing_else() -> None:
    """No time that is told is longer than the test's own clock has counted."""
    movable = ("tests.resilience.clock_server",)
    with started(*movable, workers=1) as server, server.client() as client:
        began = time.monotonic()
        ended = client.post("/fit", json=LINE).json()["urls"]["self"]
        long = submit(client, {**ENDLESS, "time_limit_s": 3600})
        until(lambda: look(client, long)["status"] == "running")
        limited = submit(client, {**ENDLESS, "time_limit_s": 2})
        waiting = submit(client, {**ENDLESS, "epochs": 10**5, "tags": {"is": "waiting"}})
        server.process.send_signal(signal.SIGUSR1)
        until(lambda: _year(client) >= _year_of(look(client, ended)) + 9)
        assert look(client, ended)["status"] == "succeeded", "it did not expire"
        assert look(client, long)["status"] == "running", "its time is not up"
        # Two jobs are before it, and each is taken to last as long as the first has so far, or
        # the little that one is taken to last before any has been seen.
        assert look(client, waiting)["starts_in_s"] <= 1 + 2 * (time.monotonic() - began)
        client.post(f"{long}/cancel")
        until(lambda: look(client, limited)["status"] != "queued")
        server.process.send_signal(signal.SIGUSR2)
        until(lambda: _year(client) < _year_of(look(client, ended)))
        job = end(client, limited)
        assert (job["status"], job["result"]["stop_reason"]) == ("succeeded", "time_limit")
        assert job["result"]["timings"]["fit_s"] >= 2
        for at in (long, limited, waiting):
            assert _seconds(end(client, at)["result"]) <= time.monotonic() - began
        began = time.monotonic()
        fit = client.post("/fit", json=DECAY).json()
        assert _seconds(fit) <= time.monotonic() - began
        order = [job["urls"]["self"] for job in client.get("/jobs?limit=1000").json()["jobs"]]
        assert order[0] == fit["urls"]["self"], "the newest is first, whatever its date"
        assert order[-4:] == [waiting, limited, long, ended]


def _seconds(fit: dict[str, Any]) -> float:
    """From when it was taken to its end, as the service tells it."""
    return float(fit["timings"]["queued_s"] + fit["timings"]["fit_s"])


def _year(client: httpx.Client) -> int:
    """By the server's clock: that of a job made now."""
    at = submit(client, LINE)
    year = _year_of(look(client, at))
    client.post(f"{at}/cancel")
    return year


def _year_of(job: dict[str, Any]) -> int:
    return datetime.fromisoformat(job["created_at"]).year

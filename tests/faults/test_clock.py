"""A clock on the wall that is moved, as by a first contact with a time server."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Any

import httpx

from tests.faults.servers import DECAY, ENDLESS, LINE, end, look, started, submit, until


def test_a_moved_clock_moves_nothing_else() -> None:
    movable = ("-m", "tests.faults.clock_server")
    with started(*movable, workers=1) as server, server.client() as client:
        ended = client.post("/fit", json=LINE).json()["urls"]["self"]
        limited = submit(client, {**ENDLESS, "time_limit_s": 2})
        until(lambda: look(client, limited)["status"] == "running")
        waiting = submit(client, {**DECAY, "tags": {"is": "waiting"}})
        server.process.send_signal(signal.SIGUSR1)
        until(lambda: _year(client) >= _year_of(look(client, ended)) + 9)
        assert look(client, ended)["status"] == "succeeded", "it did not expire"
        assert look(client, limited)["status"] == "running", "its time is not up"
        assert look(client, waiting)["starts_in_s"] < 60
        job = end(client, limited)
        assert (job["status"], job["result"]["stop_reason"]) == ("succeeded", "time_limit")
        assert 2 <= job["result"]["timings"]["fit_s"] < 10
        assert end(client, waiting)["result"]["timings"]["queued_s"] < 60
        server.process.send_signal(signal.SIGUSR2)
        until(lambda: _year(client) < _year_of(look(client, ended)))
        fit = client.post("/fit", json=DECAY).json()
        assert fit["timings"]["queued_s"] < 60
        assert fit["timings"]["fit_s"] < 60
        order = [job["urls"]["self"] for job in client.get("/jobs?limit=1000").json()["jobs"]]
        assert order[0] == fit["urls"]["self"], "the newest is first, whatever its date"
        assert order[-3:] == [waiting, limited, ended]


def _year(client: httpx.Client) -> int:
    """By the server's clock: that of a job made now."""
    at = submit(client, LINE)
    year = _year_of(look(client, at))
    client.post(f"{at}/cancel")
    return year


def _year_of(job: dict[str, Any]) -> int:
    return datetime.fromisoformat(job["created_at"]).year

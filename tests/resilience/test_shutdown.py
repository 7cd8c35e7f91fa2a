"""The end of a server: asked for under load, or without a word."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from tests.resilience.servers import (
    ENDLESS,
    LINE,
    Server,
    family,
    kill,
    look,
    started,
    submit,
    until,
)
from tests.soon import PATIENCE_S

GRACE_S, HEARING_S = 1.0, 1.0
"""For jobs to end by themselves, and to handle a cancel."""
CALLERS = 12


class Callers:
    """Callers who send one small fit after another until they are refused or cut off."""

    def __init__(self, server: Server) -> None:
        self.statuses: list[int] = []
        self._server = server
        self._busy = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """From their fiftieth answer on; in the end each of them has come to an end."""
        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(self._call) for _ in range(CALLERS)]
            assert self._busy.wait(PATIENCE_S)
            yield
            for call in calls:
                call.result(PATIENCE_S)

    def _call(self) -> None:
        try:
            with self._server.client() as client:
                status = 0
                while status != 503:
                    status = client.post("/fit", json=LINE).status_code
                    self.statuses.append(status)
                    if len(self.statuses) == 50:
                        self._busy.set()
        except httpx.TransportError:
            return


def test_sigterm_under_load_answers_everyone_and_leaves_nobody() -> None:
    graces = {"shutdown_grace_s": GRACE_S, "cancel_grace_s": HEARING_S}
    with (
        started(workers=3, **graces) as server,
        server.client() as client,
        ThreadPoolExecutor() as pool,
    ):
        at = submit(client, ENDLESS)
        watching = pool.submit(_events, server, at)
        polling = pool.submit(_poll, server, at)
        waiting = pool.submit(_fit, server)
        until(lambda: len(client.get("/jobs?status=running").json()["jobs"]) == 2)
        callers = Callers(server)
        with family(server) as gone, callers.at_work():
            server.process.send_signal(signal.SIGTERM)
            until(lambda: server.process.poll() is not None)
            assert server.process.returncode == 0
            assert gone()
    assert waiting.result()["stop_reason"] == "cancelled"
    assert polling.result()["status"] == "cancelled"
    assert watching.result()["event"] == "done"
    assert watching.result()["job"]["status"] == "cancelled"
    # A fit, one that was still queued, and one that came too late.
    assert set(callers.statuses) <= {200, 409, 503}


def test_a_terminal_that_is_closed_ends_it_with_the_same_grace() -> None:
    """Also where these tests run under nohup, whose children ignore the signal."""
    ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        _closed_terminal()
    finally:
        signal.signal(signal.SIGHUP, ignored)


def _closed_terminal() -> None:
    with started(workers=1, shutdown_grace_s=GRACE_S) as server, server.client() as client:
        at = submit(client, ENDLESS)
        until(lambda: look(client, at)["status"] == "running")
        with ThreadPoolExecutor() as pool, family(server) as gone:
            watching = pool.submit(_events, server, at)
            until(lambda: "descent_streams 1" in client.get("/metrics").text)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.process.poll() is not None)
            assert gone()
        assert server.process.returncode == 0
        assert watching.result()["event"] == "done"


def _fit(server: Server) -> Any:
    with server.client() as client:
        return client.post("/fit", json=ENDLESS).json()


def _poll(server: Server, at: str) -> Any:
    with server.client() as client:
        return look(client, at, wait=60)


def _events(server: Server, at: str) -> Any:
    """The last event of a job's stream."""
    with server.client() as client:
        lines = client.get(f"{at}/events", headers={"accept": "application/jsonl"}).text
    return json.loads(lines.splitlines()[-1])


def test_a_killed_server_leaves_nobody() -> None:
    """Busy workers, and a process that parses a large body, are gone soon after."""
    with started(workers=2) as server, server.client() as client:
        workers = server.workers()
        for _ in range(2):
            submit(client, ENDLESS)
        until(lambda: len(client.get("/jobs?status=running").json()["jobs"]) == 2)
        number = b"[" + b"1.0," * (6 * 2**20) + b"1.0]"
        body = b'{"data": {"x": ' + number + b', "y": ' + number[:-1] + b"}}"
        head = (
            "POST /fit HTTP/1.1\r\nHost: descent\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.sendall(head.encode() + body)
            until(lambda: server.workers() - workers)
            with family(server) as gone:
                kill(server.process.pid)
                assert gone()

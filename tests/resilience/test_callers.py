"""Callers who hang up, who never read, who come again."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.resilience.servers import (
    DECAY,
    ENDLESS,
    LINE,
    Server,
    end,
    look,
    started,
    submit,
    until,
)
from tests.soon import PATIENCE_S, soon

WIDE: dict[str, Any] = {
    **DECAY,
    "model": "y = " + "+".join(f"p{k}*x**{k}" for k in range(32)),
    "params": {},
    "scaling": {"x": {"scale": 0.1}},
    "optimizer": "adam",
    "epochs": 6000,
    "record_every": 1,
}
"""Its history is 9 MB on the wire: more than the buffers of a socket hold."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """What is not heard, or not read, is given up by it after the tests have."""
    graces = {"cancel_grace_s": 2 * PATIENCE_S, "read_timeout_s": 2 * PATIENCE_S}
    with started(workers=2, max_streams_per_client=12, **graces) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def send(server: Server, head: str, body: bytes = b"", *, buffer: int | None = None) -> Any:
    """A connection on which a request was sent, and nothing read."""
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(PATIENCE_S)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(f"{head}\r\nHost: descent\r\n\r\n".encode() + body)
    return connection


def post_fit(server: Server, fit: dict[str, Any], *headers: str) -> socket.socket:
    body = json.dumps(fit).encode()
    lines = ["Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    connection: socket.socket = send(server, "\r\n".join(["POST /fit HTTP/1.1", *lines]), body)
    return connection


def tagged(client: httpx.Client, tag: str) -> str:
    """Where the running job with that tag is."""

    def found() -> str | None:
        jobs = client.get("/jobs", params={"status": "running"}).json()["jobs"]
        return next((job["urls"]["self"] for job in jobs if job["tags"].get("is") == tag), None)

    return str(until(found))


def reset(connection: socket.socket) -> None:
    """Closes it as a process that dies does: with a reset, and no farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("hang_up", [socket.socket.close, reset], ids=["close", "reset"])
def test_who_hangs_up_soon_cancels_the_fit(
    server: Server, client: httpx.Client, hang_up: Any
) -> None:
    connection = post_fit(server, {**ENDLESS, "tags": {"is": hang_up.__name__}})
    at = tagged(client, hang_up.__name__)
    hang_up(connection)
    assert soon(lambda: look(client, at)["finished_at"], 2.0)
    job = look(client, at)
    assert (job["status"], job["result"]["stop_reason"]) == ("cancelled", "cancelled")


def test_who_hangs_up_with_a_key_leaves_the_fit_to_the_others(
    server: Server, client: httpx.Client
) -> None:
    key, fit = "Idempotency-Key: shared", {**ENDLESS, "tags": {"is": "keyed"}}
    first = post_fit(server, fit, key)
    at = tagged(client, "keyed")
    with ThreadPoolExecutor() as pool:
        other = pool.submit(
            client.post,
            "/fit",
            content=json.dumps(fit).encode(),
            headers={"content-type": "application/json", "idempotency-key": "shared"},
        )
        first.close()
        # A caller without a key that leaves after it: once that is noticed, so was the other.
        post_fit(server, {**ENDLESS, "tags": {"is": "bare"}}).close()
        until(lambda: _cancelled(client, "bare"))
        assert look(client, at)["status"] == "running"
        assert client.post(f"{at}/cancel").json()["status"] == "cancelled"
        answer = other.result()
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json()["job_id"] == at.rpartition("/")[2]


def _cancelled(client: httpx.Client, tag: str) -> bool:
    jobs = client.get("/jobs", params={"status": "cancelled"}).json()["jobs"]
    return any(job["tags"].get("is") == tag for job in jobs)


def test_readers_that_never_read_cost_nothing(server: Server, client: httpx.Client) -> None:
    at = submit(client, WIDE)
    events = f"GET {at}/events HTTP/1.1"
    before = server.rss()
    with ExitStack() as stack:
        dead = [stack.enter_context(send(server, events, buffer=4096)) for _ in range(10)]
        assert end(client, at)["status"] == "succeeded"
        # While they are there: did it wait for them, nobody else would be answered before they go.
        assert client.get("/livez").status_code == 200
        lines = client.get(f"{at}/events", headers={"accept": "application/jsonl"})
        epochs = [
            epoch
            for line in lines.text.splitlines()[:-1]
            for epoch in json.loads(line)["history"]["epoch"]
        ]
        assert epochs == [*range(1, WIDE["epochs"] + 1)]
        assert len(lines.content) > 6 * 2**20
        # Were the history kept for each of them, it would be ten times that answer.
        assert server.rss() - before < 8 * len(lines.content)
        # Their places are their own until they leave.
        dead += [stack.enter_context(send(server, events, buffer=4096)) for _ in range(2)]
        refused = until(lambda: _refusal(client, f"{at}/events"))
        assert refused["type"] == "too-many-streams"
        assert f"uses {len(dead)} of the 12 streams" in refused["detail"]
    until(lambda: not _refusal(client, f"{at}/events"))


def _refusal(client: httpx.Client, at: str) -> Any:
    """Why a stream is refused; None where it is not."""
    with client.stream("GET", at) as answer:
        if answer.status_code == 200:
            return None
        assert answer.headers["retry-after"]
        return json.loads(answer.read())


def test_a_reader_that_comes_again_misses_nothing(server: Server, client: httpx.Client) -> None:
    at = submit(client, {**DECAY, "optimizer": "adam", "epochs": 1500, "record_every": 10})
    seen: list[int] = []
    ids: list[str] = []
    while not ids or ids[-1] != "done":
        headers = {"last-event-id": ids[-1]} if ids else {}
        with client.stream("GET", f"{at}/events", headers=headers) as stream:
            ids += _two_events(stream, seen)
    assert seen == [1, *range(10, 1501, 10)]


def _two_events(stream: httpx.Response, seen: list[int]) -> list[str]:
    """The ids of two events with rows, after which the reader drops the connection; "done"."""
    ids: list[str] = []
    kind = ""
    for line in stream.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "progress":
            seen += json.loads(value)["history"]["epoch"]
        elif name == "id":
            ids.append("done" if kind == "done" else value)
            if len(ids) == 2:
                break
    return ids


def test_a_cancel_that_races_with_the_end_has_one_outcome(
    server: Server, client: httpx.Client
) -> None:
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda n: _race(server, n), range(48)))
    assert set(ends) <= {"succeeded", "cancelled"}


def _race(server: Server, number: int) -> str:
    fit = {**DECAY, "optimizer": "adam", "epochs": 1 + 3 * number}
    with server.client() as client:
        at = submit(client, fit)
        look(client, at, wait=0.002 * (number % 8))
        told = client.post(f"{at}/cancel").json()
        again = client.post(f"{at}/cancel").json()
        found = look(client, at)
        lines = client.get(f"{at}/events", headers={"accept": "application/jsonl"}).text
        done = json.loads(lines.splitlines()[-1])["job"]
        assert told == again == found
        assert done == {**found, "result": None}
        if found["result"]:
            stopped = found["result"]["stop_reason"] == "cancelled"
            assert stopped == (found["status"] == "cancelled")
        return str(found["status"])


def test_the_service_is_as_good_as_new(client: httpx.Client) -> None:
    assert client.get("/jobs", params={"status": "running"}).json()["jobs"] == []
    assert client.post("/fit", json=LINE).status_code == 200

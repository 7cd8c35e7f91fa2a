"""What one caller sends holds up no other."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.servers import ENDLESS, Server, end, started, submit, until

MEGABYTES, BODIES = 20, 4
LIMIT_S = 0.1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started() as server:
        yield server


def test_large_bodies_leave_no_memory_behind(server: Server) -> None:
    column = b"[" + b",".join(b"%d.25" % i for i in range(10**6)) + b"]"
    body = b'{"model": "y = b + 0 * x", "data": {"x": ' + column + b', "y": ' + column + b"}}"
    with server.client() as client:
        memory = []
        for _ in range(5):
            at = _post(server, body)
            assert end(client, at)["status"] == "succeeded"
            assert client.delete(at).status_code == 204
            memory.append(server.rss())
        # The first two warm up: code is loaded, heaps are made.
        assert max(memory[2:]) - memory[1] < len(body) // 2


def test_livez_answers_while_large_bodies_are_parsed_and_all_workers_are_busy(
    server: Server,
) -> None:
    number = b"0.12345678901234567"
    column = b"[" + b",".join([number] * (MEGABYTES * 500_000 // (len(number) + 1))) + b"]"
    body = b'{"model": "y = b + 0 * x", "data": {"x": ' + column + b', "y": ' + column + b"}}"
    with server.client() as client:
        busy = [submit(client, ENDLESS) for _ in range(len(server.workers()))]
        until(lambda: len(client.get("/jobs?status=running").json()["jobs"]) == len(busy))
        with ThreadPoolExecutor() as pool:
            posting = pool.submit(lambda: [_post(server, body) for _ in range(BODIES)])
            waits = []
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            while not posting.done():
                began = time.perf_counter()
                connection.request("GET", "/livez")
                assert connection.getresponse().read() == b'{"status":"ok"}\n'
                waits.append(time.perf_counter() - began)
            connection.close()
        assert all(posting.result())
    waits.sort()
    assert len(waits) > 200
    assert waits[int(0.99 * len(waits))] < LIMIT_S


def _post(server: Server, body: bytes) -> str:
    """Where the job is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        connection.request("POST", "/fit", body, headers)
        answer = connection.getresponse()
        assert answer.status == 202, answer.read()
        return str(answer.headers["location"])
    finally:
        connection.close()

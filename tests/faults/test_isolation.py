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


@pytest.mark.parametrize("form", ["application/json", "text/csv"])
def test_large_bodies_leave_no_memory_behind(server: Server, form: str) -> None:
    body = _body(form, [b"%d.25" % i for i in range(10**6)])
    with server.client() as client:
        memory = []
        for _ in range(6):
            at = _post(server, form, body)
            assert end(client, at)["status"] == "succeeded"
            assert client.delete(at).status_code == 204
            memory.append(server.rss())
        # The first three warm up: code is loaded, heaps are made, a thread's each.
        assert max(memory[3:]) - memory[2] < len(body) // 2


@pytest.mark.parametrize("first", [b"0.5", b"null", b""])
def test_livez_answers_while_large_bodies_are_parsed_and_all_workers_are_busy(
    server: Server, first: bytes
) -> None:
    """Numbers alone are read in the process itself; with a null, apart; and lines by pyarrow."""
    number = b"0.12345678901234567"
    form = "application/json" if first else "text/csv"
    body = _body(form, [first or number] + [number] * (MEGABYTES * 500_000 // (len(number) + 1)))
    with server.client() as client:
        busy = [submit(client, ENDLESS) for _ in range(len(server.workers()))]
        until(lambda: len(client.get("/jobs?status=running").json()["jobs"]) == len(busy))
        with ThreadPoolExecutor() as pool:
            posting = pool.submit(lambda: [_post(server, form, body) for _ in range(BODIES)])
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


def _body(form: str, column: list[bytes]) -> bytes:
    """Two columns of those numbers; a null in the first row is dropped."""
    if form == "text/csv":
        return b"x,y\n" + b"".join(b"%b,%b\n" % (each, each) for each in column)
    cells = b"[" + b",".join(column) + b"]"
    options = b'"model": "y = b + 0 * x", "missing": "drop"'
    return b'{%b, "data": {"x": %b, "y": %b}}' % (options, cells, cells)


def _post(server: Server, form: str, body: bytes) -> str:
    """Where the job is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        headers = {"Content-Type": form, "Prefer": "respond-async"}
        query = "" if "json" in form else "?model=y~b%2B0*x"
        connection.request("POST", f"/fit{query}", body, headers)
        answer = connection.getresponse()
        assert answer.status == 202, answer.read()
        return str(answer.headers["location"])
    finally:
        connection.close()

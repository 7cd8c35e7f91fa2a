"""What one caller sends holds up no other."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.resilience.servers import ENDLESS, Server, end, started, submit, until
from tests.soon import PATIENCE_S

MEGABYTES, BODIES = 20, 4
MOST = 0.5
"""Of the time in which a body is read and parsed, what another caller may wait. Who waits for the
parsing waits for three quarters of it; a tenth is usual, on a machine at work on something else
too, where both are slower."""

Span = tuple[float, float]
"""Its beginning and its end."""


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
            at = _location(_sent(server, form, body))
            assert end(client, at)["status"] == "succeeded"
            assert client.delete(at).status_code == 204
            memory.append(server.rss())
        # The first three warm up: code is loaded, heaps are made, a thread's each.
        assert max(memory[3:]) - memory[2] < len(body) // 2


@pytest.mark.parametrize(
    "first", [b"0.5", *(pytest.param(text, marks=pytest.mark.thorough) for text in (b"null", b""))]
)
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
            posting = pool.submit(lambda: [_taken(server, form, body) for _ in range(BODIES)])
            waits: list[Span] = []
            connection = _connection(server)
            while not posting.done():
                began = time.perf_counter()
                connection.request("GET", "/livez")
                assert connection.getresponse().read() == b'{"status":"ok"}\n'
                waits.append((began, time.perf_counter()))
            connection.close()
    # The best one: who waits for the parsing does so in each, and another process may be given the
    # core at any moment.
    assert min(_longest(waits, span) for span in posting.result()) < MOST


def _longest(waits: list[Span], span: Span) -> float:
    """The longest of the waits within that span, as a share of it."""
    began, end = span
    within = (min(last, end) - max(first, began) for first, last in waits)
    return max(within) / (end - began)


def _taken(server: Server, form: str, body: bytes) -> Span:
    """From when the body has been sent to its answer."""
    connection = _sent(server, form, body)
    began = time.perf_counter()
    assert _location(connection)
    return began, time.perf_counter()


def _body(form: str, column: list[bytes]) -> bytes:
    """Two columns of those numbers; a null in the first row is dropped."""
    if form == "text/csv":
        return b"x,y\n" + b"".join(b"%b,%b\n" % (each, each) for each in column)
    cells = b"[" + b",".join(column) + b"]"
    options = b'"model": "y = b + 0 * x", "missing": "drop"'
    return b'{%b, "data": {"x": %b, "y": %b}}' % (options, cells, cells)


def _connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)


def _sent(server: Server, form: str, body: bytes) -> http.client.HTTPConnection:
    """A connection on which it was sent."""
    connection = _connection(server)
    headers = {"Content-Type": form, "Prefer": "respond-async"}
    query = "" if "json" in form else "?model=y~b%2B0*x"
    connection.request("POST", f"/fit{query}", body, headers)
    return connection


def _location(connection: http.client.HTTPConnection) -> str:
    """Where the job is, when that is answered."""
    try:
        answer = connection.getresponse()
        assert answer.status == 202, answer.read()
        return str(answer.headers["location"])
    finally:
        connection.close()

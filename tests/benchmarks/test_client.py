"""The callers' process, against a server that counts its connections."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from benchmarks.client import Callers, calling, post


class Echo(BaseHTTPRequestHandler):
    """Answers with the body of the request, and closes where that asks for it."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        Echo.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if self.path == "/echo" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = body == b"close"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    """Says when it has closed a connection."""

    closed = Event()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.set()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Echo) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def callers() -> Iterator[Callers]:
    with calling() as found:
        yield found


def test_answers_come_in_the_order_of_the_requests(callers: Callers, port: int) -> None:
    bodies = [b"a", b"b" * 10**6, b"c"]
    answers = callers.each(port, [post("/echo", body) for body in bodies])
    assert [answer.body for answer in answers] == bodies
    assert all(answer.seconds > 0 for answer in answers)


def test_a_connection_is_kept_until_the_server_closes_it(callers: Callers, port: int) -> None:
    callers.ask(port, post("/echo", b"first"))
    Server.closed.clear()
    before = Echo.connections
    callers.each(port, [post("/echo", b"again"), post("/echo", b"close")])
    assert Echo.connections == before
    assert Server.closed.wait(10)
    callers.ask(port, post("/echo", b"anew"))
    assert Echo.connections == before + 1


def test_what_is_no_200_is_raised_and_the_next_request_is_answered(
    callers: Callers, port: int
) -> None:
    with pytest.raises(RuntimeError, match="404 Not Found"):
        callers.ask(port, post("/nowhere", b""))
    assert callers.ask(port, post("/echo", b"well")).body == b"well"


def test_a_load_of_so_many_requests(callers: Callers, port: int) -> None:
    requests = [post("/echo", body) for body in (b"a", b"b", b"c")]
    load = callers.load(port, requests, 2, most=7)
    assert len(load.waits) == 7
    assert load.bodies == [b"a", b"b", b"c"]
    assert load.rate == 7 / load.took


def test_a_load_for_so_long_with_a_probe(callers: Callers, port: int) -> None:
    load = callers.load(port, [post("/echo", b"a")], 2, seconds=0.1, probe=True)
    assert load.took >= 0.1
    assert load.waits
    assert load.probed
    alone = callers.load(port, [post("/echo", b"a")], 0, seconds=0.05, probe=True)
    assert (alone.waits, bool(alone.probed)) == ([], True)

"""Slow-loris and its kin, over sockets of our own: each phase of a request has its time, and who
takes longer is answered and hung up on while others are served."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.attack.sockets import connected, exchange, problem, rest, status, whole
from tests.faults.servers import Server, started, until
from tests.soon import PATIENCE_S

LIMITS = {
    "workers": 1,
    "head_timeout_s": 0.3,
    "body_timeout_s": 0.3,
    "min_body_rate": 10**6,
    "read_timeout_s": 0.3,
    "max_connections": 40,
}
POST = b"POST /fit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(**LIMITS) as server:
        yield server


def test_a_head_that_never_ends_is_hung_up_on(server: Server) -> None:
    answer = exchange(server, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: b")
    assert problem(answer)["type"] == "request-timeout"
    assert status(answer) == 408


def test_a_connection_without_a_word_is_closed(server: Server) -> None:
    assert exchange(server, b"") == b""
    assert exchange(server, b"\r\n\r\n")[:12] in {b"", b"HTTP/1.1 408"}


def test_a_head_that_drips_gains_no_time(server: Server) -> None:
    """Each byte counts against the same deadline: it cannot be pushed ahead of oneself."""
    with connected(server) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        sock.settimeout(0.02)
        sent = 0
        while True:
            try:
                got = sock.recv(4096)
                break
            except TimeoutError:
                sock.sendall(b"X-%d: y\r\n" % sent)
                sent += 1
        assert status(got) == 408
        assert sent > 1


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_never_comes_is_given_up(server: Server, length: bytes) -> None:
    answer = exchange(server, POST + length + b"\r\n\r\n")
    assert problem(answer)["type"] == "request-timeout"


def test_the_same_where_nobody_reads_the_body(server: Server) -> None:
    """GET /livez is answered without it; the rest of it does not hold the connection."""
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    assert status(exchange(server, head)) == 200


def test_a_request_on_a_connection_that_was_used_has_its_own_time(server: Server) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(server) as sock:
        for _ in range(3):
            sock.sendall(request[:20])
            sock.sendall(request[20:])
            assert status(whole(sock)) == 200
        sock.sendall(request[:20])
        assert status(rest(sock)) == 408


def test_a_fit_that_takes_longer_than_a_head_may_is_answered(server: Server) -> None:
    """Also where something came behind it: the time of a head does not run while one waits."""
    body = (
        b'{"model": "y = a * exp(-b * x)", "data": {"x": [0, 1, 2, 3], "y": [5, 3, 2, 1]},'
        b'"optimizer": "adam", "epochs": 100000000, "time_limit_s": 0.8}'
    )
    with connected(server) as sock:
        sock.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"\r\n")
        assert status(whole(sock)) == 200


def test_answers_that_nobody_reads_do_not_hold_the_connection(server: Server) -> None:
    """20 MB of them, asked for at once: the server lets go of the socket by itself."""
    before = _sockets(server)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(4096)
        ours = _sockets(server) - before
        assert ours
        sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        until(lambda: not ours & _sockets(server))


def _sockets(server: Server) -> set[str]:
    """What the server has open, each socket by a name of its own."""
    folder, found = Path(f"/proc/{server.process.pid}/fd"), set()
    for descriptor in folder.iterdir():
        with suppress(OSError):
            found.add(os.readlink(descriptor))
    return found


def test_more_connections_than_there_is_room_for(server: Server) -> None:
    """A crowd that says nothing is turned away, and has gone by itself soon after."""
    crowd = [socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) for _ in range(60)]
    try:
        answers = [rest(sock) for sock in crowd]
    finally:
        for sock in crowd:
            sock.close()
    refused = [problem(answer) for answer in answers if answer]
    assert len(refused) >= 20
    assert {one["type"] for one in refused} == {"too-many-connections"}
    with server.client() as client:
        assert client.get("/livez").status_code == 200

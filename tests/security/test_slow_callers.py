"""Slow-loris and its kin, over sockets of our own: each phase of a request has its time, and who
takes longer is answered and hung up on while others are served."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.resilience.servers import ENDLESS, Server, started, submit, until
from tests.security.sockets import connected, exchange, problem, rest, status, whole
from tests.soon import PATIENCE_S

LATE_S = 0.3
ROOM = 40
LIMITS = {
    "workers": 1,
    "head_timeout_s": LATE_S,
    "body_timeout_s": LATE_S,
    "min_body_rate": 10**6,
    "read_timeout_s": LATE_S,
    "max_connections": ROOM,
}
TRIES = 20
"""Of who has to be in time, and is late where another process is given the core for so long."""
POST = b"POST /fit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(**LIMITS) as server:
        yield server


@contextmanager
def asked(server: Server, sent: bytes, *, buffer: int | None = None) -> Iterator[socket.socket]:
    """A connection on which this was sent, when its answer comes; or, after many tries, none does.
    Who connects and is late with the first word is closed without an answer."""
    with ExitStack() as stack:
        for _ in range(TRIES):
            sock = stack.enter_context(socket.socket())
            if buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.settimeout(PATIENCE_S)
            sock.connect(("127.0.0.1", server.port))
            with suppress(ConnectionError):
                sock.sendall(sent)
                if sock.recv(1, socket.MSG_PEEK):
                    break
        yield sock


def answer_to(server: Server, sent: bytes) -> bytes:
    with asked(server, sent) as sock:
        return rest(sock)


def test_a_head_that_never_ends_is_hung_up_on(server: Server) -> None:
    answer = answer_to(server, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: b")
    assert problem(answer)["type"] == "request-timeout"
    assert status(answer) == 408


def test_a_connection_without_a_word_is_closed(server: Server) -> None:
    assert exchange(server, b"") == b""
    assert exchange(server, b"\r\n\r\n")[:12] in {b"", b"HTTP/1.1 408"}


def test_a_head_that_drips_gains_no_time(server: Server) -> None:
    """Each byte counts against the same deadline: it cannot be pushed ahead of oneself."""
    assert any(_dripped(server) > 1 for _ in range(TRIES))


def _dripped(server: Server) -> int:
    """How many pieces of a head are sent, one after another, before the 408."""
    with connected(server) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        sock.settimeout(LATE_S / 15)
        sent = 0
        while True:
            try:
                got = sock.recv(4096)
                break
            except TimeoutError:
                with suppress(ConnectionError):  # the answer can be read all the same
                    sock.sendall(b"X-%d: y\r\n" % sent)
                sent += 1
    assert status(got) == 408 or not sent
    return sent


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_never_comes_is_given_up(server: Server, length: bytes) -> None:
    answer = answer_to(server, POST + length + b"\r\n\r\n")
    assert problem(answer)["type"] == "request-timeout"


def test_the_same_where_nobody_reads_the_body(server: Server) -> None:
    """GET /livez is answered without it; the rest of it does not hold the connection."""
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    assert status(answer_to(server, head)) == 200


def test_a_request_on_a_connection_that_was_used_has_its_own_time(server: Server) -> None:
    """All of them together take longer than one may."""
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def in_time(sock: socket.socket) -> bool:
        until = time.monotonic() + 2 * LATE_S
        while time.monotonic() < until:
            try:
                sock.sendall(request[:20])
                sock.sendall(request[20:])
                if not sock.recv(1, socket.MSG_PEEK) or status(whole(sock)) != 200:
                    return False
            except ConnectionError:
                return False
        return True

    for _ in range(TRIES):
        with connected(server) as sock:
            if in_time(sock):
                sock.sendall(request[:20])
                assert status(rest(sock)) == 408
                return
    pytest.fail("no request in two pieces is answered, however often it is tried")


def test_a_fit_that_takes_longer_than_a_head_may_is_answered(server: Server) -> None:
    """Also where something came behind it: the time of a head does not run while one waits."""
    body = (
        b'{"model": "y = a * exp(-b * x)", "data": {"x": [0, 1, 2, 3], "y": [5, 3, 2, 1]},'
        b'"optimizer": "adam", "epochs": 100000000, "time_limit_s": 0.8}'
    )
    sent = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"\r\n"
    with asked(server, sent) as sock:
        assert status(whole(sock)) == 200


def test_answers_that_nobody_reads_do_not_hold_the_connection(server: Server) -> None:
    """20 MB of them, asked for at once: the server lets go of the socket by itself."""
    before = _sockets(server)
    with asked(server, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", buffer=4096) as sock:
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


def test_more_connections_than_there_is_room_for() -> None:
    """Who comes where all places are held is turned away; a crowd that says nothing has gone by
    itself soon after."""
    with started(**LIMITS) as server:
        with server.client() as client:
            at = submit(client, ENDLESS)
        ask = f"GET {at}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with ExitStack() as held:
            for _ in range(ROOM):
                sock = held.enter_context(asked(server, ask))
                assert status(sock.recv(2**16)) == 200
            refused = [problem(exchange(server, b"")) for _ in range(20)]
            assert {one["type"] for one in refused} == {"too-many-connections"}
        with ExitStack() as crowd:
            silent = [crowd.enter_context(connected(server)) for _ in range(ROOM)]
            for answer in map(rest, silent):
                assert not answer or problem(answer)["type"] == "too-many-connections"
        with server.client() as client:
            assert client.get("/livez").status_code == 200

"""Bodies without end: memory stays within its bound, and the connection closes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.resilience.servers import Server, started
from tests.security.memory import watched
from tests.security.sockets import connected, exchange, problem, rest, status, whole

MIB = 2**20
BOUND = 8 * MIB
SLACK = 100 * MIB
CHUNK = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
HEAD = b"POST /fit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1, max_body_bytes=BOUND) as server:
        yield server


def pour(sock: socket.socket, part: bytes, times: int) -> int:
    """Sends it so many times, or until nobody takes it any more."""
    for sent in range(times):
        try:
            sock.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return sent
    return times


def test_a_gigabyte_in_chunks(server: Server) -> None:
    with watched(server) as risen, connected(server) as sock:
        sock.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        assert pour(sock, CHUNK, 16) == 16
        answer = whole(sock)
        assert problem(answer)["type"] == "body-too-large"
        assert b"connection: close" in answer.lower()
        assert pour(sock, CHUNK, 1024) < 1024
        assert risen() < BOUND + SLACK


def test_a_gigabyte_that_is_announced_is_refused_unread(server: Server) -> None:
    answer = exchange(server, HEAD + b"Content-Length: %d\r\n\r\n" % 2**30)
    assert status(answer) == 413
    assert "send fewer rows per request, or a binary form" in problem(answer)["detail"]


@pytest.mark.parametrize("part", [b"X-Filler: " + b"a" * 1000 + b"\r\n", b"a" * 65536])
def test_a_head_without_end(server: Server, part: bytes) -> None:
    with watched(server) as risen, connected(server) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert pour(sock, part, 10**5) < 10**5
        answer = rest(sock)  # which may be lost to who goes on sending
        assert not answer or problem(answer)["type"] == "head-too-large"
        assert risen() < SLACK


def test_a_head_that_is_too_large_at_once(server: Server) -> None:
    filler = b"".join(b"X-%d: %b\r\n" % (n, b"a" * 100) for n in range(400))
    answer = exchange(server, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + filler + b"\r\n")
    assert problem(answer)["type"] == "head-too-large"


def test_trailers_without_end(server: Server) -> None:
    with watched(server) as risen, connected(server) as sock:
        sock.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        assert pour(sock, b"X-Filler: " + b"a" * 1000 + b"\r\n", 10**5) < 10**5
        assert risen() < SLACK


def test_trailers_do_not_become_headers(server: Server) -> None:
    body = b'{"data": {"x": [1, 2, 3], "y": [2, 4, 6]}}'
    sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
    with connected(server) as sock:
        sock.sendall(sent + b"0\r\nPrefer: respond-async\r\nX-Request-ID: mine\r\n\r\n")
        answer = whole(sock)
    assert status(answer) == 200
    assert b"mine" not in answer

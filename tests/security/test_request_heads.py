"""Heads that make two of one request, or one of two; and those that HTTP forbids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from service.server import request_head
from tests.resilience.servers import DECAY, Server, started
from tests.security.sockets import connected, exchange, problem, rest, status, whole

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
LAST = LIVEZ + b"Connection: close\r\n\r\n"
FIT = json.dumps(DECAY).encode()
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


def post(path: bytes, *fields: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: a", b"Content-Type: application/json", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1) as server:
        yield server


def in_parts(server: Server, first: bytes, then: bytes, last: bytes = LAST) -> bytes:
    """What is answered to a head and, once it is surely read, to what follows it."""
    with connected(server) as sock:
        # The answer to the first of these says that what came with it has been read.
        sock.sendall(LIVEZ + b"\r\n" + first)
        ahead = whole(sock)
        sock.sendall(then + last)
        return ahead.partition(b'{"status":"ok"}')[2] + rest(sock)


@pytest.mark.parametrize("upgrade", [b"x", b"h2c", b"websocket"])
def test_the_body_of_an_upgrade_is_no_request(server: Server, upgrade: bytes) -> None:
    inner = b"GET /models HTTP/1.1\r\nHost: a\r\n\r\n"
    fields = b"Connection: Upgrade\r\nUpgrade: %b\r\nContent-Length: %d" % (upgrade, len(inner))
    answers = in_parts(server, post(b"/livez", fields), inner)
    assert answers.count(b"HTTP/1.1 ") == 2
    assert status(answers) == 405
    assert answers.rstrip().endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("together", [True, False], ids=["one packet", "two"])
@pytest.mark.parametrize("framed", ["length", "chunks"])
def test_a_body_comes_whole_beside_an_upgrade(server: Server, framed: str, together: bool) -> None:
    """As `curl --http2 --json` sends it."""
    body = chunked(FIT) if framed == "chunks" else FIT
    length = b"Content-Length: %d" % len(FIT)
    head = post(b"/fit", H2C + (b"Transfer-Encoding: chunked" if framed == "chunks" else length))
    answers = exchange(server, head + body + LAST) if together else in_parts(server, head, body)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b'"predict"' in answers


def test_upgrades_sent_ahead_are_answered_one_by_one(server: Server) -> None:
    one = LIVEZ + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n"
    answers = exchange(server, one * 3 + LAST)
    assert answers.count(b"HTTP/1.1 200 OK") == 4


def test_a_head_in_many_pieces_may_upgrade_too(server: Server) -> None:
    head = post(b"/fit", H2C + b"Content-Length: %d" % len(FIT))
    with connected(server) as sock:
        for at in range(0, len(head), 7):
            sock.sendall(head[at : at + 7])
        sock.sendall(FIT + LAST)
        assert rest(sock).count(b"HTTP/1.1 200 OK") == 2


def test_a_header_of_two_lines_stays_one(server: Server) -> None:
    folded = LIVEZ + b"X-A: b\r\n Content-Length: 40\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    answers = exchange(server, folded + LAST)
    assert answers.count(b"HTTP/1.1 200 OK") in {0, 2}


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (LIVEZ + b"Host: b\r\n\r\n", 400),
        (LIVEZ + b"Host: a\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (post(b"/fit", b"Transfer-Encoding: gzip, chunked") + chunked(FIT), 501),
        (
            post(b"/fit", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked") + chunked(FIT),
            501,
        ),
        (post(b"/fit", b"Transfer-Encoding: chunked").replace(b"1.1", b"1.0") + chunked(FIT), 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
    ],
)
def test_a_head_that_is_wrong_is_refused_and_ends_it(
    server: Server, head: bytes, code: int
) -> None:
    answer = exchange(server, head + LAST)
    assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1
    assert problem(answer)["status"] == code


def test_http_1_0_needs_no_host() -> None:
    assert request_head.fault([], "1.0") is None
    assert request_head.fault([], "1.1") is not None

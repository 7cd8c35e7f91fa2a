"""Bytes to a server and back, as no client would send them."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.resilience.servers import Server
from tests.soon import PATIENCE_S

_ANSWER = re.compile(rb"(?si)HTTP/1.1 \d+ .*?content-length: (\d+)\r\n.*?\r\n\r\n(.*)")


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        yield sock


def rest(sock: socket.socket) -> bytes:
    """All that comes until the server closes; an error where it does not."""
    got = b""
    try:
        while part := sock.recv(2**16):
            got += part
    except ConnectionResetError:
        pass
    return got


def whole(sock: socket.socket) -> bytes:
    """One answer with a Content-Length, and no more."""
    got = b""
    while not (found := _ANSWER.match(got)) or len(found[2]) < int(found[1]):
        part = sock.recv(2**16)
        assert part, got
        got += part
    return got


def exchange(server: Server, sent: bytes) -> bytes:
    with connected(server) as sock:
        sock.sendall(sent)
        return rest(sock)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def problem(answer: bytes) -> dict[str, Any]:
    """The problem that an answer is, with its status line and its media type checked."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    found: dict[str, Any] = json.loads(body)
    assert found["status"] == status(answer)
    return found

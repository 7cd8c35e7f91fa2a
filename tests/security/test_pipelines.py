"""Requests sent ahead of their answers, and then nobody there to read them."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.forked import Forked
from tests.resilience.servers import (
    DECAY,
    SERVE,
    Server,
    announced,
    environment_of,
    started,
    until,
)
from tests.security.sockets import connected, rest
from tests.soon import PATIENCE_S

_COUNT = re.compile(r'descent_http_requests_total.*route="/openapi.json"')
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
BIG = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1) as server:
        yield server


def reset(sock: socket.socket) -> None:
    """Closes it with no farewell."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def fit(tag: str) -> bytes:
    body = json.dumps(
        {**DECAY, "optimizer": "adam", "epochs": 10**8, "record_every": 10**6, "tags": {"is": tag}}
    ).encode()
    head = b"POST /fit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_all_are_answered_in_their_order(server: Server) -> None:
    last = LIVEZ.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connected(server) as sock:
        sock.sendall(LIVEZ + BIG + LIVEZ + last)
        answers = rest(sock)
    assert answers.count(b"HTTP/1.1 200 OK") == 4
    assert answers.index(b'"openapi"') < answers.rindex(b'{"status":"ok"}')


def test_who_hangs_up_with_more_sent_ahead_cancels_the_fit_all_the_same(server: Server) -> None:
    with server.client(trust_env=False) as client:

        def job(status: str) -> str | None:
            jobs = client.get("/jobs", params={"status": status}).json()["jobs"]
            return next((one["job_id"] for one in jobs if one["tags"].get("is") == "ahead"), None)

        with connected(server) as sock:
            sock.sendall(fit("ahead") + LIVEZ * 3)
            running = until(lambda: job("running"))
            reset(sock)
        assert until(lambda: job("cancelled")) == running


def test_a_head_that_stalls_behind_is_not_answered_into_the_answer_before(server: Server) -> None:
    """What is said about the second request does not stand in the middle of the first's answer."""
    with connected(server) as sock:
        sock.sendall(BIG + b"GARBAGE\r\n\r\n")
        answers = rest(sock)
    first, _, second = answers.partition(b"HTTP/1.1 400")
    if first:
        length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(first.partition(b"\r\n\r\n")[2]) == length
    assert b"malformed-request" in second


def leave_unread(server: Server, client: httpx.Client) -> None:
    """Asks for 10 MB ahead, and goes when the server can write no more of them."""

    def answered() -> str:
        lines = client.get("/metrics").text.splitlines()
        return next((one for one in lines if _COUNT.match(one)), "")

    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(BIG * 100)
        assert sock.recv(2**12)
        until(lambda: answered() == answered() != "")
        reset(sock)


def test_a_reader_that_resets_is_no_fault_of_ours(tmp_path: Path) -> None:
    """Neither an error nor a traceback in the log, however many answers were still to come."""
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        Forked(*SERVE, env=environment_of(), stderr=stderr.fileno()) as process,
    ):
        try:
            server = announced(process)
            with server.client(trust_env=False) as client:
                for _ in range(5):
                    leave_unread(server, client)
                assert client.get("/readyz").status_code == 200
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    assert log.read_text() == ""

"""The server as a process: its start, its output, its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import forked
from tests.resilience import servers
from tests.resilience.servers import environment_of
from tests.soon import PATIENCE_S

ENDLESS = {
    "data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]},
    "optimizer": {"name": "adam", "learning_rate": 1e-4},
    "epochs": 10**8,
}


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str

    def end(self, signum: int = signal.SIGTERM) -> tuple[str, str]:
        """The rest of stdout, and stderr, after it has ended."""
        self.process.send_signal(signum)
        return self.process.communicate(timeout=PATIENCE_S)


@contextmanager
def started() -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DESCENT_WORKERS": "1", "DESCENT_SHUTDOWN_GRACE_S": "1"},
    )
    assert process.stdout is not None
    with process:
        line = process.stdout.readline()
        found = re.fullmatch(r"Descent listens on (http://127\.0\.0\.1:\d+)\n", line)
        try:
            assert found, process.communicate(timeout=PATIENCE_S)
            yield Server(process, found[1])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started() as server:
        yield server


def test_the_address_is_printed_when_ready(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        fit = client.post("/fit", json={"data": {"x": [1, 2, 3], "y": [2, 4, 6]}})
        assert fit.json()["params"] == pytest.approx({"w": 2, "b": 0}, abs=1e-9)


def test_a_body_that_is_too_large_is_answered(server: Server) -> None:
    """Without a connection reset: the answer is sent and read before the connection closes."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        answer = client.post(
            "/fit",
            content=b" " * (65 * 2**20),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 413
        assert answer.headers["connection"] == "close"
        assert client.get("/livez").status_code == 200


def test_a_port_in_use_is_reported(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    second = forked.run("service", "serve", "--port", port, env=environment_of(), cwd=Path.cwd())
    assert second.returncode != 0
    assert second.stdout == ""
    assert "address already in use" in second.stderr


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_the_service_cleanly(signum: int, code: int) -> None:
    with started() as server:
        assert server.end(signum) == ("", "")
        assert server.process.returncode == code


def test_a_waiting_fit_is_answered_at_shutdown() -> None:
    with (
        servers.started(workers=1, shutdown_grace_s=1) as server,
        server.client() as client,
        ThreadPoolExecutor() as pool,
    ):
        waiting = pool.submit(client.post, "/fit", json=ENDLESS)
        while not client.get("/jobs", params={"status": "running"}).json()["jobs"]:
            pass
        server.process.terminate()
        answer = waiting.result()
        assert server.process.wait(PATIENCE_S) == 0
    assert answer.status_code == 200
    assert answer.json()["stop_reason"] == "cancelled"

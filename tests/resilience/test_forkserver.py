"""The process that workers are forked from: it shares the service's memory, and it can die."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import children, descendants
from tests.resilience.servers import (
    DECAY,
    LINE,
    SERVE,
    Server,
    announced,
    at_epoch,
    end,
    environment_of,
    family,
    kill,
    started,
    submit,
    until,
)
from tests.soon import PATIENCE_S

LONG: dict[str, Any] = {**DECAY, "optimizer": "adam", "epochs": 2_000_000, "record_every": 500_000}


@pytest.fixture
def server() -> Iterator[Server]:
    with started(workers=2) as server:
        yield server


def test_torch_lies_in_memory_once() -> None:
    """Three processes below the service, and less than half of its size more."""
    command = [sys.executable, "-m", *SERVE]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment_of(workers=2),
    ) as process:
        try:
            its_memory_is_shared(announced(process))
        finally:
            process.kill()


def its_memory_is_shared(server: Server) -> None:
    with server.client() as client:
        assert client.post("/fit", json=LINE).status_code == 200
        below = descendants(server.process.pid)
        assert len(below) == 3
        together = sum(map(proportional, {server.process.pid, *below}))
        assert together < 1.5 * server.rss()


def proportional(pid: int) -> int:
    """Bytes of a process's memory; what is shared counts in part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_the_death_of_the_fork_server_is_survived(server: Server) -> None:
    """Jobs go on from their checkpoints in workers of another, and nobody is left over."""
    with server.client() as client:
        whole = end(client, submit(client, LONG))["result"]
        jobs = [submit(client, LONG) for _ in range(2)]
        assert all(at_epoch(client, at, 1) for at in jobs)
        (server_pid,) = children(server.process.pid)
        kill(server_pid)
        for at in jobs:
            job = end(client, at)
            assert job["status"] == "succeeded"
            for part in ("params", "loss", "history", "best"):
                assert job["result"][part] == whole[part]
        assert client.post("/fit", json=LINE).status_code == 200
        until(lambda: len(server.workers()) == 2)
        assert children(server.process.pid).isdisjoint({server_pid}), "it was reaped"
        with family(server) as gone:
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(PATIENCE_S) == 0
            assert gone()


def test_a_killed_server_leaves_nobody_with_its_second_fork_server_either(server: Server) -> None:
    (server_pid,) = children(server.process.pid)
    kill(server_pid)
    until(lambda: len(server.workers()) == 2 and server_pid not in children(server.process.pid))
    with family(server) as gone:
        kill(server.process.pid)
        assert gone()

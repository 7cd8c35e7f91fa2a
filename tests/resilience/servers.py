"""A real server whose processes can be seen, killed and missed."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.forked import Forked
from tests.processes import children, descendants, ending
from tests.soon import PATIENCE_S

LOOK_S = 0.003
"""Seconds between two looks at what is waited for, so that the looks do not take all the time."""

SERVE = ("service", "serve", "--port", "0")

DECAY: dict[str, Any] = {
    "model": "y = a * exp(-b * x) + c",
    "data": {"x": [0, 1, 2, 3, 4, 5, 6, 7], "y": [5.1, 3.4, 2.4, 1.8, 1.4, 1.3, 1.1, 1.1]},
    "params": {"a": 3.0, "b": 0.3, "c": 0.5},
}
ENDLESS: dict[str, Any] = {**DECAY, "optimizer": "adam", "epochs": 10**8, "record_every": 10**6}
LINE: dict[str, Any] = {"data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}


@dataclass(frozen=True)
class Server:
    """A server under test."""

    process: Forked | subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=f"http://{self.address}", timeout=PATIENCE_S, **options)

    def workers(self) -> set[int]:
        """Pids of the processes that the fork server has forked."""
        return set().union(*map(children, children(self.process.pid)))

    def rss(self) -> int:
        """Bytes of memory that the process with the jobs has."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def started(*command: str, **settings: object) -> Iterator[Server]:
    """A server with those settings, or a module with its arguments; killed in the end."""
    with starting(*command, **settings) as process:
        yield announced(process)


@contextmanager
def starting(*command: str, **settings: object) -> Iterator[Forked]:
    """The same before it is ready, so that several can start at once."""
    with Forked(*(command or SERVE), env=environment_of(**settings)) as process:
        try:
            yield process
        finally:
            process.kill()


def environment_of(**settings: object) -> dict[str, str]:
    """The environment of a service: of Descent's variables only the given ones."""
    kept = {key: value for key, value in os.environ.items() if "DESCENT_" not in key}
    return kept | {f"DESCENT_{name.upper()}": str(value) for name, value in settings.items()}


def announced(process: Forked | subprocess.Popen[str]) -> Server:
    """The server, as soon as it says that it is ready."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE_S), "the service was not ready in time"
    line = process.stdout.readline()
    assert "http://" in line, "the service ended before it was ready"
    return Server(process, line.split("http://")[1].strip())


def family(server: Server) -> AbstractContextManager[Callable[[], bool]]:
    """Asks whether all processes of the server, as they are now, end soon."""
    return ending({server.process.pid, *descendants(server.process.pid)})


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def until(reached: Callable[[], Any]) -> Any:
    """What it returns, as soon as that is true; each look asks the server or the kernel."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := reached()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(LOOK_S)
    return found


def submit(client: httpx.Client, body: dict[str, Any], **headers: str) -> str:
    """Where the job of a background fit is."""
    answer = client.post("/fit", json={**body, "background": True}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def look(client: httpx.Client, at: str, **query: Any) -> dict[str, Any]:
    """The job as it is."""
    found: dict[str, Any] = client.get(at, params=query).json()
    return found


def end(client: httpx.Client, at: str) -> dict[str, Any]:
    """The job when it has finished."""
    found: dict[str, Any] = until(lambda: _finished(look(client, at, wait=30)))
    return found


def _finished(job: dict[str, Any]) -> dict[str, Any] | None:
    return job if job["finished_at"] else None


def at_epoch(client: httpx.Client, at: str, epoch: int) -> bool:
    """Waits until the job has done so many epochs; False where it ended before it was seen to."""
    job = until(lambda: _so_far(look(client, at), epoch))
    return job["finished_at"] is None


def _so_far(job: dict[str, Any], epoch: int) -> dict[str, Any] | None:
    return job if job["finished_at"] or job["progress"]["epoch"] >= epoch else None

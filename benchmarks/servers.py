"""Services under test: started on a free port of the loopback, ended by their pid."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

START_S = 180.0
STOP_S = 20.0

DESCENT = ("-m", "service", "serve", "--port", "0")


class Started(NamedTuple):
    """A process that is ready."""

    pid: int
    said: str
    """The line that it printed then."""

    @property
    def port(self) -> int:
        """Where a service listens."""
        return int(self.said.rpartition(":")[2])


@contextmanager
def serving() -> Iterator[int]:
    """The port of a service with its default settings."""
    with running(*DESCENT) as port:
        yield port


@contextmanager
def running(*arguments: str) -> Iterator[int]:
    """The port of `python *arguments`, which prints its address when it is ready."""
    with started(*arguments) as server:
        yield server.port


@contextmanager
def started(*arguments: str, **variables: object) -> Iterator[Started]:
    """`python *arguments`, which prints a line when it is ready, with those in its environment."""
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Started(process.pid, _line(process))
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def children(pid: int) -> Iterator[int]:
    """The processes right below one."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for child in children(pid):
        yield from family(child)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_S):
            raise TimeoutError(f"pid {process.pid} was not ready after {START_S:g} s")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"pid {process.pid} ended before it was ready")
    return line.rstrip()

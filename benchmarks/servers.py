"""Services under test: started on a free port of the loopback, ended by their pid."""

from __future__ import annotations

import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

START_S = 60.0
STOP_S = 20.0

DESCENT = ("-m", "service", "serve", "--port", "0")


@contextmanager
def running(*arguments: str) -> Iterator[int]:
    """The port of `python *arguments`, which prints its address when it is ready."""
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _port(process)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_S):
            raise TimeoutError(f"pid {process.pid} was not ready after {START_S:g} s")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"pid {process.pid} ended before it was ready")
    return int(line.rstrip().rpartition(":")[2])

"""A real `descent serve` on a free port, and a port on which nothing listens."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.soon import PATIENCE_S


@contextmanager
def serving(**settings: str) -> Iterator[str]:
    """The address of the service, such as 127.0.0.1:54321; settings by name."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    environment = {key: value for key, value in os.environ.items() if "DESCENT_" not in key}
    environment.update({f"DESCENT_{name.upper()}": value for name, value in settings.items()})
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            yield _announced(process)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def unused_address() -> Iterator[str]:
    """An address on which nothing listens, reserved so that nothing else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def _announced(process: subprocess.Popen[str]) -> str:
    """The address in the one line that it prints when it is ready."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE_S), "the service was not ready in time"
    line = process.stdout.readline()
    assert "http://" in line, "the service ended before it was ready"
    return line.split("http://")[1].strip()

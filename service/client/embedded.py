"""A temporary service: a child process that ends with what started it.

As a separate process the service has its own signals, event loop and workers, and what started it
does not import torch.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from service.client.errors import ClientError

STOP_S = 25.0
"""Seconds for it to shut down; about 0.1 s if nothing runs."""
_ENTRY = "service.cli.embedded"
_NOT_INHERITED = {
    *("WEB_CONCURRENCY", "DESCENT_HOST", "DESCENT_PORT", "DESCENT_URL", "DESCENT_API_KEY"),
    # It serves what started it only, and needs no key.
    *("DESCENT_KEYS", "DESCENT_KEYS_FILE"),
}


class CannotStart(ClientError):
    """The service did not start; the message is its output."""


@contextmanager
def running(settings: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Runs the service with these settings, such as `workers`; yields its address."""
    with tempfile.TemporaryFile() as output, _started(output.fileno(), settings or {}) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            while line and "http://" not in line:  # messages of the start
                print(line, end="", file=sys.stderr, flush=True)
                line = process.stdout.readline()
            if not line:
                process.wait()
                output.seek(0)
                raise CannotStart(output.read().decode(errors="replace").strip())
            yield line[line.index("http://") :].strip()
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


@asynccontextmanager
async def running_async(settings: Mapping[str, Any] | None = None) -> AsyncIterator[str]:
    """The same without blocking the event loop."""
    service = running(settings)
    address = await asyncio.to_thread(service.__enter__)
    try:
        yield address
    finally:
        await asyncio.to_thread(service.__exit__, None, None, None)


def _started(stderr: int, settings: Mapping[str, Any]) -> subprocess.Popen[str]:
    environment = {k: value for k, value in os.environ.items() if k not in _NOT_INHERITED}
    environment.setdefault("DESCENT_WORKERS", "1")
    environment["DESCENT_SHUTDOWN_GRACE_S"] = "1"
    environment |= {f"DESCENT_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", _ENTRY, str(os.getpid())],
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,  # ^C is handled by what started it, which then stops the fit
    )

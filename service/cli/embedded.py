"""A service of one's own for one command: a child process that ends with it.

A process apart, rather than the application in this one: the service keeps its signals, its loop
and its workers to itself, and the command needs no torch.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STOP_S = 25.0
"""Seconds that it has to close down; it needs a tenth of one where nothing runs."""
_PR_SET_PDEATHSIG = 1
_NOT_HERS = {
    *("WEB_CONCURRENCY", "DESCENT_HOST", "DESCENT_PORT", "DESCENT_URL", "DESCENT_API_KEY"),
    # It is nobody's but this command's, and asks for no key.
    *("DESCENT_KEYS", "DESCENT_KEYS_FILE"),
}


class CannotStart(Exception):
    """The service did not start; the message is what it said."""


@contextmanager
def running() -> Iterator[str]:
    """Its address, while it runs."""
    with tempfile.TemporaryFile() as said, _started(said.fileno()) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            while line and "http://" not in line:  # what it waits for
                print(line, end="", file=sys.stderr, flush=True)
                line = process.stdout.readline()
            if not line:
                process.wait()
                said.seek(0)
                raise CannotStart(said.read().decode(errors="replace").strip())
            yield line[line.index("http://") :].strip()
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _started(stderr: int) -> subprocess.Popen[str]:
    environment = {k: value for k, value in os.environ.items() if k not in _NOT_HERS}
    environment.setdefault("DESCENT_WORKERS", "1")
    environment["DESCENT_SHUTDOWN_GRACE_S"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(os.getpid())],
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,  # ^C is for the command, which then stops the fit
    )


def _end_with(parent: int) -> None:
    """Has Linux end this process when the command does, even by a kill; elsewhere nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit()


if __name__ == "__main__":
    from service.cli import main

    _end_with(int(sys.argv[1]))
    logging.getLogger("descent.kernel").addHandler(logging.StreamHandler(sys.stdout))
    main(["serve", "--port", "0"], prog_name="descent")

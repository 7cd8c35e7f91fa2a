"""A temporary service for one command: a child process that ends with it.


As a separate process the service has its own signals, event loop and workers, and the command does
not import torch.
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
"""Seconds for it to shut down; about 0.1 s if nothing runs."""
_PR_SET_PDEATHSIG = 1
_NOT_INHERITED = {
    *("WEB_CONCURRENCY", "DESCENT_HOST", "DESCENT_PORT", "DESCENT_URL", "DESCENT_API_KEY"),
    # It serves this command only, and needs no key.
    *("DESCENT_KEYS", "DESCENT_KEYS_FILE"),
}


class CannotStart(Exception):
    """The service did not start; the message is its output."""


@contextmanager
def running() -> Iterator[str]:
    """Runs the service; yields its address."""
    with tempfile.TemporaryFile() as output, _started(output.fileno()) as process:
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


def _started(stderr: int) -> subprocess.Popen[str]:
    environment = {k: value for k, value in os.environ.items() if k not in _NOT_INHERITED}
    environment.setdefault("DESCENT_WORKERS", "1")
    environment["DESCENT_SHUTDOWN_GRACE_S"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(os.getpid())],
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,  # ^C is handled by the command, which then stops the fit
    )


def _end_with(parent: int) -> None:
    """On Linux, ends this process when the command ends, even if killed; elsewhere no effect."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit()


if __name__ == "__main__":
    from service.cli import main

    _end_with(int(sys.argv[1]))
    logging.getLogger("descent.kernel").addHandler(logging.StreamHandler(sys.stdout))
    main(["serve", "--port", "0"], prog_name="descent")

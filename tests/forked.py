"""`python -m …` in a process forked from one that has imported what the service uses.

A start of the service takes seconds, nearly all of them for imports, and the tests start it many
times. Here a process is forked from the service's own fork server (service/jobs/forkserver.py),
started once for each process of the tests, which has these imports; from there on all is as in a
process of its own. Starts that are themselves under test use `subprocess`: tests/cli/test_serve.py.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from functools import cache
from typing import IO, Self

from service.jobs import forkserver

_ENTRY = "tests.forked_main:run"


class Forked:
    """A process with the part of `subprocess.Popen` that the tests use; its standard error is
    discarded."""

    def __init__(
        self, module: str, *arguments: str, env: dict[str, str], new_session: bool = False
    ) -> None:
        self.returncode: int | None = None
        reading, writing = os.pipe()
        sock, theirs = socket.socketpair()
        self._lease, lease = socket.socketpair()
        with sock, open(writing, "wb") as output, open(os.devnull, "wb") as nowhere:
            with theirs, lease:
                message = forkserver.REQUEST.pack(1, _ENTRY.encode())
                socket.send_fds(_control(), [message], [theirs.fileno(), lease.fileno()])
            socket.send_fds(sock, [b"\0"], [output.fileno(), nowhere.fileno()])
            request = [module, arguments, env, os.getcwd(), new_session]
            sock.sendall(json.dumps(request).encode())
        self.stdout: IO[str] = os.fdopen(reading, encoding="utf-8")
        self.pid = self._number()

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None:
            self._lease.setblocking(False)
            try:
                self.returncode = self._number()
            except BlockingIOError:
                pass
            finally:
                self._lease.setblocking(True)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended."""
        if self.returncode is None:
            self._lease.settimeout(timeout)
            try:
                self.returncode = self._number()
            except TimeoutError:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0) from None
            finally:
                self._lease.settimeout(None)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for its end."""
        self.stdout.close()
        self.wait()
        self._lease.close()

    def _number(self) -> int:
        packed = self._lease.recv(forkserver.NUMBER.size)
        assert packed, "the fork server has ended"
        number: int = forkserver.NUMBER.unpack(packed)[0]
        return number


@cache
def _control() -> socket.socket:
    """The socket of the fork server, which is started here; it ends when the socket closes."""
    ours, theirs = socket.socketpair()
    environment = {key: value for key, value in os.environ.items() if "DESCENT_" not in key}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", forkserver.__name__],
            stdin=theirs.fileno(),
            env=environment,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours

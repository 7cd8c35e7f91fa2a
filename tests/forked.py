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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

from service.jobs import forkserver
from tests.soon import PATIENCE_S

_ENTRY = "tests.forked_main:run"


class _Process:
    """A forked process, with those descriptors as its standard input, output and error."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        descriptors: Sequence[int],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        new_session: bool = False,
        control: socket.socket | None = None,
    ) -> None:
        self.returncode: int | None = None
        sock, theirs = socket.socketpair()
        self._lease, lease = socket.socketpair()
        with sock:
            with theirs, lease:
                message = forkserver.REQUEST.pack(1, _ENTRY.encode())
                socket.send_fds(control or _control(), [message], [theirs.fileno(), lease.fileno()])
            socket.send_fds(sock, [b"\0"], descriptors)
            asked = {
                "module": module,
                "arguments": arguments,
                "env": dict(env),
                "cwd": str(cwd or Path.cwd()),
                "new_session": new_session,
            }
            sock.sendall(json.dumps(asked).encode())
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
            with suppress(ProcessLookupError):  # ended, and not yet reported
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        packed = self._lease.recv(forkserver.NUMBER.size)
        assert packed, "the fork server has ended"
        number: int = forkserver.NUMBER.unpack(packed)[0]
        return number

    def close(self) -> None:
        """Waits for its end."""
        self.wait()
        self._lease.close()


class Forked(_Process):
    """A process with the part of `subprocess.Popen` that the tests use; its standard error goes to
    that descriptor, or nowhere."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        env: Mapping[str, str],
        new_session: bool = False,
        stderr: int | None = None,
    ) -> None:
        reading, writing = os.pipe()
        with open(os.devnull, "r+b") as null, open(writing, "wb") as output:
            descriptors = (null.fileno(), output.fileno(), stderr or null.fileno())
            super().__init__(module, arguments, descriptors, env=env, new_session=new_session)
        self.stdout: IO[str] = os.fdopen(reading, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.stdout.close()
        super().close()


def run(
    module: str,
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout: float | None = PATIENCE_S,
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of `python -m module`, forked, with its output as text."""
    with TemporaryFile("w+") as source, TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        source.write(stdin)
        source.seek(0)
        descriptors = [file.fileno() for file in (source, out, err)]
        process = _Process(module, arguments, descriptors, env=env, cwd=cwd)
        try:
            process.wait(timeout)
        finally:
            process.kill()
            process.close()
        out.seek(0)
        err.seek(0)
        assert process.returncode is not None
        return subprocess.CompletedProcess(
            [module, *arguments], process.returncode, out.read(), err.read()
        )


def descriptor() -> int:
    """For a shell that is given it (`pass_fds`): `python -S -m tests.forked DESCRIPTOR module …`
    there is `python -m module …`, forked."""
    return _control().fileno()


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


def main(descriptor: str, module: str, *arguments: str) -> int:
    """Its exit code; it has the descriptors and the environment of this process."""
    with socket.socket(fileno=int(descriptor)) as control:
        process = _Process(module, arguments, (0, 1, 2), env=os.environ, control=control)
        try:
            return process.wait()
        finally:
            process.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

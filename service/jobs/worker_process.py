"""The parent's handle of a worker process, which it talks to over a private socket."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from service.jobs import frames, processes
from service.jobs.forkserver import NUMBER

_REAP_S = 5.0
"""Seconds to wait for a process whose socket has closed, before it is killed."""


class WorkerProcess:
    """One process. It ends when this end of its socket is closed, for whatever reason."""

    def __init__(self, pid: int, sock: socket.socket, lease: socket.socket) -> None:
        self.pid = pid
        self._sock, self._lease = sock, lease
        self._sending = asyncio.Lock()
        self._close = weakref.finalize(self, _close, sock, lease)

    @classmethod
    async def spawn(cls, entry: str, threads: int) -> WorkerProcess:
        """A new worker that runs `entry` ("module:function") with its socket and `threads`."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                pid, lease = await _start(entry, threads, theirs)
            except BaseException:
                ours.close()
                raise
        return cls(pid, ours, lease)

    async def send(self, message: object) -> None:
        """Sends the whole message. A dead worker raises no error here, but at `receive`."""
        async with self._sending:
            with suppress(OSError):
                await frames.send_async(self._sock, message)

    async def receive(self) -> object:
        """The next message. Raises EOFError when the process has ended."""
        try:
            return await frames.receive_async(self._sock)
        except OSError as error:
            raise EOFError from error

    def kill(self) -> None:
        """Kills the process; `receive` then raises EOFError."""
        with suppress(OSError):
            self._lease.shutdown(socket.SHUT_WR)

    def shut_down(self) -> None:
        """Asks the process to end, by closing both directions of its socket."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    async def reap(self) -> int | None:
        """Closes the socket and waits for the process to end. Returns its exit code, negative for a
        signal; None where the fork server was killed, and the process with it."""
        self._sock.close()
        try:
            with suppress(TimeoutError):
                return await asyncio.wait_for(_read_number(self._lease), _REAP_S)
            self.kill()
            return await _read_number(self._lease)
        finally:
            self._close()


def processor_s(pid: int) -> float:
    """Processor seconds that a process has used; infinite if unknown."""
    try:
        # The fields follow the name in parentheses, which may contain any character.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _start(entry: str, threads: int, sock: socket.socket) -> tuple[int, socket.socket]:
    """The pid of a new process, and its lease. Raises OSError where none can be started."""
    for _ in range(2):  # a fork server that has died may be noticed only now
        lease = processes.request(entry, threads, sock)
        try:
            lease.setblocking(False)
            pid = await _read_number(lease)
        except BaseException:
            lease.close()
            raise
        if pid is not None:
            return pid, lease
        lease.close()
    raise OSError("no process could be started; the log has the reason")


async def _read_number(lease: socket.socket) -> int | None:
    """The next number sent by the fork server; None where it has closed the lease."""
    with suppress(OSError):
        if received := await asyncio.get_running_loop().sock_recv(lease, NUMBER.size):
            return int(NUMBER.unpack(received)[0])
    return None


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()

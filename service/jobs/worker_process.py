"""A worker as its parent sees it: a process at the far end of a private socket."""

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
    """One process. It ends when this end of its socket closes, whatever closes it."""

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
        """Sends it whole; a worker that is gone shows at `receive`."""
        async with self._sending:
            with suppress(OSError):
                await frames.send_async(self._sock, message)

    async def receive(self) -> object:
        """The next message; EOFError when the process has ended."""
        try:
            return await frames.receive_async(self._sock)
        except OSError as error:
            raise EOFError from error

    def kill(self) -> None:
        """Ends it at once; `receive` then raises."""
        with suppress(OSError):
            self._lease.shutdown(socket.SHUT_WR)

    def dismiss(self) -> None:
        """Tells it to go: it sees the end of its socket, as we do."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    async def reap(self) -> int | None:
        """Closes the socket and sees the process off; its exit code, negative for a signal. None
        where that is not known: the fork server was killed, and the process with it."""
        self._sock.close()
        try:
            with suppress(TimeoutError):
                return await asyncio.wait_for(_number(self._lease), _REAP_S)
            self.kill()
            return await _number(self._lease)
        finally:
            self._close()


def processor_s(pid: int) -> float:
    """Seconds of a processor that a process has used; infinite where that cannot be known."""
    try:
        # The fields after the name in brackets, which may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _start(entry: str, threads: int, sock: socket.socket) -> tuple[int, socket.socket]:
    """The pid of a new process, and the lease on it."""
    for _ in range(2):  # that the fork server has died may show only now
        lease = processes.request(entry, threads, sock)
        try:
            lease.setblocking(False)
            pid = await _number(lease)
        except BaseException:
            lease.close()
            raise
        if pid is not None:
            return pid, lease
        lease.close()
    raise OSError("no process could be started; the log says why")


async def _number(lease: socket.socket) -> int | None:
    """What the fork server says next; None where it says no more."""
    with suppress(OSError):
        if said := await asyncio.get_running_loop().sock_recv(lease, NUMBER.size):
            return int(NUMBER.unpack(said)[0])
    return None


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()

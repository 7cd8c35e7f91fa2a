"""The fork server: a process that has imported all that a worker needs, and only forks.

A request for a process is its entry point ("module:function"), its number of threads and two
descriptors: the process's own socket, and its *lease*. The fork server writes the pid to the lease,
and the exit code when the process has ended. When the other end of the lease closes, for whatever
reason, the process is killed. So no other process signals it, and a pid cannot be reused: it is a
child of the fork server. When the control socket closes, the fork server ends with all its
children.

Nothing here starts a thread or computes: a fork would copy locks in whatever state they are.
`processes` is the client side.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import wait
from typing import NoReturn

from service.jobs.parent_death import end_with_parent

REQUEST = struct.Struct("<I252s")
"""Threads, entry."""
NUMBER = struct.Struct("<i")
"""A pid, or an exit code: negative for a signal."""


def serve(control: socket.socket) -> NoReturn:
    """Turns this process, which has one thread, into a fork server until `control` closes."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        server = _ForkServer(control)
        server.work()
        server.end()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # putting torch away would take longer than all the rest


class _ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._leases: dict[int, socket.socket] = {}
        """Of every child that has not been reaped, by pid."""
        self._held: dict[socket.socket, int] = {}
        """The same, less those whose far end has closed."""
        self._deaths, self._knell = socket.socketpair()
        self._knell.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what has no handler wakes nobody
        signal.set_wakeup_fd(self._knell.fileno(), warn_on_full_buffer=False)
        gc.disable()

    def work(self) -> None:
        """Until the far end of the control socket has closed."""
        while True:
            for ready in wait([self._control, self._deaths, *self._held]):
                if ready is self._deaths:
                    self._deaths.recv(4096)
                    self._reap()
                elif ready is self._control:
                    if not self._answer():
                        return
                elif isinstance(ready, socket.socket) and ready in self._held:
                    os.kill(self._held.pop(ready), signal.SIGKILL)

    def end(self) -> None:
        """Leaves no child."""
        for pid in self._leases:
            os.kill(pid, signal.SIGKILL)

    def _answer(self) -> bool:
        """One request; False where there will be no more."""
        request, fds, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
        if not request:
            return False
        threads, entry = REQUEST.unpack(request)
        sock, lease = (socket.socket(fileno=fd) for fd in fds)
        for each in (sock, lease):
            each.set_inheritable(False)
        with sock:
            self._bear(entry.rstrip(b"\0").decode(), threads, sock, lease)
        return True

    def _bear(self, entry: str, threads: int, sock: socket.socket, lease: socket.socket) -> None:
        with suppress(Exception):  # the child will say what it is
            importlib.import_module(entry.partition(":")[0])
        gc.freeze()  # a collection in a child would write to every page that it shares with us
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            traceback.print_exc()
            lease.close()
            return
        if pid == 0:
            self._become(entry, threads, sock, lease, parent)
        self._leases[pid], self._held[lease] = lease, pid
        self._write(lease, pid)

    def _become(
        self, entry: str, threads: int, sock: socket.socket, lease: socket.socket, parent: int
    ) -> NoReturn:
        """The child, from its first moment to its last."""
        code = 1
        try:
            end_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (self._control, self._deaths, self._knell, lease, *self._leases.values()):
                each.close()
            gc.enable()
            module, _, function = entry.partition(":")
            getattr(importlib.import_module(module), function)(sock, threads)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _reap(self) -> None:
        """Sees off every child that has ended."""
        while self._leases:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            lease = self._leases.pop(pid)
            self._held.pop(lease, None)
            self._write(lease, os.waitstatus_to_exitcode(status))
            lease.close()

    @staticmethod
    def _write(lease: socket.socket, number: int) -> None:
        with suppress(OSError):
            lease.send(NUMBER.pack(number))


if __name__ == "__main__":
    # Started by `processes`, with the control socket as its standard input.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    serve(socket.socket(fileno=os.dup(0)))

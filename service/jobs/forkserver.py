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

from service.jobs.system import end_with_parent

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
        server.run()
        server.end()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # skips torch's slow shutdown


class _ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._leases: dict[int, socket.socket] = {}
        """Leases by pid, of every child that has not been reaped."""
        self._open_leases: dict[socket.socket, int] = {}
        """Pids by lease, of those whose other end is still open."""
        self._child_exits, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        signal.signal(
            signal.SIGCHLD, lambda *_: None
        )  # without a handler the wakeup descriptor is not written to
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        gc.disable()

    def run(self) -> None:
        """Serves requests until the other end of the control socket is closed."""
        while True:
            for ready in wait([self._control, self._child_exits, *self._open_leases]):
                if ready is self._child_exits:
                    self._child_exits.recv(4096)
                    self._reap()
                elif ready is self._control:
                    if not self._handle_request():
                        return
                elif isinstance(ready, socket.socket) and ready in self._open_leases:
                    os.kill(self._open_leases.pop(ready), signal.SIGKILL)

    def end(self) -> None:
        """Kills all children."""
        for pid in self._leases:
            os.kill(pid, signal.SIGKILL)

    def _handle_request(self) -> bool:
        """Handles one request; False where the control socket is closed."""
        request, fds, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
        if not request:
            return False
        threads, entry = REQUEST.unpack(request)
        sock, lease = (socket.socket(fileno=fd) for fd in fds)
        for each in (sock, lease):
            each.set_inheritable(False)
        with sock:
            self._fork(entry.rstrip(b"\0").decode(), threads, sock, lease)
        return True

    def _fork(self, entry: str, threads: int, sock: socket.socket, lease: socket.socket) -> None:
        with suppress(Exception):  # the child fails with the same error and reports it
            importlib.import_module(entry.partition(":")[0])
        gc.freeze()  # a collection in a child would copy every page shared with this process
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            traceback.print_exc()
            lease.close()
            return
        if pid == 0:
            self._run_child(entry, threads, sock, lease, parent)
        self._leases[pid], self._open_leases[lease] = lease, pid
        self._write(lease, pid)

    def _run_child(
        self, entry: str, threads: int, sock: socket.socket, lease: socket.socket, parent: int
    ) -> NoReturn:
        """Runs `entry` in the new child; never returns."""
        code = 1
        try:
            end_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (
                self._control,
                self._child_exits,
                self._wakeup,
                lease,
                *self._leases.values(),
            ):
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
        """Reaps every child that has ended, and writes its exit code to its lease."""
        while self._leases:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            lease = self._leases.pop(pid)
            self._open_leases.pop(lease, None)
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

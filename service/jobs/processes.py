"""This process's fork server, which every process of ours is a fork of: see `forkserver`.

There are two ways to it. `descent serve` forks it from itself, when it has imported all and before
it has a thread, an event loop or a computation behind it: torch is loaded once, and lies once in
memory. Anywhere else (tests, a notebook, another server) there may be threads, and a fork would not
be safe: there a fresh Python becomes the fork server, and imports what its first request names.
So it is, too, when the first one was killed.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import NamedTuple

from service.jobs import forkserver
from service.jobs.parent_death import end_with_parent

_UNHEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What is sent to the whole group is this process's business, and not its children's."""


class _ForkServer(NamedTuple):
    pid: int
    control: socket.socket


_lock = threading.Lock()
_forkserver: _ForkServer | None = None


def start_forkserver() -> None:
    """Makes the fork server a fork of this process as it is; where that has threads, nothing."""
    global _forkserver
    with _lock:
        if _forkserver is None and threading.active_count() == 1:
            _forkserver = _forked()


def request(entry: str, threads: int, sock: socket.socket) -> socket.socket:
    """Asks for a process that runs `entry` with `sock` and `threads`; the lease on it."""
    message = forkserver.REQUEST.pack(threads, entry.encode())
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            _send(message, [sock.fileno(), theirs.fileno()])
        except BaseException:
            ours.close()
            raise
    return ours


def close_forkserver() -> None:
    """Ends the fork server, and with it every process that is left."""
    global _forkserver
    with _lock:
        if _forkserver is not None:
            _see_off(_forkserver)
            _forkserver = None


def _send(message: bytes, descriptors: list[int]) -> None:
    global _forkserver
    with _lock:
        if _forkserver is not None:
            with suppress(OSError):
                socket.send_fds(_forkserver.control, [message], descriptors)
                return
            _see_off(_forkserver)
        _forkserver = _executed()
        socket.send_fds(_forkserver.control, [message], descriptors)


def _forked() -> _ForkServer:
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    gc.freeze()  # a collection, here or there, would write to every page that is shared
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _UNHEARD)
    pid = os.fork()
    if pid == 0:
        end_with_parent(parent)
        ours.close()
        forkserver.serve(theirs)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _ForkServer(pid, ours)


def _executed() -> _ForkServer:
    ours, theirs = socket.socketpair()
    with theirs:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", forkserver.__name__],
            {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
            setsigmask=_UNHEARD,
        )
    atexit.register(close_forkserver)
    return _ForkServer(pid, ours)


def _see_off(old: _ForkServer) -> None:
    """Whatever it is at, and whether it lives or not: it is ours to reap."""
    old.control.close()
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(old.pid, signal.SIGKILL)
        os.waitpid(old.pid, 0)

"""The client of the fork server, from which all child processes are forked (see `forkserver`).


`descent serve` forks it from itself after all imports and before it has a thread, an event loop or
has computed anything: torch is loaded once, and its pages are shared. Elsewhere (tests, a notebook,
another server) there may be threads, so that a fork would not be safe: there a new Python process
becomes the fork server, and imports what its first request names. The same replaces a fork server
that was killed.
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
from service.jobs.system import end_with_parent

_BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Blocked in children: signals to the process group are handled by this process."""


class _ForkServer(NamedTuple):
    pid: int
    control: socket.socket


_lock = threading.Lock()
_forkserver: _ForkServer | None = None


def start_forkserver() -> None:
    """Forks the fork server from this process; no effect if it has other threads."""
    global _forkserver
    with _lock:
        if _forkserver is None and threading.active_count() == 1:
            _forkserver = _fork()


def request(entry: str, threads: int, sock: socket.socket) -> socket.socket:
    """Requests a process that runs `entry` with `sock` and `threads`; returns its lease."""
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
    """Ends the fork server, and with it all its children."""
    global _forkserver
    with _lock:
        if _forkserver is not None:
            _end(_forkserver)
            _forkserver = None


def _send(message: bytes, descriptors: list[int]) -> None:
    global _forkserver
    with _lock:
        if _forkserver is not None:
            with suppress(OSError):
                socket.send_fds(_forkserver.control, [message], descriptors)
                return
            _end(_forkserver)
        _forkserver = _spawn()
        socket.send_fds(_forkserver.control, [message], descriptors)


def _fork() -> _ForkServer:
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    gc.freeze()  # a collection, in either process, would copy every shared page
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    pid = os.fork()
    if pid == 0:
        end_with_parent(parent)
        ours.close()
        forkserver.serve(theirs)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _ForkServer(pid, ours)


def _spawn() -> _ForkServer:
    ours, theirs = socket.socketpair()
    with theirs:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", forkserver.__name__],
            {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
            setsigmask=_BLOCKED,
        )
    atexit.register(close_forkserver)
    return _ForkServer(pid, ours)


def _end(old: _ForkServer) -> None:
    """Kills and reaps a fork server, running or dead."""
    old.control.close()
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(old.pid, signal.SIGKILL)
        os.waitpid(old.pid, 0)

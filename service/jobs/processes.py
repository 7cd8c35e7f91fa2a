"""This process's zygote, which every process of ours is a fork of: see `zygote`.

There are two ways to it. `descent serve` forks it from itself, when it has imported all and before
it has a thread, an event loop or a computation behind it: torch is loaded once, and lies once in
memory. Anywhere else (tests, a notebook, another server) there may be threads, and a fork would not
be safe: there a fresh Python becomes the zygote, and imports again what its first request names.
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

from service.jobs import zygote
from service.jobs.parentage import die_with

_UNHEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What is sent to the whole group is this process's business, and not its children's."""


class _Zygote(NamedTuple):
    pid: int
    control: socket.socket


_lock = threading.Lock()
_zygote: _Zygote | None = None


def fork_zygote() -> None:
    """Makes the zygote a fork of this process as it is; where that has threads, nothing."""
    global _zygote
    with _lock:
        if _zygote is None and threading.active_count() == 1:
            _zygote = _forked()


def request(entry: str, threads: int, sock: socket.socket) -> socket.socket:
    """Asks for a process that runs `entry` with `sock` and `threads`; the lease on it."""
    message = zygote.REQUEST.pack(threads, entry.encode())
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            _send(message, [sock.fileno(), theirs.fileno()])
        except BaseException:
            ours.close()
            raise
    return ours


def close_zygote() -> None:
    """Ends the zygote, and with it every process that is left."""
    global _zygote
    with _lock:
        if _zygote is not None:
            _see_off(_zygote)
            _zygote = None


def _send(message: bytes, descriptors: list[int]) -> None:
    global _zygote
    with _lock:
        if _zygote is not None:
            with suppress(OSError):
                socket.send_fds(_zygote.control, [message], descriptors)
                return
            _see_off(_zygote)
        _zygote = _executed()
        socket.send_fds(_zygote.control, [message], descriptors)


def _forked() -> _Zygote:
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    gc.freeze()  # a collection, here or there, would write to every page that is shared
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _UNHEARD)
    pid = os.fork()
    if pid == 0:
        die_with(parent)
        ours.close()
        zygote.serve(theirs)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Zygote(pid, ours)


def _executed() -> _Zygote:
    ours, theirs = socket.socketpair()
    with theirs:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", zygote.__name__],
            {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
            setsigmask=_UNHEARD,
        )
    atexit.register(close_zygote)
    return _Zygote(pid, ours)


def _see_off(old: _Zygote) -> None:
    """Whatever it is at, and whether it lives or not: it is ours to reap."""
    old.control.close()
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(old.pid, signal.SIGKILL)
        os.waitpid(old.pid, 0)

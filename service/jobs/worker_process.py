"""A worker as its parent sees it: a process at the far end of a private socket."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import signal
import socket
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from types import ModuleType

from service.jobs import frames

_REAP_S = 5.0
"""Seconds to wait for a process whose socket has closed, before it is killed."""


class WorkerProcess:
    """One process. It ends when this end of its socket closes, whatever closes it."""

    def __init__(self, process: ForkServerProcess, sock: socket.socket) -> None:
        self._process, self._sock = process, sock
        self._sending = asyncio.Lock()
        # Before multiprocessing's own exit handler, which would wait for the process for ever.
        self._close = weakref.finalize(self, sock.close)

    @classmethod
    async def spawn(cls, entry: str, threads: int) -> WorkerProcess:
        """A new worker that runs `entry` ("module:function") with its socket and `threads`."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.to_thread(_start, entry, theirs, threads)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid or 0

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
        self._process.kill()

    def dismiss(self) -> None:
        """Tells it to go: it sees the end of its socket, as we do."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    async def reap(self) -> int | None:
        """Closes the socket and sees the process off; its exit code, negative for a signal."""
        self._close()
        return await asyncio.to_thread(_see_off, self._process)


def preload(entry: str) -> None:
    """Starts the forkserver, unless it runs, and has it import the entry's module before it starts
    its first worker. It ends with the thread that calls this, which should be the main one."""
    modules = ["service.jobs.forkserver_preload", entry.partition(":")[0]]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    resource_tracker.ensure_running()  # it meddles with the signals that are blocked next
    with _no_main_module(), _unheard(signal.SIGTERM, signal.SIGINT):
        forkserver.ensure_running()


def _start(entry: str, sock: socket.socket, threads: int) -> ForkServerProcess:
    process = multiprocessing.get_context("forkserver").Process(
        target=_enter, args=(entry, sock, threads), name="descent-worker", daemon=True
    )
    resource_tracker.ensure_running()  # it meddles with the signals that are blocked next
    with _no_main_module(), _unheard(signal.SIGTERM, signal.SIGINT):
        process.start()
    return process


def _enter(entry: str, sock: socket.socket, threads: int) -> None:
    """The first call in the new process."""
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(sock, threads)


def _see_off(process: ForkServerProcess) -> int | None:
    process.join(_REAP_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    code = process.exitcode
    process.close()
    return code


@contextmanager
def _unheard(*signals: signal.Signals) -> Iterator[None]:
    """Processes started here do not hear them: one sent to the whole group is the parent's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """A worker needs nothing of the script that started its parent; importing it takes its time."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

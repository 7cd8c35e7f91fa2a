"""The far end of a worker's socket: takes one task after another until its parent is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
from collections.abc import Callable
from pathlib import Path

from service.jobs import frames
from service.jobs.messages import Cancel, Ready, Task
from service.jobs.run_job import Send

RunTask = Callable[[Task, Send, Callable[[], bool]], None]


class WorkerLoop:
    """One worker, one thread: it listens between tasks, and looks up between a task's slices."""

    def __init__(self, sock: socket.socket, run: RunTask) -> None:
        self._sock, self._run = sock, run
        self._heard = select.poll()
        self._heard.register(sock, select.POLLIN)
        self._cancelled: str | None = None
        """The job that was cancelled last."""

    def work(self) -> None:
        """Never returns: the process ends with its socket."""
        self._send(Ready())
        while True:
            message = self._receive()
            if isinstance(message, Task):
                self._do(message)

    def _do(self, task: Task) -> None:
        """One task; nothing of it is left when this returns."""
        self._run(task, self._send, lambda: self._is_cancelled(task.job_id))

    def _is_cancelled(self, job_id: str) -> bool:
        while self._heard.poll(0):
            message = self._receive()
            if isinstance(message, Cancel):
                self._cancelled = message.job_id
        return self._cancelled == job_id

    def _send(self, message: object) -> None:
        try:
            frames.send(self._sock, message)
        except OSError:
            os._exit(0)

    def _receive(self) -> object:
        """Its end is the parent's, and so this process's."""
        try:
            return frames.receive(self._sock)
        except (EOFError, OSError):
            os._exit(0)


def settle_in() -> None:
    """Makes this process a worker: out of memory, it goes before its parent; it logs to stderr."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s[%(process)d] %(message)s"
    )

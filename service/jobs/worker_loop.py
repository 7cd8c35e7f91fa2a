"""The loop of a worker process: runs tasks from its socket until the parent closes it."""

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
    """One worker in one thread: it reads messages between tasks, and between a task's slices."""

    def __init__(self, sock: socket.socket, run: RunTask) -> None:
        self._sock, self._run = sock, run
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._cancelled: str | None = None
        """The job that was cancelled last."""

    def work(self) -> None:
        """Never returns: the process ends when its socket is closed."""
        self._send(Ready())
        while True:
            message = self._receive()
            if isinstance(message, Task):
                self._run_task(message)

    def _run_task(self, task: Task) -> None:
        """Runs one task and keeps no reference to it."""
        self._run(task, self._send, lambda: self._is_cancelled(task.job_id))

    def _is_cancelled(self, job_id: str) -> bool:
        while self._poll.poll(0):
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
        """The next message; ends the process where the parent has closed the socket."""
        try:
            return frames.receive(self._sock)
        except (EOFError, OSError):
            os._exit(0)


def set_up_process() -> None:
    """Sets up a child process: it is killed before its parent when memory runs out, and logs to
    stderr."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s[%(process)d] %(message)s"
    )

"""The far end of a worker's socket: takes one task after another until its parent is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from service.jobs import frames
from service.jobs.messages import Cancel, Ready, Task
from service.jobs.run_job import Send

RunTask = Callable[[Task, Send, Callable[[], bool]], None]


class WorkerLoop:
    """One worker: a thread that listens, and the main thread that works."""

    def __init__(self, sock: socket.socket, run: RunTask) -> None:
        self._sock, self._run = sock, run
        self._inbox: SimpleQueue[Task] = SimpleQueue()
        self._cancelled: str | None = None
        """The job that was cancelled last."""

    def work(self) -> None:
        """Never returns: the process ends with its socket."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        self._send(Ready())
        while True:
            self._do(self._inbox.get())

    def _do(self, task: Task) -> None:
        """One task; nothing of it is left when this returns."""
        job_id = task.job_id
        self._run(task, self._send, lambda: self._cancelled == job_id)

    def _send(self, message: object) -> None:
        try:
            frames.send(self._sock, message)
        except OSError:
            os._exit(0)

    def _listen(self) -> None:
        """Blocks on the socket; its end is the parent's, and so this process's."""
        while True:
            try:
                message = frames.receive(self._sock)
            except (EOFError, OSError):
                os._exit(0)
            if isinstance(message, Cancel):
                self._cancelled = message.job_id
            elif isinstance(message, Task):
                self._inbox.put(message)


def settle_in() -> None:
    """Makes this process a worker: out of memory, it goes before its parent; it logs to stderr."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s[%(process)d] %(message)s"
    )

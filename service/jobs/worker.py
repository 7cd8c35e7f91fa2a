"""The entry of worker processes, and the only module of `jobs` that imports torch.


Every worker is a fork of a process that has imported this module, ready in about 10 ms.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial

import torch

from service.jobs.fit_backend import with_threads
from service.jobs.job import request_nbytes
from service.jobs.messages import Task
from service.jobs.run_job import FitBackend, Send, run_job
from service.jobs.system import keep, trim
from service.jobs.worker_loop import WorkerLoop, set_up_process

_LARGE = 2**20
"""Bytes of data above which memory is returned to the system after a job."""


def main(sock: socket.socket, threads: int) -> None:
    """Runs jobs for the parent at the other end of `sock`, with at most that many threads."""
    set_up_process()
    keep()
    torch.set_num_threads(threads)  # until a job has its own number
    WorkerLoop(sock, partial(_run, with_threads(threads))).work()


def _run(backend: FitBackend, task: Task, send: Send, cancelled: Callable[[], bool]) -> None:
    run_job(task, send, cancelled, time.perf_counter, backend)
    if request_nbytes(task.request) > _LARGE:
        trim()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()  # the other workers share its memory

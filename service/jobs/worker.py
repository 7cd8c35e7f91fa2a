"""The worker process: where torch, the engine and the translation come in.

Every worker is a fork of a process that has imported this module, ready in about 10 ms.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import torch

from service import engine, translate
from service.jobs.history import Rows
from service.jobs.messages import Task
from service.jobs.run_job import Kit, Send, run_job
from service.jobs.worker_loop import WorkerLoop, settle_in
from service.schemas.answers import Fit, Timings


def _explain(
    plan: translate.Plan, result: engine.Result, rows: Rows, /, *, job_id: str, timings: Timings
) -> Fit:
    history = translate.to_history(
        plan.task.problem.params,
        rows.epoch.tolist(),
        rows.loss.tolist(),
        rows.params.tolist(),
        rows.gradient.tolist(),
        total=result.epochs,
        thinned=rows.thinned,
    )
    return translate.to_fit(plan, result, job_id=job_id, history=history, timings=timings)


KIT = Kit(
    plan=translate.to_plan,
    params=lambda plan: tuple(plan.task.problem.params),
    start=lambda plan, checkpoint: engine.start(plan.task, checkpoint),
    explain=_explain,
)


def main(sock: socket.socket, threads: int) -> None:
    """Works for the parent at the other end of `sock`, with that many threads."""
    settle_in()
    torch.set_num_threads(threads)
    WorkerLoop(sock, _run).work()


def _run(task: Task, send: Send, cancelled: Callable[[], bool]) -> None:
    run_job(task, send, cancelled, time.perf_counter, KIT)

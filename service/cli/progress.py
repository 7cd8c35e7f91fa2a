"""A progress bar with the loss on stderr, removed when the job is done.


It fits 80 columns, with the ^C that a terminal may echo.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from service.client import Job
    from service.client.answers import Event


def finished(job: Job[Any], *, own: bool) -> tuple[bool, Any]:
    """Whether the wait for it was interrupted, and the job's fit; with a bar where stderr is a
    terminal. ^C stops a job of one's `own`, and its best so far is the fit; None where it had none.
    Another's goes on."""
    try:
        if sys.stderr.isatty():
            _watch(job)
        return False, job.wait()
    except KeyboardInterrupt:
        if not own:
            raise
        return True, job.cancel()


def _watch(job: Job[Any]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[done]}"),
        TimeRemainingColumn(compact=True),
    ]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("waiting", total=None, done="")
        for event in job.events():
            if event.event == "progress":
                _show(progress, task, event)


def _show(progress: Progress, task: TaskID, event: Event) -> None:
    if event.event != "progress":
        return
    if event.status == "queued":
        before = event.queue_position or 0
        progress.update(task, description="queued", done=f"{before} before it")
        return
    now = event.progress
    loss = "" if now.loss is None else f", loss {now.loss:.4g}"
    done = f"{now.unit} {now.epoch:,} of {now.epochs:,}{loss}"
    progress.update(task, description="fitting", total=now.epochs, completed=now.epoch, done=done)

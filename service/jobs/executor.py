"""Who carries out jobs: what any executor promises. `tests/jobs/test_executor.py` holds it so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.fitting import Plan
from service.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Place:
    """A job's place in the queue."""

    position: int
    """Jobs that start before it."""
    eta_s: float
    """Seconds until it starts, by how long jobs took lately."""


class Executor(Protocol):
    """Runs jobs one by one, and tells the store what becomes of them.

    Every job that it accepts comes to exactly one end, whatever dies on the way: a job that loses
    its worker is tried once more, then fails with `worker-lost`.
    """

    async def start(self) -> None:
        """Makes ready; RuntimeError where no worker can be had."""

    async def submit(self, job: Job, plan: Plan | None = None) -> None:
        """Puts the job in the store and runs it when its lane's turn comes; one that is cheap, by
        its plan, at once.

        QueueFull, with the seconds to wait, before anything was kept; NotReady before `start` and
        after `stop`.
        """

    async def cancel(self, job_id: str) -> None:
        """Asks the job to end with its best so far. It will, soon; nothing where it has ended."""

    def place(self, job_id: str) -> Place | None:
        """Where it stands in the queue; None once it has started."""

    async def stop(self) -> None:
        """Takes nothing more, gives running jobs their grace, cancels them, leaves no process."""

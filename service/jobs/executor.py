"""The protocol of executors, tested by `tests/jobs/test_executor.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.fitting import Plan
from service.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Place:
    """A job's position in the queue."""

    position: int
    """The number of jobs that start before it."""
    eta_s: float
    """Estimated seconds until it starts, from the durations of recent jobs."""


class Executor(Protocol):
    """Runs jobs and records their results in the store.


    Every accepted job ends exactly once, whichever process dies: a job whose worker dies is retried
    once, then fails with `worker-lost`.
    """

    async def start(self) -> None:
        """Starts the workers. Raises RuntimeError where none can be started."""

    async def submit(self, job: Job, plan: Plan | None = None) -> None:
        """Stores the job and queues it by its queue key; a cheap one, by its plan, may run at once.

        Raises QueueFull, with the seconds to wait, before anything is stored; NotReady before
        `start` and after `stop`.
        """

    async def cancel(self, job_id: str) -> None:
        """Requests that the job end with its best so far; no effect where it has ended."""

    def place(self, job_id: str) -> Place | None:
        """Its position in the queue; None once it has started."""

    async def stop(self) -> None:
        """Accepts no more jobs, lets running ones end within the grace period, then cancels them
        and ends all processes."""

"""The protocol of executors, tested by `tests/jobs/test_executor.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service.jobs.history import Rows
from service.jobs.job import Job
from service.jobs.store import IdempotencyKey
from service.jobs.timing import Clock
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """A job's position in the queue."""

    position: int
    """The number of jobs that start before it."""
    eta_s: float
    """Estimated seconds until it starts, from the durations of recent jobs."""


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """The workers that run jobs."""

    workers: int
    """Worker processes that are alive."""
    workers_wanted: int
    """Worker processes configured."""


class InlineResult(NamedTuple):
    """A job that was run to its end before it was stored."""

    job: Job
    rows: Rows
    fitted_s: float
    """Seconds of work."""


RunInline = Callable[[Job, Settings, Clock], InlineResult | None]
"""Runs a cheap job in this process; None where it takes longer than expected, for a worker."""


class Observer(Protocol):
    """Called on the event loop at each event, so it must be quick."""

    def job_ended(self, job: Job, waited_s: float | None, fitted_s: float | None) -> None:
        """A job ended, after `waited_s` seconds in the queue and `fitted_s` of work by the
        monotonic clock; both None if it never started."""

    def worker_replaced(self) -> None:
        """A worker died and was replaced."""


class NullObserver:
    """An Observer that does nothing."""

    def job_ended(self, job: Job, waited_s: float | None, fitted_s: float | None) -> None:
        """Nothing."""

    def worker_replaced(self) -> None:
        """Nothing."""


NULL_OBSERVER: Observer = NullObserver()


class Executor(Protocol):
    """Runs jobs and records their results in the store.

    Every accepted job ends exactly once, whichever process dies: a job whose worker dies is retried
    once, then fails with `worker-lost`.
    """

    async def start(self) -> None:
        """Starts the workers. Raises RuntimeError where none can be started."""

    async def check(self) -> None:
        """Raises NotReady where no job could be run now."""

    async def submit(
        self, job: Job, *, key: IdempotencyKey | None = None, inline: RunInline | None = None
    ) -> tuple[Job, bool]:
        """Stores the job and queues it; a cheap one, which has `inline`, is run at once and stored
        with its end. Returns the job of the idempotency key, and whether it existed already.

        Raises QueueFull, with the seconds to wait, or IdempotencyConflict, before anything is
        stored; NotReady before `start` and after `stop`.
        """

    async def cancel(self, job_id: str) -> None:
        """Requests that the job end with its best so far; no effect where it has ended."""

    async def places(self, job_ids: Sequence[str]) -> Sequence[Place | None]:
        """The position of each in the queue; None once it has started."""

    async def stats(self) -> ExecutorStats:
        """The workers, for metrics."""

    async def stop(self) -> None:
        """Accepts no more jobs, and leaves none that no other process would run: a local executor
        lets its jobs end within the grace period, then cancels them and ends all processes."""

"""The observer of jobs and workers, such as metrics."""

from __future__ import annotations

from typing import Protocol

from service.jobs.job import Job


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

"""Who is told what becomes of jobs and workers, for the operator's sake."""

from __future__ import annotations

from typing import Protocol

from service.jobs.job import Job


class Observer(Protocol):
    """Hears of what happens, at once and on the event loop: so it must be quick."""

    def job_ended(self, job: Job, waited_s: float | None, fitted_s: float | None) -> None:
        """The job came to its end, so many seconds in the queue and then at work; None where it
        never started. The seconds are of a clock that does not jump."""

    def worker_replaced(self) -> None:
        """A worker died, and another has taken its place."""


class NullObserver:
    """An Observer that does not care."""

    def job_ended(self, job: Job, waited_s: float | None, fitted_s: float | None) -> None:
        """Nothing."""

    def worker_replaced(self) -> None:
        """Nothing."""


NOBODY: Observer = NullObserver()

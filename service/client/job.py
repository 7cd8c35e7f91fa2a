"""A background job: wait for it, watch it, cancel it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from service.client import exchanges
from service.client.deadline import Deadline
from service.client.events import Event
from service.client.fit import Fit
from service.client.fits import GroupedFit
from service.schemas.answers import History
from service.schemas.jobs import Job as JobRecord
from service.schemas.names import Status

if TYPE_CHECKING:
    from service.client.descent import Descent

FitT = TypeVar("FitT", bound=Fit | GroupedFit)


class Job(Generic[FitT]):
    """A job by its id. Each method calls the service; nothing is cached."""

    def __init__(self, client: Descent, job_id: str) -> None:
        self._client = client
        self.id = job_id

    def record(self) -> JobRecord:
        """Its record without the fit: times, progress, tags."""
        return self._client.run(exchanges.record(self.id))

    def status(self) -> Status:
        """queued, running, succeeded, failed or cancelled."""
        return self.record().status

    def wait(self, timeout: float | None = None) -> FitT:
        """Its fit, when there is one. WaitTimeout after so many seconds (default: the client's);
        FitFailedError where it ended without."""
        deadline = self._client.deadline(timeout)
        raw = self._client.run(exchanges.wait(self.id, deadline), deadline)
        return cast(FitT, self._client.understood(raw))

    def result(self) -> FitT:
        """Its fit; raises WaitTimeout if there is none yet."""
        raw = self._client.run(exchanges.wait(self.id, Deadline(0)))
        return cast(FitT, self._client.understood(raw))

    def cancel(self) -> FitT | None:
        """Cancels it and returns its fit so far; a finished job is unchanged."""
        raw = self._client.run(exchanges.cancel(self.id))
        return None if raw is None else cast(FitT, self._client.understood(raw))

    def delete(self) -> None:
        """Deletes it from the service, once it has finished."""
        self._client.run(exchanges.delete(self.id))

    def history(
        self,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> History:
        """Its recorded epochs, also while it runs."""
        asked = {"after_epoch": after_epoch, "limit": limit, "max_points": max_points}
        return self._client.run(exchanges.history(self.id, **asked))

    def events(self, after_epoch: int | None = None) -> Iterator[Event]:
        """Its events until `done`. A broken connection is resumed: every row comes exactly once."""
        return self._client.watch(self.id, after_epoch)

    def __repr__(self) -> str:
        return f"<Job {self.id} at {self._client.url}>"

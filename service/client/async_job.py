"""A background job: await it, watch it, cancel it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from service.client import exchanges
from service.client.async_fit import AsyncFit
from service.client.deadline import Deadline
from service.client.events import Event
from service.client.fits import GroupedFit
from service.schemas.answers import History
from service.schemas.jobs import Job as JobRecord
from service.schemas.names import Status

if TYPE_CHECKING:
    from service.client.async_descent import AsyncDescent

FitT = TypeVar("FitT", bound=AsyncFit | GroupedFit)


class AsyncJob(Generic[FitT]):
    """A job by its id. Each method calls the service; nothing is cached."""

    def __init__(self, client: AsyncDescent, job_id: str) -> None:
        self._client = client
        self.id = job_id

    async def record(self) -> JobRecord:
        """Its record without the fit: times, progress, tags."""
        return await self._client.run(exchanges.record(self.id))

    async def status(self) -> Status:
        """queued, running, succeeded, failed or cancelled."""
        return (await self.record()).status

    async def wait(self, timeout: float | None = None) -> FitT:
        """Its fit, when there is one. WaitTimeout after so many seconds (default: the client's);
        FitFailedError where it ended without."""
        deadline = self._client.deadline(timeout)
        raw = await self._client.run(exchanges.wait(self.id, deadline), deadline)
        return cast(FitT, self._client.understood(raw))

    async def result(self) -> FitT:
        """Its fit; raises WaitTimeout if there is none yet."""
        raw = await self._client.run(exchanges.wait(self.id, Deadline(0)))
        return cast(FitT, self._client.understood(raw))

    async def cancel(self) -> FitT | None:
        """Cancels it and returns its fit so far; a finished job is unchanged."""
        raw = await self._client.run(exchanges.cancel(self.id))
        return None if raw is None else cast(FitT, self._client.understood(raw))

    async def delete(self) -> None:
        """Deletes it from the service, once it has finished."""
        await self._client.run(exchanges.delete(self.id))

    async def history(
        self,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> History:
        """Its recorded epochs, also while it runs."""
        asked = {"after_epoch": after_epoch, "limit": limit, "max_points": max_points}
        return await self._client.run(exchanges.history(self.id, **asked))

    def events(self, after_epoch: int | None = None) -> AsyncIterator[Event]:
        """Its events until `done`. A broken connection is resumed: every row comes exactly once."""
        return self._client.watch(self.id, after_epoch)

    def __repr__(self) -> str:
        return f"<AsyncJob {self.id} at {self._client.url}>"

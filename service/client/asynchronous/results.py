"""Jobs and fits with a connection to their service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, cast

from service.catalogue.pictures import FORMATS
from service.client import fits, notebook
from service.client.answers import Event
from service.client.errors import ClientError
from service.client.fits import Comparison, FitDocument, GroupedFit
from service.client.notebook import Picture
from service.schemas.answers import History
from service.schemas.jobs import Job as JobRecord
from service.schemas.names import PictureFormat, Status, ViewName

if TYPE_CHECKING:
    from service.client.asynchronous.descent import AsyncDescent
    from service.client.options import Band, InversionKeywords, PictureKeywords
    from service.client.predictions import Predictions, Unknowns
    from service.schemas.draws import Draws


class AsyncFit(FitDocument):
    """One curve's fit. `print(fit)` is its report; a notebook shows its table and its picture (with
    AsyncDescent once `await fit.plot()` has fetched it)."""

    def __init__(self, raw: dict[str, Any], client: AsyncDescent | None = None) -> None:
        super().__init__(raw)
        self._client = client
        self._picture: str | None = None

    @classmethod
    def load(cls, path: str | Path, client: AsyncDescent | None = None) -> Self:
        """Loads a saved fit; with a client it predicts, also after its job has been removed."""
        return cls(fits.load(path), client)

    async def predict(self, data: Any, *, interval: Band | None = None) -> Predictions:
        """Predictions at the rows of `data`; with a band around them: "confidence" for the curve,
        "prediction" for new observations."""
        return await self._connected().predicted(self.prediction(data, interval))

    async def invert(self, data: Any, **options: Unpack[InversionKeywords]) -> Unknowns:
        """The unknowns of the readings in `data`, with intervals; see
        `service.schemas.unknowns.InvertRequest` for the options."""
        return await self._connected().inverted(self.inversion(data, options))

    async def plot(
        self,
        view: ViewName = "fit",
        kind: PictureFormat = "svg",
        **look: Unpack[PictureKeywords],
    ) -> Picture:
        """The service's picture of it; NotFoundError where the service has forgotten the job."""
        path, media = f"{self.urls.self}/plot/{view}.{kind}", FORMATS[kind].media_type
        found = await self._connected().fetch(path, media, notebook.query_of(look))
        picture = Picture(found, kind)
        if (view, kind) == ("fit", "svg"):
            self._picture = str(picture)
        return picture

    def _connected(self) -> AsyncDescent:
        if self._client is None:
            raise ClientError(
                f"this fit has no client: use {type(self).__name__}.load(path, client)"
            )
        return self._client

    def _repr_svg_(self) -> str | None:
        return self._picture or notebook.shown(self.plot)

    def _repr_html_(self) -> str:
        return notebook.html_table(self.document, self._repr_svg_())


FitT = TypeVar("FitT", bound=AsyncFit | GroupedFit | Comparison)


class AsyncJob(Generic[FitT]):
    """A background job by its id: wait for it, watch it, cancel it. Each method calls the service;
    nothing is cached."""

    def __init__(self, client: AsyncDescent, job_id: str) -> None:
        self._client = client
        self.id = job_id

    async def record(self) -> JobRecord:
        """Its record without the fit: times, progress, tags."""
        return await self._client.record(self.id)

    async def status(self) -> Status:
        """queued, running, succeeded, failed or cancelled."""
        return (await self.record()).status

    async def wait(self, timeout: float | None = None) -> FitT:
        """Its fit, when there is one. WaitTimeout after `timeout` seconds (default: the client's);
        FitFailedError where it ended without."""
        deadline = self._client.deadline(timeout)
        return self._fit(await self._client.wait_for(self.id, deadline))

    async def follow(self) -> FitT:
        """Its fit, when there is one; meanwhile a notebook shows the epoch and the loss."""
        bar = notebook.Bar()
        async for event in self.events():
            bar.show(event)
        return await self.result()

    async def result(self) -> FitT:
        """Its fit; raises WaitTimeout if there is none yet."""
        return self._fit(await self._client.result(self.id))

    async def cancel(self) -> FitT | None:
        """Cancels it and returns its fit so far; a finished job is unchanged."""
        raw = await self._client.cancelled(self.id)
        return None if raw is None else self._fit(raw)

    async def delete(self) -> None:
        """Deletes it from the service, once it has finished."""
        await self._client.delete(self.id)

    async def history(
        self,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> History:
        """Its recorded epochs, also while it runs."""
        query = {"after_epoch": after_epoch, "limit": limit, "max_points": max_points}
        return await self._client.history(self.id, query)

    async def plot(
        self,
        view: ViewName = "fit",
        kind: PictureFormat = "svg",
        **look: Unpack[PictureKeywords],
    ) -> Picture:
        """The service's picture of it: of groups, of all, or of the one named by `group`."""
        path, media = f"/jobs/{self.id}/plot/{view}.{kind}", FORMATS[kind].media_type
        found = await self._client.fetch(path, media, notebook.query_of(look))
        return Picture(found, kind)

    async def draws(self) -> Draws:
        """The replicates of its bootstrap, columns of numbers, once it has finished."""
        return await self._client.draws(self.id)

    def events(self, after_epoch: int | None = None) -> AsyncIterator[Event]:
        """Its events until `done`. A broken connection is resumed: every row comes exactly once."""
        return self._client.watch(self.id, after_epoch)

    def _fit(self, raw: dict[str, Any]) -> FitT:
        return cast(FitT, self._client.fit_of(raw))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} at {self._client.url}>"

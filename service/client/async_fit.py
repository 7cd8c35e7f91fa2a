"""A fit with an asynchronous connection to its service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from service.client import html
from service.client.errors import ClientError
from service.client.fits import FitDocument, load
from service.client.pictures import MEDIA_TYPES, Kind, Picture, View

if TYPE_CHECKING:
    from service.client.async_descent import AsyncDescent
    from service.client.options import Band
    from service.client.predictions import Predictions


class AsyncFit(FitDocument):
    """One curve's fit. `print(fit)` is its report; a notebook shows its table, and its picture once
    `await fit.plot()` has fetched it."""

    def __init__(self, raw: dict[str, Any], client: AsyncDescent | None = None) -> None:
        super().__init__(raw)
        self._client = client
        self._picture: str | None = None

    @classmethod
    def load(cls, path: str | Path, client: AsyncDescent | None = None) -> Self:
        """Loads a saved fit; with a client it predicts, also after its job has been removed."""
        return cls(load(path), client)

    async def predict(self, data: Any, *, interval: Band | None = None) -> Predictions:
        """Predictions at the rows of `data`; with a band around them: "confidence" for the curve,
        "prediction" for new observations."""
        return await self._ask().predicted(self._prediction(data, interval))

    async def plot(self, view: View = "fit", kind: Kind = "svg") -> Picture:
        """The service's picture of it; NotFoundError where the service has forgotten the job."""
        content = await self._ask().fetch(self._picture_path(view, kind), MEDIA_TYPES[kind])
        picture = Picture(content, kind)
        if (view, kind) == ("fit", "svg"):
            self._picture = str(picture)
        return picture

    def _ask(self) -> AsyncDescent:
        if self._client is None:
            raise ClientError("this fit has no client: use AsyncFit.load(path, client)")
        return self._client

    def _repr_svg_(self) -> str | None:
        return self._picture

    def _repr_html_(self) -> str:
        return html.table(self.document, self._picture)

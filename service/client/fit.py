"""A fit with a connection to its service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from service.client import html
from service.client.errors import ClientError
from service.client.fits import FitDocument, load
from service.client.pictures import MEDIA_TYPES, Kind, Picture, View

if TYPE_CHECKING:
    from service.client.descent import Descent
    from service.client.options import Band
    from service.client.predictions import Predictions


class Fit(FitDocument):
    """One curve's fit. `print(fit)` is its report; a notebook shows its table and picture."""

    def __init__(self, raw: dict[str, Any], client: Descent | None = None) -> None:
        super().__init__(raw)
        self._client = client

    @classmethod
    def load(cls, path: str | Path, client: Descent | None = None) -> Self:
        """Loads a saved fit; with a client it predicts, also after its job has been removed."""
        return cls(load(path), client)

    def predict(self, data: Any, *, interval: Band | None = None) -> Predictions:
        """Predictions at the rows of `data`; with a band around them: "confidence" for the curve,
        "prediction" for new observations."""
        return self._ask().predicted(self._prediction(data, interval))

    def plot(self, view: View = "fit", kind: Kind = "svg") -> Picture:
        """The service's picture of it; NotFoundError where the service has forgotten the job."""
        content = self._ask().fetch(self._picture_path(view, kind), MEDIA_TYPES[kind])
        return Picture(content, kind)

    def _ask(self) -> Descent:
        if self._client is None:
            raise ClientError("this fit has no client: use Fit.load(path, client)")
        return self._client

    def _repr_svg_(self) -> str | None:
        """None if the picture is not available."""
        try:
            return str(self.plot())
        except ClientError:
            return None

    def _repr_html_(self) -> str:
        return html.table(self.document, self._repr_svg_())

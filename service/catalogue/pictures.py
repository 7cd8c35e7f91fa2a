"""The views, which are the kinds of pictures, and the formats of pictures.

What a view computes and draws is a file of `service/render/views`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.catalogue.options import table


@dataclass(frozen=True, slots=True)
class View:
    """A kind of picture."""

    name: str
    description: str
    """What it shows."""
    requires: tuple[str, ...] = ()
    """The fields of a plot request that it requires, in the order in which they are checked."""
    while_running: bool = False
    """Whether a job without a fit yet has it."""
    of_comparison: bool = False
    """Whether it is of a job that compares models, not of a fit."""

    @property
    def of_job(self) -> bool:
        """Whether a job has it: what requires nothing shows nothing of a job."""
        return bool(self.requires)


VIEWS: Mapping[str, View] = table(
    (
        View(
            name="fit",
            description="The curve over its data, with its confidence and prediction bands; with "
            "more than one input, the target against its prediction.",
            requires=("data", "params"),
        ),
        View(
            name="loss",
            description="The loss by epoch, with a logarithmic axis; its lowest value and the "
            "first epoch at which it was not finite are marked.",
            requires=("history",),
            while_running=True,
        ),
        View(
            name="residuals",
            description="Residuals against the prediction, and their normal quantile plot (Q-Q).",
            requires=("data", "params"),
        ),
        View(
            name="path",
            description="The path of two params over the contours of the loss; of one param, the "
            "loss with the steps on it.",
            requires=("history", "data", "params"),
            while_running=True,
        ),
        View(
            name="comparison",
            description="The curves of compared models over the data, the first drawn thickest, "
            "and their weights; where curves are compared, those of each group.",
            requires=("data", "models"),
            of_comparison=True,
        ),
        View(
            name="losses",
            description="Losses of a single residual and their derivatives; a job does not have "
            "it.",
        ),
    )
)
"""Every view, by name."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """A format of pictures."""

    name: str
    """Also the suffix of a file."""
    media_type: str


FORMATS: Mapping[str, PictureFormat] = table(
    (
        PictureFormat("svg", "image/svg+xml"),
        PictureFormat("png", "image/png"),
        PictureFormat("pdf", "application/pdf"),
        PictureFormat("txt", "text/plain; charset=utf-8"),
    )
)
"""Every format, by name; the first that an `Accept` allows is chosen."""

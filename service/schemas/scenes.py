"""The numbers that a picture shows: computed by `fitting`, drawn by `render`.

Arrays are float64 and have NaN where there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.schemas.columns import Numbers


@dataclass(frozen=True, slots=True)
class Quantity:
    """The quantity of an axis."""

    name: str
    unit: str | None = None

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True, slots=True, eq=False)
class Ribbon:
    """A band around a curve, at the curve's x values."""

    level: float
    lower: Numbers
    upper: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class FitScene:
    """The curve over its data; with more than one input, the target against its prediction."""

    title: str
    x: Quantity
    y: Quantity
    data_x: Numbers
    """(shown,)"""
    data_y: Numbers
    sigma: Numbers | None
    """The standard deviation of each point, if known."""
    curve_x: Numbers
    """(places,)"""
    curve_y: Numbers
    confidence: Ribbon | None = None
    prediction: Ribbon | None = None
    log_x: bool = False
    against_prediction: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LossScene:
    """The loss by epoch: before each epoch's step, and after the last step if known."""

    title: str
    epoch: Numbers
    loss: Numbers
    best: tuple[float, float] | None
    """Epoch and value of the lowest loss."""
    lost: float | None
    """The first epoch at which the loss was not finite."""
    verdict: str | None = None
    """What went wrong, if anything."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ResidualsScene:
    """Residuals against the prediction, and against the quantiles of a normal distribution."""

    title: str
    prediction: Quantity
    residual: Quantity
    at: Numbers
    """(shown,) predictions."""
    residuals: Numbers
    normal: Numbers
    """(quantiles,) of the standard normal distribution."""
    ordered: Numbers
    """(quantiles,) of the residuals."""
    line: tuple[float, float]
    """Offset and slope of the line through the quartiles."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PathScene:
    """The path of one or two params on the loss surface, with the other params constant."""

    title: str
    names: tuple[str, ...]
    """One or two."""
    axes: tuple[Numbers, ...]
    """The grid values of each."""
    surface: Numbers
    """Losses, (first axis,) or (first axis, second axis)."""
    path: Numbers
    """(steps, names), from the start; all finite."""
    epochs: tuple[int, int]
    """Epochs of the first and the last point of the path."""
    left: Numbers | None
    """(names,) The point after which the path stays outside the picture."""
    minimum: Numbers | None
    """(names,) Where the loss is lowest."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LossesScene:
    """Losses as functions of the residual, and their derivatives."""

    title: str
    residual: Numbers
    values: Mapping[str, Numbers]
    """ρ(r), by loss."""
    slopes: Mapping[str, Numbers]
    """ρ'(r), by loss."""
    formulas: Mapping[str, str]
    notes: tuple[str, ...] = ()


Scene = FitScene | LossScene | ResidualsScene | PathScene | LossesScene

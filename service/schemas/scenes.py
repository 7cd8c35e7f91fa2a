"""What a picture shows, in numbers: reckoned by `fitting`, drawn by `render`.

Arrays are float64 and may hold NaN where there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.schemas.columns import Numbers


@dataclass(frozen=True, slots=True)
class Quantity:
    """What an axis measures."""

    name: str
    unit: str | None = None

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True, slots=True, eq=False)
class Ribbon:
    """A band around a curve, at the curve's own places."""

    level: float
    lower: Numbers
    upper: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class FitScene:
    """The curve over its data; without one input, the target against its prediction."""

    title: str
    x: Quantity
    y: Quantity
    data_x: Numbers
    """(shown,)"""
    data_y: Numbers
    sigma: Numbers | None
    """The standard deviation of each point, where it is known."""
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
    """The loss by epoch: before each epoch's step, and after the last where that is known."""

    title: str
    epoch: Numbers
    loss: Numbers
    best: tuple[float, float] | None
    """Where the lowest loss was, and what it was."""
    lost: float | None
    """The first epoch at which the loss was no number any more."""
    verdict: str | None = None
    """What went wrong, if it did."""
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
    """The residuals' own."""
    line: tuple[float, float]
    """Offset and slope of the line through the quartiles."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PathScene:
    """The way of one or two params over the loss, the others kept still."""

    title: str
    names: tuple[str, ...]
    """One or two."""
    axes: tuple[Numbers, ...]
    """The grid's values of each."""
    surface: Numbers
    """Losses, (first axis,) or (first axis, second axis)."""
    path: Numbers
    """(steps, names), from the start on; all of them finite."""
    epochs: tuple[int, int]
    """Of the first and the last point of the path."""
    left: Numbers | None
    """(names,) The point at which the path leaves the picture for good."""
    minimum: Numbers | None
    """(names,) Where the loss is lowest."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LossesScene:
    """Losses of one residual, and their derivatives."""

    title: str
    residual: Numbers
    values: Mapping[str, Numbers]
    """ρ(r), by loss."""
    slopes: Mapping[str, Numbers]
    """ρ'(r), by loss."""
    formulas: Mapping[str, str]
    notes: tuple[str, ...] = ()


Scene = FitScene | LossScene | ResidualsScene | PathScene | LossesScene

"""POST /plot: a picture of what is given, without a job; and how any picture may look."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, ValidationInfo
from pydantic_core import PydanticKnownError

from service.schemas.base import Finite, Request
from service.schemas.columns import Data, Name
from service.schemas.compute import GridAxis
from service.schemas.models import Model
from service.schemas.names import DType, LossName, PictureFormat, Theme, View
from service.schemas.numbers import NonNegative, Positive
from service.schemas.options import Level, Loss, PlainLoss, Scaling

_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _number(value: object, info: ValidationInfo) -> object:
    if info.mode == "json" and isinstance(value, float) and not isfinite(value):
        raise PydanticKnownError("finite_number")  # a bare NaN is no JSON
    return _WORDS.get(value, value) if isinstance(value, str) else value


AnyNumber = Annotated[
    float,
    BeforeValidator(
        _number, json_schema_input_type=FiniteFloat | Literal["NaN", "Infinity", "-Infinity"]
    ),
]
"""A number as an answer has it: a non-finite one is a string."""
MOST_ROWS = 100_000
Epoch = Annotated[int, Field(ge=0, le=10**12)]
AnyNumbers = Annotated[list[AnyNumber], Field(max_length=MOST_ROWS)]
Side = Annotated[int, Field(ge=200, le=10_000)]
Columns = Annotated[int, Field(ge=40, le=400)]
Units = dict[Name, Annotated[str, Field(max_length=40)]]


class PlotHistory(Request):
    """A history as an answer has it."""

    epoch: Annotated[list[Epoch], Field(max_length=MOST_ROWS)]
    loss: AnyNumbers
    params: dict[Name, AnyNumbers] = {}
    gradient: dict[Name, AnyNumbers] = {}
    """Not drawn."""
    total: Epoch | None = None
    """Not drawn."""
    thinned: bool = False


class PlotRequest(Request):
    """A view, and what it shows. A fit's own `predict` with its `data` and a `view` is a ready body
    for `fit` and `residuals`; `loss` and `path` need a `history`; `losses` needs nothing."""

    view: View
    format: PictureFormat | None = None
    """Default: what `Accept` asks for, else `svg`."""
    theme: Theme = "light"
    transparent: bool = False
    """Leave the background to the page."""
    width: Side = 800
    """Pixels; of a `txt` see `columns`."""
    height: Side = 500
    columns: Columns = 80
    """The width of a `txt`."""
    title: Annotated[str, Field(max_length=200)] | None = None
    """Default: the formula."""
    model: Model = "linear"
    params: dict[Name, Finite] | None = None
    """Every param's value, in scaled units where `scaling` is given."""
    data: Data | None = None
    """The inputs and the target."""
    sigma: Name | Positive | list[Positive] | None = None
    loss: Loss = PlainLoss()
    """For `path`."""
    scaling: Scaling | None = None
    dtype: DType = "float64"
    units: Units | None = None
    """Of columns and params, by name, for the axes."""
    covariance: dict[str, dict[str, Finite]] | None = None
    """Of the free params, by name: what the bands of `fit` are made of."""
    residual_std: NonNegative | None = None
    degrees_of_freedom: Annotated[int, Field(ge=1, le=10**12)] | None = None
    level: Level = 0.95
    """Of the bands."""
    history: PlotHistory | None = None
    """Of `path`, the params of each row are those after its epoch."""
    start: dict[Name, Finite] | None = None
    """For `path`: the params before the first epoch."""
    along: Annotated[list[Name], Field(min_length=1, max_length=2)] | None = None
    """For `path`: one or two params to look at. Default: the two that went farthest."""
    axes: Annotated[dict[Name, GridAxis], Field(max_length=2)] | None = None
    """For `path`: what its axes show. Default: the start, the path and the lowest loss."""
    losses: Annotated[list[LossName], Field(min_length=1, max_length=3)] = ["mse", "mae"]
    """For `losses`: those to compare."""

"""Request body of POST /plot, a picture without a job; and the options of all pictures."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, ValidationInfo
from pydantic_core import PydanticKnownError

from service.catalogue.pictures import VIEWS
from service.schemas.base import Finite, Request
from service.schemas.columns import Data
from service.schemas.compute import GridAxis
from service.schemas.losses import LEAST_SQUARES, Loss
from service.schemas.models import Model
from service.schemas.names import (
    AxisScale,
    DType,
    LossName,
    Name,
    PictureFormat,
    Theme,
    ViewName,
)
from service.schemas.noise import KnownNoise
from service.schemas.numbers import InputRange, NonNegative, Positive
from service.schemas.options import Level, Scaling, Tied
from service.schemas.rows import Rows

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
"""A number as in an answer: a non-finite one is a string."""
MOST_ROWS = 100_000
Epoch = Annotated[int, Field(ge=0, le=10**12)]
AnyNumbers = Annotated[list[AnyNumber], Field(max_length=MOST_ROWS)]
Side = Annotated[int, Field(ge=200, le=10_000)]
Columns = Annotated[int, Field(ge=40, le=400)]
Title = Annotated[str, Field(max_length=200)]
Units = dict[Name, Annotated[str, Field(max_length=40)]]


def _views() -> str:
    """The views, with the fields that they require."""
    texts = []
    for view in VIEWS.values():
        required = ", ".join(f"`{name}`" for name in view.requires)
        texts.append(f"`{view.name}`: {view.description} Requires {required or 'nothing else'}.")
    return "\n\n".join(texts)


class PlotHistory(Request):
    """A history as in an answer."""

    epoch: Annotated[list[Epoch], Field(max_length=MOST_ROWS)]
    """The epochs recorded."""
    loss: AnyNumbers
    """The loss before each epoch's update."""
    params: dict[Name, AnyNumbers] = {}
    """The params after it."""
    gradient: dict[Name, AnyNumbers] = {}
    """Not drawn."""
    total: Epoch | None = None
    """Not drawn."""
    thinned: bool = False
    """Whether recorded rows were omitted."""


class PlotModel(Request):
    """A model with its params, as in the `predict` of a compared model, and its weight."""

    label: Title
    """Its name in the picture."""
    model: Model
    """As for `POST /predict`."""
    params: dict[Name, Finite | Tied]
    """Every param's value or `expr`, in scaled units where `scaling` is given."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are."""
    weight: Annotated[Finite, Field(ge=0, le=1)] | None = None
    """By the criterion of the comparison. Default: it has none."""


class PlotRequest(Request):
    """A view, and what it shows: `data` and `params` are those of the `predict` of a fit, `history`
    that of its answer."""

    view: Annotated[ViewName, Field(description=_views())]
    format: PictureFormat | None = None
    """Default: according to `Accept`, else `svg`."""
    theme: Theme = "light"
    """Colours for a light or a dark background."""
    transparent: bool = False
    """Whether the background is transparent."""
    width: Side = 800
    """Pixels; for `txt` see `columns`."""
    height: Side = 500
    """In pixels."""
    columns: Columns = 80
    """The width of a `txt`, in characters."""
    x_axis: AxisScale = "auto"
    """For `fit` and `comparison`: `log` has x = 0 at its left end. `auto` is `log` for the families
    of a dose (`logistic4`, `logistic5`), and where no x is negative and the positive ones span more
    than three decades."""
    y_axis: AxisScale = "auto"
    """For `fit` and `comparison`. `auto` is `log` where the target spans more than three decades
    above 0."""
    title: Title | None = None
    """Default: the formula."""
    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    params: dict[Name, Finite | Tied] | None = None
    """Every param's value or `expr`, in scaled units where `scaling` is given."""
    data: Data | None = None
    """The inputs and the target."""
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    sigma: Name | Positive | list[Positive] | None = None
    """The standard deviation of the target's noise: a column's name, a number or a list."""
    sigma_x: dict[Name, Name | NonNegative] = {}
    """The standard deviations of inputs that have errors, as in a fit."""
    loss: Loss = LEAST_SQUARES
    """Only for `path`."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are; as for `POST /fit`."""
    dtype: DType = "float64"
    """The precision of the computation."""
    units: Units | None = None
    """Units of columns and params, by name, for the axes."""
    covariance: dict[str, dict[str, Finite]] | None = None
    """Covariance of the free params, by name, for the bands of `fit`."""
    residual_std: NonNegative | None = None
    """The standard deviation of a new observation."""
    sigma_scale: NonNegative | None = None
    """The standard deviation of a new observation in units of `noise`."""
    noise: KnownNoise | None = None
    """`sigma` of a new observation as an expression, for the bands of `fit`."""
    input_range: dict[Name, InputRange] | None = None
    """Not drawn."""
    degrees_of_freedom: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """Of the fit that the params are from, for Student's t; without it intervals are normal."""
    level: Level = 0.95
    """Confidence level of the bands."""
    history: PlotHistory | None = None
    """For `loss` and `path`. The params of each row are those after its epoch."""
    start: dict[Name, Finite] | None = None
    """For `path`: the params before the first epoch."""
    along: Annotated[list[Name], Field(min_length=1, max_length=2)] | None = None
    """For `path`: one or two params, one for each axis. Default: the two that changed most."""
    axes: Annotated[dict[Name, GridAxis], Field(max_length=2)] | None = None
    """For `path`: the range of each axis. Default: the start, the path and the lowest loss."""
    models: Annotated[list[PlotModel], Field(min_length=1, max_length=64)] | None = None
    """For `comparison`: the models, the first first."""
    losses: Annotated[list[LossName], Field(min_length=1, max_length=3)] = ["mse", "mae"]
    """For `losses`: the losses to compare."""

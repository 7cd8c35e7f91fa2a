"""POST /predict, /loss and /gradient: the stateless parts of a fit, one at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.base import Answer, Finite, Number, Request, Sparse
from service.schemas.columns import Data, Name
from service.schemas.models import Model
from service.schemas.names import DType, GradientMethod
from service.schemas.numbers import NonNegative, Positive
from service.schemas.optimizers import Gradient, GradientOptions
from service.schemas.options import Band, Loss, PlainLoss, Scaling
from service.schemas.series import Grid, Series


class PredictRequest(Request):
    """A model with its params, or a finished job; and the inputs to predict at."""

    model: Model = "linear"
    params: dict[Name, Finite] | None = None
    """Every param's value, in scaled units where `scaling` is given. Required without `job_id`."""
    data: Data
    scaling: Scaling | None = None
    job_id: str | None = None
    """Take all but `data` and `interval` from this job."""
    interval: Band | None = None
    """A band around the predictions; it needs `covariance` and `degrees_of_freedom`, which a fit's
    own `predict` has."""
    covariance: dict[str, dict[str, Finite]] | None = None
    """Of the free params, by name."""
    residual_std: NonNegative | None = None
    """The standard deviation of a new observation, for a prediction band."""
    degrees_of_freedom: Annotated[int, Field(ge=1, le=10**12)] | None = None
    dtype: DType = "float64"


class Predictions(Sparse):
    """One prediction a row, on the scale of the formula's left side."""

    predictions: Series
    target: str
    stderr: Series | None = None
    """With `interval`: of the curve, or of a new observation."""
    lower: Series | None = None
    upper: Series | None = None


class GridAxis(Request):
    """`steps` values from `min` to `max`, ends included."""

    min: Finite
    max: Finite
    steps: Annotated[int, Field(ge=2, le=1000)] = 50


class LossRequest(Request):
    """A model with its params and data; and a loss."""

    model: Model = "linear"
    params: dict[Name, Finite]
    """Every param's value, in scaled units where `scaling` is given, as a fit returns them."""
    data: Data
    sigma: Name | Positive | list[Positive] | None = None
    loss: Loss = PlainLoss()
    scaling: Scaling | None = None
    residuals: bool = False
    """Answer the residuals too, prediction − target, one a row."""
    surface: Annotated[dict[Name, GridAxis], Field(min_length=1, max_length=2)] | None = None
    """The loss over a grid of one or two params, the others kept at `params`."""
    dtype: DType = "float64"


class LossSurface(Answer):
    """Losses over a grid: `loss[i][j]` is at the i-th value of the first axis and the j-th of the
    second; with one axis, `loss[i]`."""

    axes: dict[str, list[float]]
    loss: Grid


class LossAnswer(Sparse):
    """The loss at the params given."""

    loss: Number
    residuals: Series | None = None
    surface: LossSurface | None = None


class GradientRequest(Request):
    """A model with its params and data; and the way to its gradient."""

    model: Model = "linear"
    params: dict[Name, Finite]
    """Every param's value, in scaled units where `scaling` is given, as a fit returns them."""
    data: Data
    sigma: Name | Positive | list[Positive] | None = None
    loss: Loss = PlainLoss()
    gradient: Gradient = GradientOptions()
    scaling: Scaling | None = None
    check: bool = False
    """Answer all three methods side by side, with their largest difference."""
    explain: bool = False
    """Answer the chain rule, factor by factor, as text and LaTeX."""
    dtype: DType = "float64"


class GradientCheck(Answer):
    """The three methods side by side."""

    analytic: dict[str, Number]
    autograd: dict[str, Number]
    numeric: dict[str, Number]
    max_difference: Number
    """The largest |difference| between two methods for one param, relative to the largest
    |gradient| (or 1, if that is smaller)."""
    agree: bool
    """Whether that is as small as `dtype` and `delta` let one expect."""


class ChainFactor(Answer):
    """One factor of the chain rule: ∂of/∂by = text."""

    of: str
    by: str
    text: str
    latex: str


class ChainRule(Answer):
    """∂loss/∂param: the sum over the paths of their factors' products, averaged over the rows."""

    text: str
    latex: str
    paths: list[list[ChainFactor]]
    """Each from the loss, through the prediction and the steps, to the param."""


class Explanation(Answer):
    """The chain rule in words."""

    text: str
    """All of it, for a terminal."""
    latex: str
    """All of it, an `aligned` block."""
    steps: dict[str, str]
    """The names that the factors use, in order, with what each stands for; the prediction last."""
    params: dict[str, ChainRule]


class GradientAnswer(Sparse):
    """∂loss/∂param for every param."""

    gradient: dict[str, Number]
    loss: Number
    method: GradientMethod
    check: GradientCheck | None = None
    explain: Explanation | None = None

"""Bodies of POST /predict, /loss and /gradient: the stateless parts of a fit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.answers import RowsUsed
from service.schemas.base import Answer, Finite, Number, Request, Sparse
from service.schemas.columns import Data, Name
from service.schemas.likelihoods import Likelihood
from service.schemas.losses import LEAST_SQUARES, Loss
from service.schemas.models import Model
from service.schemas.names import DType, GradientMethod
from service.schemas.noise import KnownNoise
from service.schemas.numbers import InputRange, NonNegative, Positive
from service.schemas.optimizers import Gradient, GradientOptions
from service.schemas.options import Band, Scaling, Tied
from service.schemas.rows import Rows
from service.schemas.series import Grid, Series


class PredictRequest(Request):
    """A model with its params, or a finished job; and the inputs to predict for."""

    model: Model = "linear"
    params: dict[Name, Finite | Tied] | None = None
    """Every param's value or `expr`, in scaled units where `scaling` is given. Required without
    `job_id`."""
    data: Data
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    scaling: Scaling | None = None
    job_id: str | None = None
    """The job to take everything but `data`, `rows` and `interval` from."""
    interval: Band | None = None
    """A band around the predictions. Requires `covariance` and `degrees_of_freedom`, which the
    `predict` of a fit contains."""
    covariance: dict[str, dict[str, Finite]] | None = None
    """Of the free params, by name."""
    residual_std: NonNegative | None = None
    """The standard deviation of a new observation, for a prediction band."""
    degrees_of_freedom: Annotated[int, Field(ge=1, le=10**12)] | None = None
    sigma_scale: NonNegative | None = None
    """The standard deviation of a new observation in units of `noise`, or of `sigma` in /invert."""
    noise: KnownNoise | None = None
    """`sigma` of a new observation as an expression, for a prediction band; with `sigma_scale`."""
    input_range: dict[Name, InputRange] | None = None
    """Not used here, but by /invert."""
    dtype: DType = "float64"


class Predictions(Sparse):
    """One prediction per row, on the scale of the formula's left side."""

    predictions: Series
    target: str
    stderr: Series | None = None
    """With `interval`: of the curve, or of a new observation."""
    lower: Series | None = None
    upper: Series | None = None
    rows: RowsUsed | None = None
    """With `rows` in the request."""


class GridAxis(Request):
    """`steps` values from `min` to `max`, both included."""

    min: Finite
    max: Finite
    steps: Annotated[int, Field(ge=2, le=1000)] = 50


class LossRequest(Request):
    """A model with its params and data, and a loss."""

    model: Model = "linear"
    params: dict[Name, Finite | Tied]
    """Every param's value or `expr`, in scaled units where `scaling` is given, as a fit returns
    them."""
    data: Data
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    sigma: Name | Positive | list[Positive] | None = None
    loss: Loss = LEAST_SQUARES
    likelihood: Likelihood | None = None
    """Of a target of counts, in place of the loss: the mean deviance of the rows."""
    scaling: Scaling | None = None
    residuals: bool = False
    """Whether to return the residuals, prediction − target, one per row; with a likelihood those of
    the rate or the proportion."""
    surface: Annotated[dict[Name, GridAxis], Field(min_length=1, max_length=2)] | None = None
    """The loss on a grid of one or two params, with the others at `params`."""
    dtype: DType = "float64"


class LossSurface(Answer):
    """The loss on a grid: `loss[i][j]` at the i-th value of the first axis and the j-th value of
    the second; with one axis, `loss[i]`."""

    axes: dict[str, list[float]]
    loss: Grid


class LossAnswer(Sparse):
    """The loss at the given params."""

    loss: Number
    residuals: Series | None = None
    surface: LossSurface | None = None
    rows: RowsUsed | None = None
    """With `rows` in the request."""


class GradientRequest(Request):
    """A model with its params and data, and the method for the gradient."""

    model: Model = "linear"
    params: dict[Name, Finite | Tied]
    """Every param's value or `expr`, in scaled units where `scaling` is given, as a fit returns
    them."""
    data: Data
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    sigma: Name | Positive | list[Positive] | None = None
    loss: Loss = LEAST_SQUARES
    likelihood: Likelihood | None = None
    """Of a target of counts, in place of the loss: the mean deviance of the rows."""
    gradient: Gradient = GradientOptions()
    scaling: Scaling | None = None
    check: bool = False
    """Whether to return the gradient by all three methods, with their largest difference."""
    explain: bool = False
    """Whether to return the chain rule, factor by factor, as text and LaTeX."""
    dtype: DType = "float64"


class GradientCheck(Answer):
    """The gradient by each of the three methods."""

    analytic: dict[str, Number]
    autograd: dict[str, Number]
    numeric: dict[str, Number]
    max_difference: Number
    """The largest |difference| between two methods for one param, relative to the largest
    |gradient| (or 1, if that is smaller)."""
    agree: bool
    """Whether `max_difference` is within the tolerance for `dtype` and `delta`."""


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
    """Each path leads from the loss, through the prediction and the steps, to the param."""


class Explanation(Answer):
    """The chain rule as text and LaTeX."""

    text: str
    """The whole explanation as plain text."""
    latex: str
    """The whole explanation as an `aligned` block."""
    steps: dict[str, str]
    """The intermediate variables of the factors, in order, each with its expression; the prediction
    is last."""
    params: dict[str, ChainRule]


class GradientAnswer(Sparse):
    """∂loss/∂param for every param."""

    gradient: dict[str, Number]
    loss: Number
    method: GradientMethod
    check: GradientCheck | None = None
    explain: Explanation | None = None
    rows: RowsUsed | None = None
    """With `rows` in the request."""

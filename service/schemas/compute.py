"""Bodies of POST /predict, /loss and /gradient: the stateless parts of a fit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.answers import RowsUsed
from service.schemas.base import Answer, Finite, Number, Request, Sparse
from service.schemas.columns import Data, Units
from service.schemas.likelihoods import Likelihood
from service.schemas.losses import LEAST_SQUARES, Loss
from service.schemas.models import Model
from service.schemas.names import DType, GradientMethod, Name
from service.schemas.noise import KnownNoise
from service.schemas.numbers import InputRange, NonNegative, Positive
from service.schemas.optimizers import Gradient, GradientOptions
from service.schemas.options import Band, Scaling, Tied
from service.schemas.rows import Rows
from service.schemas.series import Grid, Series


class PredictRequest(Request):
    """A model with its params, or a finished job; and the inputs to predict for."""

    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    params: dict[Name, Finite | Tied] | None = None
    """Every param's value or `expr`, in scaled units where `scaling` is given. Required without
    `job_id`."""
    data: Data
    """Named columns of equal length; or a list of rows."""
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are; as for `POST /fit`."""
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
    """Of the fit that the params are from, for Student's t; without it intervals are normal."""
    sigma_scale: NonNegative | None = None
    """The standard deviation of a new observation in units of `noise`, or of `sigma` in /invert."""
    noise: KnownNoise | None = None
    """`sigma` of a new observation as an expression, for a prediction band; with `sigma_scale`."""
    input_range: dict[Name, InputRange] | None = None
    """Not used here, but by /invert."""
    units: Units = {}
    """Units of columns, by name; those of a job, or of the `predict` of a fit, are known."""
    dtype: DType = "float64"
    """The precision of the computation."""


class Predictions(Sparse):
    """One prediction per row, on the scale of the formula's left side."""

    predictions: Series
    """One for each row."""
    target: str
    """What is predicted: the left side of the formula."""
    stderr: Series | None = None
    """With `interval`: of the curve, or of a new observation."""
    lower: Series | None = None
    """Lower ends of the `interval`."""
    upper: Series | None = None
    """Upper ends of the `interval`."""
    units: dict[str, str] | None = None
    """Of the target and the inputs, by name, as far as they are known."""
    rows: RowsUsed | None = None
    """With `rows` in the request."""


class GridAxis(Request):
    """`steps` values from `min` to `max`, both included."""

    min: Finite
    """The first value."""
    max: Finite
    """The last value."""
    steps: Annotated[int, Field(ge=2, le=1000)] = 50
    """The number of values, evenly spaced."""


class LossRequest(Request):
    """A model with its params and data, and a loss."""

    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    params: dict[Name, Finite | Tied]
    """Every param's value or `expr`, in scaled units where `scaling` is given, as a fit returns
    them."""
    data: Data
    """Named columns of equal length; or a list of rows."""
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    sigma: Name | Positive | list[Positive] | None = None
    """The standard deviation of the target's noise: a column's name, a number or a list."""
    loss: Loss = LEAST_SQUARES
    """What is minimised: a name of `GET /losses`, or an object with its options."""
    likelihood: Likelihood | None = None
    """Of a target of counts, in place of the loss: the mean deviance of the rows."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are; as for `POST /fit`."""
    residuals: bool = False
    """Whether to return the residuals, prediction − target, one per row; with a likelihood those of
    the rate or the proportion."""
    surface: Annotated[dict[Name, GridAxis], Field(min_length=1, max_length=2)] | None = None
    """The loss on a grid of one or two params, with the others at `params`."""
    dtype: DType = "float64"
    """The precision of the computation."""


class LossSurface(Answer):
    """The loss on a grid: `loss[i][j]` at the i-th value of the first axis and the j-th value of
    the second; with one axis, `loss[i]`."""

    axes: dict[str, list[float]]
    """The values of each param."""
    loss: Grid
    """A row for each value of the first param, with a column for each of the second."""


class LossAnswer(Sparse):
    """The loss at the given params."""

    loss: Number
    """What is minimised: a name of `GET /losses`, or an object with its options."""
    residuals: Series | None = None
    """Prediction − target of each row, on request."""
    surface: LossSurface | None = None
    """The loss on a grid of one or two params, on request."""
    rows: RowsUsed | None = None
    """With `rows` in the request."""


class GradientRequest(Request):
    """A model with its params and data, and the method for the gradient."""

    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    params: dict[Name, Finite | Tied]
    """Every param's value or `expr`, in scaled units where `scaling` is given, as a fit returns
    them."""
    data: Data
    """Named columns of equal length; or a list of rows."""
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    sigma: Name | Positive | list[Positive] | None = None
    """The standard deviation of the target's noise: a column's name, a number or a list."""
    loss: Loss = LEAST_SQUARES
    """What is minimised: a name of `GET /losses`, or an object with its options."""
    likelihood: Likelihood | None = None
    """Of a target of counts, in place of the loss: the mean deviance of the rows."""
    gradient: Gradient = GradientOptions()
    """How the gradient is computed: a method's name, or an object."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are; as for `POST /fit`."""
    check: bool = False
    """Whether to return the gradient by all three methods, with their largest difference."""
    explain: bool = False
    """Whether to return the chain rule, factor by factor, as text and LaTeX."""
    dtype: DType = "float64"
    """The precision of the computation."""


class GradientCheck(Answer):
    """The gradient by each of the three methods."""

    analytic: dict[str, Number]
    """By the formula's derivatives."""
    autograd: dict[str, Number]
    """By PyTorch's reverse mode."""
    numeric: dict[str, Number]
    """By central differences."""
    max_difference: Number
    """The largest |difference| between two methods for one param, relative to the largest
    |gradient| (or 1, if that is smaller)."""
    agree: bool
    """Whether `max_difference` is within the tolerance for `dtype` and `delta`."""


class ChainFactor(Answer):
    """One factor of the chain rule: ∂of/∂by = text."""

    of: str
    """What is differentiated."""
    by: str
    """By what it is."""
    text: str
    """In plain text."""
    latex: str
    """In LaTeX."""


class ChainRule(Answer):
    """∂loss/∂param: the sum over the paths of their factors' products, averaged over the rows."""

    text: str
    """In plain text."""
    latex: str
    """In LaTeX."""
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
    """∂loss/∂θ by param."""
    loss: Number
    """What is minimised: a name of `GET /losses`, or an object with its options."""
    method: GradientMethod
    """How it was computed."""
    check: GradientCheck | None = None
    """All three methods side by side, on request."""
    explain: Explanation | None = None
    """The chain rule in words, on request."""
    rows: RowsUsed | None = None
    """With `rows` in the request."""

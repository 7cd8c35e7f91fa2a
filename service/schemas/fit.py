"""POST /fit: what is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.base import Finite, Request
from service.schemas.columns import Data, Name
from service.schemas.models import Model
from service.schemas.names import DType, Missing, OnDivergence
from service.schemas.numbers import Positive
from service.schemas.optimizers import AutoOptimizer, Optimizer
from service.schemas.options import (
    ConfidenceOptions,
    GroupBy,
    Loss,
    Param,
    PlainLoss,
    Scaling,
    Tolerance,
)

Tags = Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16)]

Units = Annotated[dict[Name, Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


class FitRequest(Request):
    """A model, its data, and how to fit the one to the other. Only `data` is required."""

    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    data: Data
    """Named columns of equal length."""
    units: Units = {}
    """Units of columns, by name, for reports and axes. Nothing is reckoned with them."""
    sigma: Name | Positive | list[Positive] | None = None
    """The standard deviation of the target's noise: a column's name, a number or a list."""
    sigma_absolute: bool = False
    """Take `sigma` at its word, rather than as weights whose scale the residuals tell."""
    missing: Missing = "error"
    """Rows in which a column that is used has null: an error that names them, or dropped."""
    group_by: GroupBy | None = None
    """Fit each group of rows by itself: the column that tells them apart."""
    params: dict[Name, Finite | Param] = {}
    """Initial values, or objects with `value`, `min`, `max`, `fixed`. In raw units, whatever the
    `scaling`; refused where scaled inputs have none that mean the same."""
    loss: Loss = PlainLoss()
    optimizer: Optimizer = AutoOptimizer()
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs. The `params` of the request are in raw units; those of the
    answer, its history and statistics in scaled ones. `params_unscaled` has them in raw units."""
    epochs: Annotated[int, Field(ge=1, le=10**8)] | None = None
    """Passes over the data that end in an update. Default: 1,000; 1 for `exact`."""
    tolerance: Tolerance = Tolerance()
    time_limit_s: Annotated[Finite, Field(gt=0, le=86_400)] | None = None
    """Seconds of work after which the best so far is the answer. Default: the server's."""
    record_every: Annotated[int, Field(ge=1)] | None = None
    """History keeps the epochs that this divides, the first and the last."""
    confidence_interval: ConfidenceOptions = ConfidenceOptions()
    """The level of the params' intervals, and how they are found."""
    on_divergence: OnDivergence = "stop"
    dtype: DType = "float64"
    challenge: bool = True
    """Whether the end of a nonlinear fit is compared with the ends of other starts."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    background: bool = False
    """Answer at once with 202 and the job."""
    tags: Tags = {}
    """Up to 16 words of your own, kept with the job."""

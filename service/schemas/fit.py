"""Request body of POST /fit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.base import Finite
from service.schemas.columns import Data, Units
from service.schemas.likelihoods import Bins, Likelihood
from service.schemas.losses import LEAST_SQUARES, Loss
from service.schemas.models import Model
from service.schemas.names import CovarianceKind, DType, Missing, Name, OnDivergence
from service.schemas.noise import NoiseModel, Outliers, Sigma, Weights
from service.schemas.numbers import NonNegative
from service.schemas.optimizers import AUTOMATIC, Optimizer
from service.schemas.options import (
    ConfidenceOptions,
    GroupBy,
    Param,
    Report,
    Scaling,
    Tolerance,
)
from service.schemas.priors import Prior
from service.schemas.readable import Readable
from service.schemas.resampling import CoverageOptions, DesignOptions
from service.schemas.rows import Rows

Tags = Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16)]


Constraints = Annotated[
    list[Annotated[str, Field(min_length=3, max_length=512)]], Field(max_length=64)
]


class FitRequest(Readable):
    """A model, the data, and how to fit the model to them. Only `data` is required."""

    model: Model = "linear"
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    data: Data
    """Named columns of equal length; or a list of rows: `[{"x": 1, "y": 2}, …]`."""
    units: Units = {}
    """Units of columns, by name, for reports and axes. They are not used in the computation."""
    sigma: Sigma | NoiseModel | None = None
    """The standard deviation of the target's noise: a column's name, a number, a list, or an
    expression of the prediction, `{"expr": "0.05*pred"}`."""
    sigma_absolute: bool = False
    """Whether `sigma` is in the units of the target. False: it gives relative weights, whose scale
    is estimated from the residuals."""
    weights: Weights | None = None
    """Weights of the rows, 1/sigma², in place of `sigma`: a column's name, an expression of columns
    such as `1/x**2`, or a list. A row of weight 0 is left out."""
    outliers: Outliers | None = None
    """A test for outliers, which are flagged or dropped: `rout`, or an object with options."""
    sigma_x: dict[Name, Name | NonNegative] = {}
    """The standard deviations of inputs that have errors, by input: a column's name, or a number; 0
    is exact. The fit then minimises Σ[(f(x + δ) − y)²/σ² + Σδ²/σ_x²] over the params and the errors
    δ of each row (orthogonal distance regression). Without `sigma` that of the target is 1; with
    `sigma_absolute` false only the ratios of `sigma_x` to it count."""
    rows: Rows | None = None
    """Which rows are used: a condition on columns, such as `x > 2 and x < 10`."""
    missing: Missing = "error"
    """Rows with null in a column that is used: `error` refuses them, `drop` drops them."""
    group_by: GroupBy | None = None
    """The column, or columns, by whose values the rows are grouped. Each group is fitted
    separately, unless some params are `shared`."""
    params: dict[Name, Finite | Param] = {}
    """Initial values, or objects with `value`, `min`, `max`, `fixed`, or with `expr`. In raw units,
    whatever the `scaling`; refused where they cannot be converted to scaled inputs."""
    prior: Prior | None = None
    """What is known of several params before the fit: their means and covariance, or the `predict`
    of an earlier fit, whose params with a covariance are then known by it. A param may have a prior
    here or in `params`, not both."""
    constraints: Constraints = []
    """The order of params, such as `k1 < k2` or `0 < a < b`; equality is allowed. Chains and trees
    of params, of which one has bounds. Standard errors do not take a constraint into account."""
    loss: Loss = LEAST_SQUARES
    """What is minimised: a name of `GET /losses`, or an object with its options."""
    likelihood: Likelihood | None = None
    """Of a target of counts, in place of the loss: `poisson`, or `binomial` with the number of
    trials `n`. The fit minimises its deviance; standard errors are by its information."""
    bins: Bins | None = None
    """Two columns, the edges of the bins of a histogram: the formula is the density, which is
    integrated over each bin. They stand in for the formula's input, or for x."""
    optimizer: Optimizer = AUTOMATIC
    """A name of `GET /optimizers`, or an object with its options; `auto` chooses by the formula,
    the bounds and the loss."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs. The `params` of the request are in raw units; those of the
    answer, its history and statistics in scaled units. `params_unscaled` are in raw units."""
    epochs: Annotated[int, Field(ge=1, le=10**8)] | None = None
    """Maximum number of epochs (passes over the data). Default: 1,000; 1 for `exact`."""
    tolerance: Tolerance = Tolerance()
    time_limit_s: Annotated[Finite, Field(gt=0, le=86_400)] | None = None
    """Seconds of computing after which the best params so far are the answer. Default: the
    server's."""
    record_every: Annotated[int, Field(ge=1)] | None = None
    """The history has every n-th epoch, the first and the last."""
    confidence_interval: ConfidenceOptions = ConfidenceOptions()
    """Level and method of the params' confidence intervals."""
    covariance: CovarianceKind = "expected"
    """How the covariance, and the standard errors with it, is computed. `expected`: s²(JᵀJ)⁻¹, as
    R's nls and SciPy have it. `observed`: 2s²H⁻¹ with the Hessian of the sum of squares, as drc and
    iminuit have it. `sandwich`: HC3, for noise that is not constant."""
    report: Report | None = None
    """Quantities derived from the params, such as `{"ec90": "e*9**(1/b)"}`, with standard errors
    and intervals of the level of `confidence_interval`; or `default`, those of the model's family.
    In raw units where `scaling` is given."""
    coverage: CoverageOptions | None = None
    """The actual coverage of the confidence intervals, by fits of data simulated at the fit's
    params."""
    design: DesignOptions | None = None
    """What the next reading at some candidate places would do to the standard errors."""
    on_divergence: OnDivergence = "stop"
    """Whether a fit that diverges (a non-finite loss, or one above 10¹² times the first) stops
    there or goes on to `epochs`."""
    dtype: DType = "float64"
    """The precision of the computation."""
    challenge: bool = True
    """Whether the minimum of a nonlinear fit is compared with those found from other starts."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Of the random numbers: the same request with the same seed has the same answer."""
    background: bool = False
    """Whether to answer immediately with 202 and the job."""
    tags: Tags = {}
    """Up to 16 tags, names with text values, kept with the job."""

    @property
    def counts_groups(self) -> bool:
        """Whether progress is counted in groups: each is fitted separately."""
        return self.group_by is not None and not self.group_by.shared

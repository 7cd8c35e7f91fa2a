"""Options of a fit: scaling, params, tolerances, intervals, groups."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.schemas.base import Finite, Request
from service.schemas.names import (
    BandKind,
    BootstrapInterval,
    BootstrapKind,
    IntervalMethod,
    Name,
    Noise,
    ReportMethod,
    ScalingMethod,
)
from service.schemas.resampling import Replicates


class Scale(Request):
    """x' = scale·x + offset."""

    scale: Finite = 1.0
    """The factor."""
    offset: Finite = 0.0
    """What is added."""


Scaling = ScalingMethod | dict[Name, Scale]
"""One method for all inputs, or a scale and an offset for each named input."""


Expression = Annotated[str, Field(min_length=1, max_length=512)]
"""A formula's right side, of params only."""


class Tied(Request):
    """A param that is computed from others."""

    expr: Expression
    """Its value, such as `a + b`."""


class NormalPrior(Request):
    """What is known of a param before the fit: a value with its standard deviation."""

    mean: Finite
    """In raw units."""
    sd: Annotated[Finite, Field(gt=0)]
    """The standard deviation, in the same units."""


class Param(Request):
    """Initial value and bounds of a param, or the expression that it is tied to others by; and what
    is known of it before the fit."""

    value: Finite | None = None
    """Initial value. Default: guessed."""
    min: Finite | None = None
    """Lower bound. Default: none."""
    max: Finite | None = None
    """Upper bound. Default: none."""
    fixed: bool = False
    """Whether it is fixed at `value`."""
    expr: Expression | None = None
    """Its value as an expression of other params, such as `a + b`, in place of the other fields.
    It is then no param of the fit, but has a value and a standard error in the answer."""
    prior: NormalPrior | None = None
    """A normal distribution, by which ((value − mean)/sd)² is added to χ². `sigma` must be given,
    with `sigma_absolute`. Without `value` the fit begins at its mean."""


Part = Annotated[Finite, Field(ge=0, le=1)]
Level = Annotated[Finite, Field(gt=0, le=0.999999999)]


class Tolerance(Request):
    """Relative changes per epoch below which a fit has converged; 0 disables the criterion."""

    loss: Part | None = None
    """Relative change of the loss. Default: 0."""
    params: Part | None = None
    """Relative change of the params. Default: 1e-10 for `levenberg_marquardt`, else 0."""
    gradient: Part | None = None
    """Largest |∂loss/∂θ| relative to that of the first epoch. Default: 0."""


class ConfidenceOptions(Request):
    """Two-sided intervals for the params."""

    level: Level = 0.95
    """The probability that the interval holds the true value."""
    method: IntervalMethod = "t"
    """`t`: symmetric, from the standard errors. `profile`: by profile likelihood, for which the
    loss need not be quadratic; it costs some hundred short fits. `bootstrap`: from fits of
    resampled data."""
    kind: BootstrapKind | None = None
    """Of a bootstrap. `residual`, the default: residuals are drawn, each divided by √(1 −
    leverage). `case`: rows are drawn. `parametric`: the noise is normal. `wild`: each residual
    keeps its row and gets a random sign."""
    replicates: Replicates | None = None
    """Number of resampled data sets of a bootstrap. Default: 1,999."""
    interval: BootstrapInterval | None = None
    """Of a bootstrap. `percentile`, the default: quantiles of the replicates. `bca`: the same,
    corrected for bias and acceleration."""


class ReportOptions(Request):
    """A quantity derived from the params, and how its interval is computed."""

    expr: Expression | None = None
    """Default: the expression that the model's family has for a report of this name."""
    method: ReportMethod | None = None
    """`delta`: from the gradient and the covariance. `fieller`: for a ratio of two params.
    `profile`: by profile likelihood; some param must occur in the expression exactly once.
    `bootstrap`: from the replicates of `confidence_interval`. Default: `bootstrap` where that
    method is chosen there and there is neither `log` nor scaling, else `delta`."""
    log: bool = False
    """Whether the interval of `delta` is symmetric on the log scale."""


def _expr(value: Any) -> Any:
    return {"expr": value} if isinstance(value, str) else value


ReportQuantity = Annotated[
    ReportOptions, BeforeValidator(_expr, json_schema_input_type=Expression | ReportOptions)
]
"""An expression, or an object with its options."""
Reports = Annotated[dict[Name, ReportQuantity], Field(min_length=1, max_length=32)]
Report = Literal["default"] | Reports
"""Quantities by name; or `default`, those of the model's family, as `GET /models` lists them."""


class BandOptions(Request):
    """A band around predictions."""

    kind: BandKind = "confidence"
    """`confidence`: a band for the curve. `prediction`: a band for new observations."""
    level: Level = 0.95
    """The probability that the interval holds the true value."""


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Band = Annotated[BandOptions, BeforeValidator(_kind, json_schema_input_type=BandKind | BandOptions)]
"""A band's kind, or an object with its level."""


Columns = Annotated[list[Name], Field(min_length=1, max_length=8)]


class RelativeTo(Request):
    """A reference group: what others have relative to it is reported, as `e_ratio` for a param e,
    with an interval."""

    key: float | str | list[float | str]
    """Its value of the grouping column, or one of each."""
    of: Annotated[list[Name], Field(min_length=1, max_length=64)] | None = None
    """The params and reports that are compared with the reference's. Default: all but shared
    params."""
    inverse: bool = False
    """False: over the reference's. True: the reference's over it, as the relative potency of a
    compound is the EC50 of the standard over its own."""
    method: Literal["fieller", "profile"] = "fieller"
    """How intervals are computed. `fieller`: by Fieller's theorem, from the covariance. `profile`:
    by profile likelihood, of params alone."""


def _key(value: Any) -> Any:
    return {"key": value} if isinstance(value, str | float | int | list) else value


_Reference = Annotated[
    RelativeTo,
    BeforeValidator(_key, json_schema_input_type=float | str | list[float | str] | RelativeTo),
]
"""The key of the reference group, or an object with options."""


class GroupOptions(Request):
    """One fit for each distinct value of a column, in order of appearance; or one fit of all groups
    that share some params."""

    column: Name | Columns
    """The grouping column, of numbers or text: one group for each distinct value. Several columns
    make one key."""
    shared: Annotated[list[Name], Field(max_length=64)] = []
    """The params that have one value for all groups, which are then fitted together."""
    noise: Noise | None = None
    """`pooled`: one standard deviation of the noise for all groups, the default with `shared`
    params. `per_group`: one for each group."""
    relative_to: _Reference | None = None
    """A reference group, to which params and reports of the other groups are reported relative."""
    history: bool = False
    """Whether to return each group's history."""
    covariance: bool = False
    """Whether to return each group's covariance, which `POST /predict` with the `job_id` needs for
    bands. Groups with one noise always have it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The grouping columns."""
        return (self.column,) if isinstance(self.column, str) else tuple(self.column)

    @property
    def is_pooled(self) -> bool:
        """Whether the groups have one noise."""
        return self.noise == "pooled" or (self.noise is None and bool(self.shared))

    @property
    def returns_covariance(self) -> bool:
        """Whether the answer has each group's covariance."""
        return self.covariance or self.is_pooled


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str | list) else value


GroupBy = Annotated[
    GroupOptions, BeforeValidator(_column, json_schema_input_type=Name | Columns | GroupOptions)
]
"""A column's name, a list of names, or an object with options."""

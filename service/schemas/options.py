"""Options of a fit: scaling, params, tolerances, intervals, groups."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from service.schemas.base import Finite, Request
from service.schemas.columns import Name
from service.schemas.names import BandKind, IntervalMethod, ScalingMethod


class Scale(Request):
    """x' = scale·x + offset."""

    scale: Finite = 1.0
    offset: Finite = 0.0


Scaling = ScalingMethod | dict[Name, Scale]
"""One method for all inputs, or a scale and an offset for each named input."""


class Param(Request):
    """Initial value and bounds of a param."""

    value: Finite | None = None
    """Initial value. Default: guessed."""
    min: Finite | None = None
    max: Finite | None = None
    fixed: bool = False
    """Whether it is fixed at `value`."""


Part = Annotated[Finite, Field(ge=0, le=1)]
Level = Annotated[Finite, Field(gt=0, le=0.999999999)]


class Tolerance(Request):
    """Relative changes per epoch below which a fit has converged; 0 disables the criterion."""

    loss: Part | None = None
    params: Part | None = None
    gradient: Part | None = None


class ConfidenceOptions(Request):
    """Two-sided intervals for the params."""

    level: Level = 0.95
    method: IntervalMethod = "t"
    """`t`: symmetric, from the standard errors. `profile`: by profile likelihood, for which the
    loss need not be quadratic; it costs some hundred short fits."""


class BandOptions(Request):
    """A band around predictions."""

    kind: BandKind = "confidence"
    """`confidence`: a band for the curve. `prediction`: a band for new observations."""
    level: Level = 0.95


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Band = Annotated[BandOptions, BeforeValidator(_kind, json_schema_input_type=BandKind | BandOptions)]
"""A band's kind, or an object with its level."""


class GroupOptions(Request):
    """One fit for each distinct value of a column, in order of appearance."""

    column: Name
    """The grouping column, of numbers or text: one group for each distinct value."""
    history: bool = False
    """Whether to return each group's history."""


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


GroupBy = Annotated[
    GroupOptions, BeforeValidator(_column, json_schema_input_type=Name | GroupOptions)
]
"""A column's name, or an object with options."""

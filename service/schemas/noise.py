"""What a request says about the noise: σ as an expression, weights, outliers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.schemas.base import Finite, Request
from service.schemas.names import Name
from service.schemas.numbers import NonNegative, Positive
from service.schemas.options import Expression

Estimated = Annotated[dict[Name, Finite | None], Field(max_length=4)]


def _named(value: Any) -> Any:
    return dict.fromkeys(value) if isinstance(value, list) and _are_texts(value) else value


def _are_texts(value: list[Any]) -> bool:
    return all(isinstance(each, str) for each in value)


class NoiseModel(Request):
    """The standard deviation of the target's noise as an expression."""

    expr: Expression
    """Of the prediction, `pred`, of columns, and of the params in `estimate`; such as
    `0.02 + 0.05*pred`. The fit is repeated with the σ of its own prediction until it settles."""
    estimate: Annotated[
        Estimated,
        BeforeValidator(_named, json_schema_input_type=list[Name] | Estimated),
    ] = {}
    """The params of the expression that are estimated from the residuals, by pseudo-likelihood:
    names, or an object with their initial values."""


Sigma = Name | Positive | list[Positive]
"""A column's name, a number or a list."""
Weights = Annotated[str, Field(min_length=1, max_length=512)] | list[NonNegative]
"""A column's name, an expression of columns, or a list."""


class KnownNoise(Request):
    """The standard deviation of the noise as an expression of the prediction, `pred`, and of
    columns, in units of `sigma_scale`."""

    expr: Annotated[str, Field(min_length=1, max_length=600)]
    """The expression, such as `0.02 + 0.05*pred`."""
    params: dict[Name, Finite] = {}
    """The values of the params in the expression."""


OutlierAction = Literal["flag", "drop"]


class OutlierOptions(Request):
    """A test for outliers."""

    method: Literal["rout"] = "rout"
    """Robust fit and outlier removal, of Motulsky and Brown (2006)."""
    q: Annotated[Finite, Field(gt=0, le=0.1)] = 0.01
    """The false discovery rate: which part of the points that are called outliers may be none."""
    action: OutlierAction = "flag"
    """`flag`: the answer is the fit of all rows; `drop`: of the rows without outliers. Either names
    the outliers and has the params of the other fit too."""


def _method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


Outliers = Annotated[
    OutlierOptions,
    BeforeValidator(_method, json_schema_input_type=Literal["rout"] | OutlierOptions),
]
"""A method, or an object with options."""

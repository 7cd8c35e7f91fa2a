"""What is known of several params before a fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from service.schemas.base import Finite, Request
from service.schemas.names import Name


class JointPrior(Request):
    """A normal distribution of some params: their means and their covariance."""

    mean: Annotated[dict[Name, Finite], Field(min_length=1, max_length=64)]
    """By the name of the param, in raw units."""
    covariance: dict[Name, dict[Name, Finite]]
    """By the names of two params, those of `mean`, in any order; positive definite."""


class PredictDocument(Request):
    """The `predict` of an earlier fit, as it is in its answer: the params with a covariance are
    known from that fit, and its other fields are not used."""

    params: dict[Name, Any]
    """By name: the means, of those that have a covariance."""
    covariance: dict[Name, dict[Name, Finite]]
    """Of the params, by the names of two."""
    scaling: dict[Name, Any] | None = None
    """Null: the prior is of params in raw units."""

    model_config = {"extra": "ignore"}


def _joint(value: Any) -> Any:
    """The prior that the `predict` of a fit stands for."""
    if not isinstance(value, dict) or "params" not in value:
        return value
    known = PredictDocument.model_validate(value)
    if known.scaling:
        raise ValueError(
            "the params of this fit are of scaled inputs; fit without `scaling`, whose `predict` "
            "is a prior in raw units"
        )
    missing = [name for name in known.covariance if not isinstance(known.params.get(name), float)]
    if missing:
        raise ValueError(f"its `params` have no value for {', '.join(missing)}")
    mean = {name: known.params[name] for name in known.covariance}
    return {"mean": mean, "covariance": known.covariance}


Prior = Annotated[
    JointPrior, BeforeValidator(_joint, json_schema_input_type=JointPrior | PredictDocument)
]
"""Means and a covariance; or the `predict` of an earlier fit."""

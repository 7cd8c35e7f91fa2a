"""Numbers in requests: finite, and within bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from service.schemas.base import Finite, Request

Positive = Annotated[Finite, Field(gt=0)]
NonNegative = Annotated[Finite, Field(ge=0)]
Fraction = Annotated[Finite, Field(ge=0, lt=1)]


class RobustScale(Request):
    """A number in units of a robust scale of the residuals of the fit itself."""

    scale: Literal["mad"] = "mad"
    """`mad`: the median of the absolute residuals over 0.6745, in each group; the fit is repeated
    with it until it settles."""
    k: Positive | None = None
    """The number. Default: that of 95 % efficiency for Gaussian noise."""


InputRange = Annotated[list[Finite], Field(min_length=2, max_length=2)]
"""The smallest and the largest value."""


def named(value: Any) -> Any:
    """Expands a bare name to the object with that name and default options."""
    return {"name": value} if isinstance(value, str) else value

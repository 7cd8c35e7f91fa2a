"""Numbers in requests: finite, and within bounds."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from service.schemas.base import Finite

Positive = Annotated[Finite, Field(gt=0)]
NonNegative = Annotated[Finite, Field(ge=0)]
Fraction = Annotated[Finite, Field(ge=0, lt=1)]
InputRange = Annotated[list[Finite], Field(min_length=2, max_length=2)]
"""The smallest and the largest value."""


def named(value: Any) -> Any:
    """Expands a bare name to the object with that name and default options."""
    return {"name": value} if isinstance(value, str) else value

"""How a request says which model it means: a formula, a name, or an object with options."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.schemas.base import Request
from service.schemas.names import ModelName


class NamedModel(Request):
    """A family of the catalogue, by name, with the columns that it is to use."""

    name: ModelName
    """A name listed by `GET /models`."""
    inputs: list[str] | None = None
    """The columns that stand for the family's inputs. Default: the formula's own names where the
    data have them, else the other columns in their order."""
    target: str | None = None
    """The column to explain. Default: `y` where the data have it, else the last column."""
    degree: Annotated[int, Field(ge=0, le=20)] | None = None
    """For `polynomial` alone: its degree."""


Model = Annotated[str | NamedModel, Field(union_mode="left_to_right")]
"""A formula (`"t_c = w * t_u + b"`), a catalogue name (`"linear"`), or an object with options."""

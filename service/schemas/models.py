"""The `model` of a request: a formula, a name, or an object with options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, Tag, create_model
from pydantic.types import Discriminator

from service.catalogue.families import FAMILIES
from service.schemas.base import Request
from service.schemas.entries import strict
from service.schemas.names import Activation, ModelName

Width = Annotated[int, Field(ge=1, le=256)]


class FamilyOptions(Request):
    """A model of the catalogue, by name, with the columns to use."""

    name: ModelName
    """A name listed by `GET /models`."""
    inputs: list[str] | None = None
    """The predictor column, x in the model's formula. Default: `x` if the data have it, else the
    only column besides the target."""
    target: str | None = None
    """The response column. Default: `y` if the data have it, else the last column."""


def _options() -> Mapping[str, Any]:
    """The fields of the options that a family has."""
    fields: dict[str, Any] = {}
    for family in FAMILIES.values():
        for option in family.options:
            only = f"; only for `{family.name}`. Default: {option.default}."
            described = Field(None, description=f"{option.description}{only}")
            fields[option.name] = (strict(option.type) | None, described)
    return fields


if TYPE_CHECKING:
    NamedModel = FamilyOptions
else:
    NamedModel = create_model(
        "NamedModel",
        __base__=FamilyOptions,
        __config__={"use_attribute_docstrings": False},
        __doc__=FamilyOptions.__doc__,
        __module__=__name__,
        **_options(),
    )


class MlpModel(Request):
    """A multilayer perceptron. Its inputs are standardized unless `scaling` is given."""

    name: Literal["mlp"] = "mlp"
    """Always `mlp`."""
    hidden: Annotated[list[Width], Field(min_length=1, max_length=8)] = [16, 16]
    """The widths of its hidden layers."""
    activation: Activation = "tanh"
    """The function of the hidden layers."""
    inputs: Annotated[list[str], Field(min_length=1)] | None = None
    """The predictor columns. Default: every column but the target."""
    target: str | None = None
    """The response column. Default: `y` if the data have it, else the last column."""


def _kind(value: object) -> str:
    """The tag of the alternative that a value belongs to."""
    if isinstance(value, str):
        return "formula"
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return "mlp" if name == "mlp" else "family"


Model = Annotated[
    Annotated[str, Tag("formula")]
    | Annotated[NamedModel, Tag("family")]
    | Annotated[MlpModel, Tag("mlp")],
    Discriminator(_kind),
]
"""A formula (`"t_c = w * t_u + b"`), a catalogue name (`"linear"`), or an object with options."""

"""The `loss` of a request: a name, or an object with options. Made from the catalogue's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import BeforeValidator, Field

from service.catalogue.losses import LOSSES
from service.schemas.base import Request
from service.schemas.entries import by_class_name, models_of
from service.schemas.names import LossName
from service.schemas.numbers import named


class LossOptions(Request):
    """A loss with its options."""

    name: str
    """Its name."""


LOSS_MODELS = models_of(((loss, LossOptions) for loss in LOSSES.values()), "Loss", __name__)
globals().update(by_class_name(LOSS_MODELS))

LEAST_SQUARES: LossOptions = LOSS_MODELS["mse"](name="mse")

if TYPE_CHECKING:
    Loss = LossOptions
else:
    _Object = Annotated[Union[tuple(LOSS_MODELS.values())], Field(discriminator="name")]  # noqa: UP007
    Loss = Annotated[_Object, BeforeValidator(named, json_schema_input_type=LossName | _Object)]

"""The `likelihood` of a request: a name, or an object with options. Made from the catalogue's
records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import BeforeValidator, Field

from service.catalogue.likelihoods import LIKELIHOODS
from service.schemas.base import Request
from service.schemas.entries import by_class_name, models_of
from service.schemas.names import LikelihoodName, Name, Overdispersion
from service.schemas.numbers import named


class LikelihoodOptions(Request):
    """A likelihood with its options."""

    name: str
    """Its name."""
    overdispersion: Overdispersion | None = None
    """`pearson`: the variance of a target is that of the likelihood times the dispersion, which is
    estimated by Pearson's χ² over the degrees of freedom; standard errors are then larger by its
    square root, and intervals by Student's t. Default: the dispersion is 1."""


LIKELIHOOD_MODELS = models_of(
    ((each, LikelihoodOptions) for each in LIKELIHOODS.values()), "Likelihood", __name__
)
globals().update(by_class_name(LIKELIHOOD_MODELS))

Bins = Annotated[list[Name], Field(min_length=2, max_length=2)]
"""The columns of the lower and upper edges."""

if TYPE_CHECKING:
    Likelihood = LikelihoodOptions
else:
    _Object = Annotated[Union[tuple(LIKELIHOOD_MODELS.values())], Field(discriminator="name")]  # noqa: UP007
    Likelihood = Annotated[
        _Object, BeforeValidator(named, json_schema_input_type=LikelihoodName | _Object)
    ]

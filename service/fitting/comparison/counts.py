"""Comparison of models of counts, by their likelihood."""

from __future__ import annotations

from service.errors import InvalidRequest
from service.schemas.compare import CompareRequest
from service.schemas.comparisons import TestName


def default_tests(request: CompareRequest) -> list[TestName]:
    """The tests of nested models where none are asked for."""
    return ["f"] if request.likelihood is None else ["lrt"]


def check_likelihood(request: CompareRequest) -> None:
    """Raises InvalidRequest for what has no meaning where counts are compared."""
    asked = request.likelihood
    if asked is None:
        return
    if asked.overdispersion is not None:
        raise InvalidRequest(
            "counts with an estimated dispersion have no likelihood to compare models by; omit "
            "`overdispersion`",
            pointer="/likelihood/overdispersion",
        )
    cures = {
        "f": "F estimates the noise, which follows from the likelihood; use 'lrt'",
        "lack_of_fit": "the lack of fit of counts is their deviance on the degrees of freedom, "
        "which each model has; omit it",
    }
    for i, test in enumerate(request.tests or ()):
        if test in cures:
            raise InvalidRequest(cures[test], pointer=f"/tests/{i}")

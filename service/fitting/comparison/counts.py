"""Comparison of models of counts, and of models with a noise that follows from each."""

from __future__ import annotations

from service.errors import InvalidRequest
from service.schemas.compare import CompareRequest
from service.schemas.comparisons import TestName
from service.schemas.noise import NoiseModel


def default_tests(request: CompareRequest) -> list[TestName]:
    """The tests of nested models where none are asked for."""
    has_own = request.likelihood is not None or isinstance(request.sigma, NoiseModel)
    return ["lrt"] if has_own else ["f"]


def check_noise(request: CompareRequest) -> None:
    """Raises InvalidRequest for what has no meaning where each model has a noise of its own."""
    if not isinstance(request.sigma, NoiseModel):
        return
    if request.group_by is not None and not request.compares_curves:
        raise InvalidRequest(
            "models whose noise follows from the fit are compared for one group at a time; send "
            "its rows without `group_by`, or compare the curves of the groups by `null`",
            pointer="/group_by",
        )
    for i, test in enumerate(request.tests or ()):
        if test != "lrt":
            raise InvalidRequest(
                f"'{test}' compares the squares of residuals in one noise, and here each model has "
                "its own; use 'lrt'",
                pointer=f"/tests/{i}",
            )


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

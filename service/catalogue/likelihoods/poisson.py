"""Counts of independent events."""

from __future__ import annotations

from service.catalogue.likelihoods.record import Likelihood, deviance_part
from service.catalogue.tensors import Tensor


def _saturated(count: Tensor, weight: Tensor) -> Tensor:
    return count.xlogy(count) - count - (count + 1).lgamma()


POISSON = Likelihood(
    name="poisson",
    description="Counts of independent events: the variance of a count is its mean.",
    formula="2·Σ(y·ln(y/μ) − (y − μ)), y the count and μ = exposure·f its mean",
    variance_formula="μ",
    deviance=lambda y, mu: 2 * deviance_part(y, mu),
    variance=lambda mu: mu,
    variance_slope=lambda mu: 0 * mu + 1,
    saturated=_saturated,
    weight="exposure",
    weight_description=(
        "Time, area or volume in which the events of a row were counted: the formula is the rate "
        "per unit of it. A column's name or a number. Default: 1."
    ),
    upper=None,
    when_to_use="Counts of photons, decays, cells or events; exact where counts are few or zero.",
    reference="Baker and Cousins, Nuclear Instruments and Methods 221 (1984) 437",
)

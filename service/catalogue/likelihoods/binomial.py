"""Successes in a number of independent trials."""

from __future__ import annotations

from service.catalogue.likelihoods.record import Likelihood, deviance_part, log_or_zero
from service.catalogue.tensors import Tensor


def _deviance(y: Tensor, mu: Tensor) -> Tensor:
    return 2 * (deviance_part(y, mu) + deviance_part(1 - y, 1 - mu))


def _saturated(count: Tensor, weight: Tensor) -> Tensor:
    other = weight - count
    ways = (weight + 1).lgamma() - (count + 1).lgamma() - (other + 1).lgamma()
    return ways + log_or_zero(count, weight) + log_or_zero(other, weight)


BINOMIAL = Likelihood(
    name="binomial",
    description="Successes in a number of independent trials with the same probability.",
    formula="2·Σ(y·ln(y/(n·p)) + (n − y)·ln((n − y)/(n·(1 − p)))), y of n trials, p = f",
    variance_formula="μ·(1 − μ)",
    deviance=_deviance,
    variance=lambda mu: mu * (1 - mu),
    variance_slope=lambda mu: 1 - 2 * mu,
    saturated=_saturated,
    weight="n",
    weight_description=(
        "The number of trials of a row, of which the target counts the successes: the formula is "
        "the probability of one. A column's name or a number. It may be omitted where the "
        "target is 0 or 1 in each row."
    ),
    upper=1.0,
    when_to_use="Dead of treated, germinated of sown, positive of tested; yes or no in each row.",
    reference="McCullagh and Nelder, Generalized Linear Models, 2nd ed. (1989), ch. 4",
)

"""A throw-away likelihood: failures before a success, whose variance is μ + μ²."""

from __future__ import annotations

from service.catalogue.likelihoods.record import Likelihood, log_or_zero
from service.catalogue.tensors import Tensor


def _deviance(y: Tensor, mu: Tensor) -> Tensor:
    return 2 * (log_or_zero(y, mu) - log_or_zero(1 + y, 1 + mu)).where(mu > 0, float("nan"))


NEW_LIKELIHOOD = Likelihood(
    name="new_likelihood",
    description="Failures before a success.",
    formula="2·Σ(y·ln(y/μ) − (1 + y)·ln((1 + y)/(1 + μ)))",
    variance_formula="μ + μ²",
    deviance=_deviance,
    variance=lambda mu: mu + mu * mu,
    variance_slope=lambda mu: 1 + 2 * mu,
    saturated=lambda count, weight: log_or_zero(count, 1 + count) - (1 + count).log(),
    weight="runs",
    weight_description="How often it was tried.",
    upper=None,
    when_to_use="Tries until one succeeds.",
    reference="this test",
)

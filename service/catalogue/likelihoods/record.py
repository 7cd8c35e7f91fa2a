"""The record of a likelihood of counts: an exponential dispersion family, as in a generalized
linear model (McCullagh and Nelder, Generalized Linear Models, 2nd ed., ch. 2).

The target y of a row is a count per unit of its `weight` (an exposure, or a number of trials), and
the model its mean μ. The row's deviance is weight·d(y, μ), and its variance V(μ)/weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.catalogue.options import Option, Positive
from service.catalogue.tensors import Tensor

TERMS = 8
"""Terms of the series of `deviance_part`, which give 16 digits."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A likelihood. The kernel has compiled code for those that `engine/kernel/likelihoods.py`
    names; any other is evaluated by these functions in torch."""

    name: str
    description: str
    formula: str
    """The deviance of all rows, in terms of count, weight and mean."""
    variance_formula: str
    """V(μ) as text."""
    deviance: Callable[[Tensor, Tensor], Tensor]
    """d(y, μ)"""
    variance: Callable[[Tensor], Tensor]
    """V(μ)"""
    variance_slope: Callable[[Tensor], Tensor]
    """dV/dμ"""
    saturated: Callable[[Tensor, Tensor], Tensor]
    """The log-likelihood of a row whose mean is its target, from count and weight, with its
    constants: the log-likelihood is that − deviance/2."""
    weight: str
    """The option that gives the weight of each row."""
    weight_description: str
    upper: float | None
    """Largest mean; the smallest is 0."""
    when_to_use: str
    reference: str

    @property
    def options(self) -> tuple[Option, ...]:
        kind = str | Positive | None
        return (Option(self.weight, kind, None, self.weight_description),)


def deviance_part(y: Tensor, mu: Tensor) -> Tensor:
    """y·ln(y/μ) + μ − y, without its cancellation where y and μ are close (Loader, Fast and
    Accurate Computation of Binomial Probabilities, 2000). NaN for μ < 0."""
    ratio = (y - mu) / (y + mu).where(y + mu != 0, 1.0)
    square, series = ratio * ratio, 0.0 * mu
    for term in range(TERMS, 0, -1):
        series = (series + 1.0 / (2 * term + 1)) * square
    near = (y - mu) * ratio + 2 * y * ratio * series
    positive = y.where(y > 0, 1.0)
    far = (y * (positive / mu).log() + mu - y).where(y > 0, mu)
    return near.where(ratio.abs() < 0.1, far).where(mu >= 0, float("nan"))


def log_or_zero(part: Tensor, whole: Tensor) -> Tensor:
    """part·ln(part/whole), 0 where part is 0."""
    return part * (part / whole).where(part > 0, 1.0).log()

"""The record of a loss of the residual r = prediction − target: the mean over the rows of ρ(r).

ρ and its derivative ψ = ρ' are functions of z, the residual or (with σ) r/σ, and of the option.
Iteratively reweighted least squares minimises the loss with the weights ψ(z)/(2z) (Huber and
Ronchetti, Robust Statistics, 2nd ed., ch. 7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.catalogue.options import Option, Positive, RobustScale
from service.catalogue.tensors import Tensor

Curve = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, slots=True)
class LossFunction:
    """A loss. The kernel has compiled code for those that `engine/kernel/losses.py` names; any
    other is evaluated by ρ and ψ in torch."""

    name: str
    description: str
    formula: str
    """With its reduction, in terms of the residual r."""
    rho: Curve
    psi: Curve
    slope: str
    """ψ as text, with {r} for the residual and {d} for the option: a factor of the chain rule."""
    when_to_use: str
    reference: str
    option: Option | None = None
    """The number that ρ and ψ take, if any."""
    is_smooth: bool = True
    """Whether ρ is differentiable at zero."""

    @property
    def tuning(self) -> float | None:
        """The option in units of a robust scale of the residuals, at which the fit is 95 % as
        efficient as least squares for Gaussian noise."""
        return None if self.option is None else self.option.tuning

    @property
    def is_likelihood(self) -> bool:
        """Whether its minimum is that of greatest likelihood for Gaussian noise."""
        return self.name == "mse"

    @property
    def options(self) -> tuple[Option, ...]:
        return () if self.option is None else (self.option,)

    @property
    def default(self) -> float:
        """The option's default; 1 without an option."""
        return 1.0 if self.option is None else float(self.option.default)


def delta(default: float, tuning: float | None = None) -> Option:
    """The width of a robust loss."""
    description = (
        "The residual above which the weight decreases, in units of the target (or of `sigma`). "
        f"Default: {default:g}."
    )
    if tuning is None:
        return Option("delta", Positive | None, default, description)
    scaled = (
        ' Or `{"scale": "mad"}`: in units of a robust scale of the residuals, with `k` for the '
        f"number, by default {tuning:g}."
    )
    return Option("delta", Positive | RobustScale | None, default, description + scaled, tuning)


def of_square(z: Tensor, delta: float, bend: Callable[[Tensor], Tensor]) -> Tensor:
    """delta²·bend((z/delta)²), which is z² near zero, without its cancellation."""
    u = (z / delta) ** 2
    near = u.where(u > 0, 1.0)
    return (z * z * (bend(near) / near)).where(u > 0, z * z)

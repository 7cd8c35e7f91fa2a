"""A loss with its option set (see `catalogue.losses`), or a likelihood of counts (see
`catalogue.likelihoods`); and its number in the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from service.catalogue.likelihoods import LIKELIHOODS, Likelihood
from service.catalogue.losses import LOSSES, LossFunction
from service.engine.kernel.likelihoods import NAMES as COMPILED_LIKELIHOODS
from service.engine.kernel.losses import NAMES

_COMPILED = (*NAMES, *COMPILED_LIKELIHOODS)
_ORDER = (*_COMPILED, *(name for name in (*LOSSES, *LIKELIHOODS) if name not in _COMPILED))
_NUMBERS: Mapping[str, int] = {name: number for number, name in enumerate(_ORDER)}


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss with its option set, the mean of ρ(z) over the rows; or a likelihood, the mean of the
    rows' deviances. The z of a likelihood are Pearson's residuals, (μ − y)/(σ·√V(μ)), and 1/σ² its
    weights."""

    function: LossFunction
    """The loss of z; of a likelihood, least squares, of which the steps of its fit are."""
    delta: float
    likelihood: Likelihood | None = None

    @classmethod
    def numbered(cls, number: int, delta: float) -> Loss:
        """The loss with that number (see `number`)."""
        name = _ORDER[number]
        return cls.of_likelihood(name) if name in LIKELIHOODS else cls(LOSSES[name], delta)

    @classmethod
    def of_likelihood(cls, name: str) -> Loss:
        """The likelihood of that name."""
        return cls(LOSSES["mse"], 1.0, LIKELIHOODS[name])

    @property
    def name(self) -> str:
        return self.function.name if self.likelihood is None else self.likelihood.name

    @property
    def number(self) -> int:
        """The loss as the kernel's operators take it: those with compiled code come first."""
        return _NUMBERS[self.name]

    @property
    def is_compiled(self) -> bool:
        """Whether the kernel has compiled code for it."""
        return is_compiled(self.number)

    @property
    def is_least_squares(self) -> bool:
        """Whether it is the mean of squares."""
        return self.function is LOSSES["mse"] and self.likelihood is None

    @property
    def has_likelihood(self) -> bool:
        """Whether it is a likelihood, or the Gaussian one, whose minimum has standard errors."""
        return self.is_least_squares or self.likelihood is not None

    @property
    def is_robust(self) -> bool:
        """Whether its standard errors are those of Huber, from ψ and ψ′."""
        return self.is_smooth and not self.has_likelihood

    def residuals(self, prediction: Tensor, target: Tensor, sigma: Tensor | None) -> Tensor:
        """z of each row."""
        z = prediction - target
        z = z if sigma is None else z / sigma
        return z if self.likelihood is None else z * self.precision(prediction, target).sqrt()

    def mean(self, prediction: Tensor, target: Tensor, sigma: Tensor | None) -> Tensor:
        """The loss, over the last dimension (rows)."""
        if self.likelihood is None:
            return self.value(self.residuals(prediction, target, sigma))
        return self.deviances(prediction, target, sigma).mean(dim=-1)

    def slopes(self, prediction: Tensor, target: Tensor, sigma: Tensor | None) -> Tensor:
        """∂loss/∂prediction of each row."""
        z = prediction - target
        z = z if sigma is None else z / sigma
        found = self.slope(z) if sigma is None else self.slope(z) / sigma
        return found if self.likelihood is None else found * self.precision(prediction, target)

    def deviances(self, prediction: Tensor, target: Tensor, sigma: Tensor | None) -> Tensor:
        """The deviance of each row, of a likelihood."""
        assert self.likelihood is not None
        found = self.likelihood.deviance(target, prediction)
        return found if sigma is None else found / sigma.square()

    def precision(self, prediction: Tensor, target: Tensor) -> Tensor:
        """1/V(μ) of each row, of a likelihood. Where V is 0 a row whose target is its mean has no
        weight; NaN outside the domain of the mean."""
        assert self.likelihood is not None
        variance = self.likelihood.variance(prediction)
        met = (variance == 0) & (prediction == target)
        inside = torch.where(variance > 0, 1 / torch.where(variance > 0, variance, 1.0), torch.nan)
        return torch.where(met, 0.0, inside)

    def value(self, z: Tensor) -> Tensor:
        """mean ρ(z) over the last dimension (rows)."""
        return self.function.rho(z, self.delta).mean(dim=-1)

    def slope(self, z: Tensor) -> Tensor:
        """∂loss/∂z = ψ(z)/rows, for each row."""
        return self.function.psi(z, self.delta) / z.shape[-1]

    def pull(self, z: Tensor) -> Tensor:
        """ψ(z), for each row."""
        return self.function.psi(z, self.delta)

    @property
    def is_smooth(self) -> bool:
        """Whether ρ is differentiable at zero."""
        return self.function.is_smooth

    def smoothed(self, z: Tensor, width: float | Tensor) -> tuple[Tensor, Tensor]:
        """A loss that is not smooth, with its corner replaced by a parabola within ±width (Huber):
        ρ(z) and the weight of each row."""
        size = z.abs()
        side = self.function.rho(torch.where(z < 0, -1.0, 1.0).to(z.dtype), self.delta)
        rho = side * torch.where(size > width, size - width / 2, z * z / (2 * width))
        return rho, side / (2 * size.clamp(min=width))

    def weight(self, z: Tensor) -> Tensor:
        """ψ(z)/(2z) of each row: with this weight z² has the derivative of ρ."""
        tiny = torch.finfo(z.dtype).tiny ** 0.5
        apart = torch.where(z.abs() < tiny, torch.full_like(z, tiny), z)
        return self.function.psi(apart, self.delta) / (2 * apart)


def is_compiled(number: int) -> bool:
    """Whether the kernel has compiled code for the loss with that number."""
    return number < len(_COMPILED)

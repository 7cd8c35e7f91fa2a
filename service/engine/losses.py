"""A loss with its option set (see `catalogue.losses`), and its number in the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from service.catalogue.losses import LOSSES, LossFunction
from service.engine.kernel.losses import NAMES

_ORDER = (*NAMES, *(name for name in LOSSES if name not in NAMES))
_NUMBERS: Mapping[str, int] = {name: number for number, name in enumerate(_ORDER)}


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss with its option set."""

    function: LossFunction
    delta: float

    @classmethod
    def numbered(cls, number: int, delta: float) -> Loss:
        """The loss with that number (see `number`)."""
        return cls(LOSSES[_ORDER[number]], delta)

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def number(self) -> int:
        """The loss as the kernel's operators take it: those with compiled code come first."""
        return _NUMBERS[self.function.name]

    @property
    def is_compiled(self) -> bool:
        """Whether the kernel has compiled code for it."""
        return is_compiled(self.number)

    @property
    def is_least_squares(self) -> bool:
        """Whether it is the mean of squares."""
        return self.function is LOSSES["mse"]

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
    return number < len(NAMES)

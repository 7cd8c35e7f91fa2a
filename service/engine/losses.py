"""Losses of the residual r = prediction − target: means over the rows of ρ(r).

Each entry has ρ and its derivative ψ = ρ'. Iteratively reweighted least squares minimises it with
the weights ψ(r)/(2r) (Huber and Ronchetti, Robust Statistics, 2nd ed., ch. 7). With σ, r is r/σ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Curve = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, slots=True)
class LossFunction:
    """An entry of the table. `option` is the name of its parameter, if any, with its default."""

    name: str
    formula: str
    rho: Curve
    psi: Curve
    when_to_use: str
    reference: str
    option: str | None = None
    default: float = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss with its option set."""

    function: LossFunction
    delta: float

    @property
    def name(self) -> str:
        return self.function.name

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
        """Whether ρ is differentiable at zero: mae and quantile are not."""
        return self.name not in ("mae", "quantile")

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


def _huber(z: Tensor, delta: float) -> Tensor:
    size = z.abs()
    return torch.where(size <= delta, 0.5 * z * z, delta * (size - 0.5 * delta))


def _bent(z: Tensor, delta: float, bend: Callable[[Tensor], Tensor]) -> Tensor:
    """delta²·bend((z/delta)²), which is z² near zero, without its cancellation."""
    u = (z / delta) ** 2
    near = torch.where(u > 0, u, torch.ones_like(u))
    return torch.where(u > 0, z * z * (bend(near) / near), z * z)


def _log_cosh(z: Tensor, delta: float) -> Tensor:
    size = (z / delta).abs()
    s = size.clamp(min=1e-8, max=1.0)
    near = z * z * torch.log1p(2 * torch.sinh(s / 2) ** 2) / (s * s)
    far = delta * (delta * (size + torch.log1p(torch.exp(-2 * size)) - math.log(2)))
    return torch.where(size < 1, torch.where(size > 1e-8, near, z * z / 2), far)


def _tukey(z: Tensor, delta: float) -> Tensor:
    u = (z / delta) ** 2
    return torch.where(
        u < 1, z * z / 6 * (3 - 3 * u + u * u), torch.full_like(z, delta * (delta / 6))
    )


def _quantile(z: Tensor, quantile: float) -> Tensor:
    return torch.where(z < 0, -quantile * z, (1 - quantile) * z)


def _quantile_slope(z: Tensor, quantile: float) -> Tensor:
    below, above = torch.full_like(z, -quantile), torch.full_like(z, 1 - quantile)
    return torch.where(z < 0, below, above) * (z != 0)


LOSSES: Mapping[str, LossFunction] = {
    loss.name: loss
    for loss in (
        LossFunction(
            "mse",
            "mean(r²)",
            lambda z, d: z * z,
            lambda z, d: 2 * z,
            "Noise of constant variance, without outliers: maximum likelihood for Gaussian noise.",
            "Gauss, Theoria motus (1809)",
        ),
        LossFunction(
            "mae",
            "mean(|r|)",
            lambda z, d: z.abs(),
            lambda z, d: z.sign(),
            "Outliers in the target; the fit goes through medians.",
            "Laplace, Théorie analytique des probabilités (1812)",
        ),
        LossFunction(
            "huber",
            "mean(½r² where |r| ≤ delta, else delta·(|r| − ½delta))",
            _huber,
            lambda z, d: z.clamp(-d, d),
            "Some outliers: quadratic near zero, linear far away.",
            "Huber, Annals of Mathematical Statistics 35 (1964) 73",
            "delta",
        ),
        LossFunction(
            "soft_l1",
            "mean(2·delta²·(√(1 + (r/delta)²) − 1))",
            lambda z, d: 2 * z * z / (1 + torch.sqrt(1 + (z / d) ** 2)),
            lambda z, d: 2 * z / torch.sqrt(1 + (z / d) ** 2),
            "Some outliers: a smooth huber.",
            "Charbonnier et al., IEEE Transactions on Image Processing 6 (1997) 298",
            "delta",
        ),
        LossFunction(
            "cauchy",
            "mean(delta²·ln(1 + (r/delta)²))",
            lambda z, d: _bent(z, d, torch.log1p),
            lambda z, d: 2 * z / (1 + (z / d) ** 2),
            "Heavy-tailed noise; the weight of a point decreases with its residual.",
            "Triggs et al., Bundle Adjustment (2000), section 3.4",
            "delta",
        ),
        LossFunction(
            "log_cosh",
            "mean(delta²·ln(cosh(r/delta)))",
            _log_cosh,
            lambda z, d: d * torch.tanh(z / d),
            "Some outliers; smooth everywhere, with two derivatives.",
            "Green, IEEE Transactions on Medical Imaging 9 (1990) 84",
            "delta",
        ),
        LossFunction(
            "arctan",
            "mean(delta²·arctan((r/delta)²))",
            lambda z, d: _bent(z, d, torch.atan),
            lambda z, d: 2 * z / (1 + (z / d) ** 4),
            "Gross outliers: the loss of a point is bounded.",
            "Triggs et al., Bundle Adjustment (2000), section 3.4",
            "delta",
        ),
        LossFunction(
            "tukey",
            "mean(delta²/6·(1 − (1 − (r/delta)²)³) where |r| ≤ delta, else delta²/6)",
            _tukey,
            lambda z, d: z * (1 - (z / d) ** 2).clamp(min=0) ** 2,
            "Gross outliers: points beyond delta have no weight. Needs a good start.",
            "Beaton and Tukey, Technometrics 16 (1974) 147",
            "delta",
            4.685,
        ),
        LossFunction(
            "quantile",
            "mean(quantile·(−r) where r < 0, else (1 − quantile)·r)",
            _quantile,
            _quantile_slope,
            "A quantile of the target rather than its mean; 0.5 is the median.",
            "Koenker and Bassett, Econometrica 46 (1978) 33",
            "quantile",
            0.5,
        ),
    )
}
"""Every loss, by name."""

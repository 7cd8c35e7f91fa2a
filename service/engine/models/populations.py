"""Fish and other populations: growth of individuals, and recruitment."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.exponentials import decaying, rate
from service.engine.models.grids import (
    bounded_exp,
    params,
    product,
    ratio_frame,
    search,
    span,
    span_frame,
    thinned,
)


def guess_ricker(x: Tensor, y: Tensor) -> Tensor:
    """a and b over a grid of b."""
    frame = ratio_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [v * bounded_exp(-rate(t) * v)]

    found = search(basis, v, thin, product(span(-6.0, 12.0, 70)))
    a = frame.size * found.coefficients[:, 0] / frame.width
    return params(a, rate(found.at[:, 0]) / frame.width)


def guess_von_bertalanffy(x: Tensor, y: Tensor) -> Tensor:
    """Linf, K and t0 over a grid of K.

    Linf − h·exp(−Kx), where h/Linf = exp(K·t0) has to be positive.
    """
    frame = span_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), -decaying(v, rate(t))]

    def allowed(coefficients: Tensor) -> Tensor:
        return coefficients.prod(dim=-1) > 0

    found = search(basis, v, thin, product(span(-8.95, 12.05, 70)), allowed)
    k = rate(found.at[:, 0])
    limit, height = found.coefficients.unbind(-1)
    usable = limit * height > 0
    ratio = torch.where(usable, height, 1.0) / torch.where(usable, limit, 1.0)
    origin = (ratio.log() + k.clamp(max=0.0)) / torch.where(k == 0, 1.0, k)
    limit = torch.where(usable, limit, thin.mean(dim=-1))
    return params(frame.size * limit, k / frame.width, frame.low + frame.width * origin)

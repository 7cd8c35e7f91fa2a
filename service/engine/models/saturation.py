"""Curves that start at 0 and saturate: binding, enzymes, adsorption, charging."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.exponentials import rate
from service.engine.models.grids import (
    both_ways,
    bounded_exp,
    centres,
    log_frame,
    params,
    product,
    ratio_frame,
    search,
    span,
    thinned,
)


def guess_michaelis_menten(x: Tensor, y: Tensor) -> Tensor:
    """Vmax and Km over a grid of log(Km)."""
    frame = ratio_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [v / (t.exp() + v)]

    found = search(basis, v, thin, product(span(-12.0, 10.0, 60)))
    return params(frame.size * found.coefficients[:, 0], frame.width * found.at[:, 0].exp())


def guess_langmuir(x: Tensor, y: Tensor) -> Tensor:
    """qmax and K = 1/Km."""
    qmax, km = guess_michaelis_menten(x, y).unbind(-1)
    return params(qmax, 1 / km)


def guess_hill(x: Tensor, y: Tensor) -> Tensor:
    """Vmax, K and n over a grid of log(K) and n, of either sign."""
    frame = log_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, m: Tensor, s: Tensor, sign: Tensor) -> list[Tensor]:
        return [torch.sigmoid(sign * (v - m) * bounded_exp(-s))]

    grid = both_ways(centres(span(-5.0, 1.5, 12), -0.5, 2.0, reach=5.0))
    found = search(basis, v, thin, grid)
    m, s, sign = found.at.unbind(-1)
    middle = (frame.low + frame.width * m).exp()
    return params(frame.size * found.coefficients[:, 0], middle, sign / (s.exp() * frame.width))


def guess_saturating_growth(x: Tensor, y: Tensor) -> Tensor:
    """a and k over a grid of k, of either sign."""
    frame = ratio_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [-torch.expm1((-rate(t) * v).clamp(max=350.0))]

    found = search(basis, v, thin, product(span(-6.0, 12.0, 70)))
    return params(frame.size * found.coefficients[:, 0], rate(found.at[:, 0]) / frame.width)

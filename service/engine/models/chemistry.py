"""Chemistry against temperature and concentration."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.catalogue.families.chemistry import GAS_CONSTANT
from service.engine.models.exponentials import guess_growth
from service.engine.models.grids import Grid, params, search, span, span_frame, thinned
from service.engine.models.powers import guess_logarithmic


def guess_arrhenius(x: Tensor, y: Tensor) -> Tensor:
    """A and Ea: an exponential of −1/x."""
    A, rate = guess_growth(-1 / torch.where(x == 0, torch.inf, x), y).unbind(-1)
    return params(A, rate * GAS_CONSTANT)


def guess_nernst(x: Tensor, y: Tensor) -> Tensor:
    """E0 and S: a line in log10(x)."""
    E0, S = guess_logarithmic(x, y).unbind(-1)
    return params(E0, S * math.log(10))


def guess_antoine(x: Tensor, y: Tensor) -> Tensor:
    """A, B and C over a grid of the pole x = −C, on either side of the data."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)

    def pole(s: Tensor, side: Tensor) -> Tensor:
        return torch.where(side > 0, 1.0, 0.0) + side * s.exp()

    def basis(v: Tensor, s: Tensor, side: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), -1 / (v - pole(s, side))]

    places, step = span(-6.0, 7.0, 40)
    at = torch.cat([torch.stack([places, torch.full_like(places, s)], -1) for s in (-1.0, 1.0)])
    grid = Grid(at, torch.tensor([step, 0.0], dtype=at.dtype).expand_as(at))
    found = search(basis, v, thin, grid)
    A, B = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    C = -(frame.low + frame.width * pole(found.at[:, 0], found.at[:, 1]))
    return params(A, B * frame.width, C)

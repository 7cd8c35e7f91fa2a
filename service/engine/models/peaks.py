"""Peaks on a constant background. Without a background, fix c at 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.models.grids import (
    Grid,
    bounded_exp,
    centres,
    params,
    search,
    span,
    span_frame,
    thinned,
    with_axis,
)


def _bell(v: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """1 at m, a half at the distance e^s."""
    return bounded_exp(-math.log(2) * ((v - m) * bounded_exp(-s)).square())


def _peaks(shares: Tensor, share_step: float) -> Grid:
    """Centres, logs of the half-width at half the height, and shares of the Lorentzian."""
    return with_axis(centres(span(-6.0, 0.6, 12), -0.25, 1.25, reach=1.0), shares, share_step)


def _basis(v: Tensor, m: Tensor, s: Tensor, share: Tensor) -> list[Tensor]:
    u = ((v - m) * bounded_exp(-s)).square()
    share = share.clamp(0.0, 1.0)
    return [torch.ones_like(v), share / (1 + u) + (1 - share) * bounded_exp(-math.log(2) * u)]


def _guess(x: Tensor, y: Tensor, grid: Grid) -> tuple[Tensor, ...]:
    """Height, share of the Lorentzian, centre, half-width and background, each (groups,)."""
    frame = span_frame(x, y)
    found = search(_basis, *thinned(frame), grid)
    m, s, share = found.at.unbind(-1)
    c, a = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    return a, share.clamp(0.0, 1.0), frame.low + frame.width * m, s.exp() * frame.width, c


def guess_gaussian(x: Tensor, y: Tensor) -> Tensor:
    """a, mu, sigma and c over a grid of mu and log(sigma)."""
    a, _, mu, hwhm, c = _guess(x, y, _peaks(torch.zeros(1, dtype=torch.float64), 0.0))
    return params(a, mu, hwhm / math.sqrt(2 * math.log(2)), c)


def guess_lorentzian(x: Tensor, y: Tensor) -> Tensor:
    """a, x0, hwhm and c over a grid of x0 and log(hwhm)."""
    a, _, x0, hwhm, c = _guess(x, y, _peaks(torch.ones(1, dtype=torch.float64), 0.0))
    return params(a, x0, hwhm, c)


def guess_pseudo_voigt(x: Tensor, y: Tensor) -> Tensor:
    """a, eta, x0, hwhm and c over a grid of eta, x0 and log(hwhm).

    Only shares from 0 to 1: beyond, two wide shapes that nearly cancel fit the noise.
    """
    return params(*_guess(x, y, _peaks(*span(0.0, 1.0, 3))))

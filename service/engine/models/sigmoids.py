"""Sigmoids: growth against time, response against dose.

Over a dose, which is 0 or more, they are functions of log(x): `logistic4`, `logistic5` and
`weibull`. Over a time they are functions of x: `logistic3` and `gompertz`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.grids import (
    Basis,
    both_ways,
    bounded_exp,
    centres,
    log_frame,
    params,
    search,
    span,
    span_frame,
    thinned,
    with_axis,
)


def _guess_over_time(x: Tensor, y: Tensor, basis: Basis) -> Tensor:
    """Height, rate and middle, over a grid of middle, log(width) and sign."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)
    grid = both_ways(centres(span(-5.0, 1.0, 11), -1.0, 3.0, reach=5.0))
    found = search(basis, v, thin, grid)
    m, s, sign = found.at.unbind(-1)
    return params(
        frame.size * found.coefficients[:, 0],
        sign / (s.exp() * frame.width),
        frame.low + frame.width * m,
    )


def guess_logistic3(x: Tensor, y: Tensor) -> Tensor:
    """L, k and x0 over a grid of x0 and k."""

    def basis(v: Tensor, m: Tensor, s: Tensor, sign: Tensor) -> list[Tensor]:
        return [torch.sigmoid(sign * (v - m) * bounded_exp(-s))]

    return _guess_over_time(x, y, basis)


def guess_gompertz(x: Tensor, y: Tensor) -> Tensor:
    """a, k and x0 over a grid of x0 and k."""

    def basis(v: Tensor, m: Tensor, s: Tensor, sign: Tensor) -> list[Tensor]:
        return [bounded_exp(-bounded_exp(-sign * (v - m) * bounded_exp(-s)))]

    return _guess_over_time(x, y, basis)


def guess_logistic4(x: Tensor, y: Tensor) -> Tensor:
    """c, d, e and b over a grid of log(e) and log(b); c is the lower limit."""
    frame = log_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, m: Tensor, s: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), torch.sigmoid((m - v) * bounded_exp(-s))]

    grid = centres(span(-5.0, 1.5, 12), -0.5, 1.5, reach=3.0)
    found = search(basis, v, thin, grid)
    m, s = found.at.unbind(-1)
    c, height = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    b = 1 / (s.exp() * frame.width)
    return params(
        torch.where(height < 0, c + height, c),
        torch.where(height < 0, c, c + height),
        (frame.low + frame.width * m).exp(),
        torch.where(height < 0, -b, b),
    )


def guess_logistic5(x: Tensor, y: Tensor) -> Tensor:
    """c, d, e, b and f over a grid of log(e), log|b|, its sign and log(f); c is the lower limit."""
    frame = log_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, m: Tensor, s: Tensor, sign: Tensor, g: Tensor) -> list[Tensor]:
        steepness = sign * bounded_exp(-s)
        rise = torch.nn.functional.softplus((v - m) * steepness)
        return [torch.ones_like(v), bounded_exp(-g.exp() * rise)]

    grid = both_ways(centres(span(-4.5, 1.0, 8), -0.5, 1.5, reach=3.0))
    found = search(basis, v, thin, with_axis(grid, *span(-2.0, 2.0, 5)), _rising)
    m, s, sign, g = found.at.unbind(-1)
    c, height = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    e = (frame.low + frame.width * m).exp()
    return params(c, c + height, e, sign / (s.exp() * frame.width), g.exp())


def _rising(coefficients: Tensor) -> Tensor:
    return coefficients[..., 1] >= 0


def guess_weibull(x: Tensor, y: Tensor) -> Tensor:
    """a, drop, scale and shape over a grid of log(scale) and log(shape)."""
    frame = log_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, m: Tensor, s: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), -bounded_exp(-bounded_exp((v - m) * bounded_exp(-s)))]

    grid = centres(span(-5.0, 1.5, 12), -0.5, 1.5, reach=3.0)
    found = search(basis, v, thin, grid)
    m, s = found.at.unbind(-1)
    a, drop = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    return params(a, drop, (frame.low + frame.width * m).exp(), 1 / (s.exp() * frame.width))

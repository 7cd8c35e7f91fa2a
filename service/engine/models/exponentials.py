"""Exponentials: decay to a plateau, double decay, growth.

Rates rather than time constants, as in Prism and in SciPy's example of `curve_fit`: a rate passes
through 0 where a time constant passes through infinity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.grids import (
    Frame,
    bounded_exp,
    params,
    product,
    search,
    span,
    span_frame,
    thinned,
)

SLOWEST = 0.1
"""In units of 1/range of x: rates are SLOWEST·sinh(t), even near 0, logarithmic beyond."""


def rate(t: Tensor) -> Tensor:
    """The rate of a coordinate, of either sign."""
    return SLOWEST * t.sinh()


def decaying(v: Tensor, k: Tensor) -> Tensor:
    """exp(−kv) over v in [0, 1], scaled to reach 1 at its largest."""
    return bounded_exp(-k * (v - (k < 0).to(v.dtype)))


def decay(frame: Frame) -> tuple[Tensor, Tensor, Tensor]:
    """k, a at v = 0 and c of a·exp(−kv) + c, each (groups,), y in units of its size."""
    v, y = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), decaying(v, rate(t))]

    found = search(basis, v, y, product(span(-9.0, 14.0, 70)))
    k = rate(found.at[:, 0])
    c, a = found.coefficients.unbind(-1)
    return k, a * bounded_exp(k.clamp(max=0.0)), c


def guess_decay(x: Tensor, y: Tensor) -> Tensor:
    """a, k and c over a grid of k."""
    frame = span_frame(x, y)
    k, a, c = decay(frame)
    k = k / frame.width
    return params(frame.size * a * (k * frame.low).exp(), k, frame.size * c)


def guess_growth(x: Tensor, y: Tensor) -> Tensor:
    """a and k of a·exp(kx) over a grid of k."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [decaying(v, -rate(t))]

    found = search(basis, v, thin, product(span(-12.0, 12.0, 70)))
    k = rate(found.at[:, 0])
    a = found.coefficients[:, 0] * bounded_exp(-k.clamp(min=0.0))
    return params(frame.size * a * (-k * frame.low / frame.width).exp(), k / frame.width)


def guess_double_decay(x: Tensor, y: Tensor) -> Tensor:
    """a1, k1, a2 and k2 over a grid of both rates, the faster first."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t1: Tensor, t2: Tensor) -> list[Tensor]:
        return [decaying(v, rate(t1)), decaying(v, rate(t2))]

    grid = product(span(-5.0, 12.0, 28), span(-5.0, 12.0, 28))
    faster = grid.at[:, 0] > grid.at[:, 1]
    found = search(basis, v, thin, type(grid)(grid.at[faster], grid.step[faster]))
    k = rate(found.at)
    a = found.coefficients * bounded_exp(k.clamp(max=0.0)) * frame.size.unsqueeze(-1)
    k = k / frame.width.unsqueeze(-1)
    k, order = k.sort(dim=-1, descending=True)
    a = a.gather(-1, order) * (k * frame.low.unsqueeze(-1)).exp()
    return params(a[:, 0], k[:, 0], a[:, 1], k[:, 1])

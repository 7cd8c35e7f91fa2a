"""Two lines that meet at a break."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.grids import Grid, params, search, span_frame, thinned

PLACES_A_GAP = 4


def guess_piecewise_linear(x: Tensor, y: Tensor) -> Tensor:
    """x0, y0, k1 and k2 over a grid of x0 that is as dense as the data."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)
    gaps = v.diff(dim=-1).unsqueeze(-1)
    shares = torch.arange(PLACES_A_GAP, dtype=v.dtype, device=v.device) / PLACES_A_GAP
    at = (v[..., :-1].unsqueeze(-1) + shares * gaps).flatten(1)
    step = (gaps / PLACES_A_GAP).expand(*gaps.shape[:-1], PLACES_A_GAP).flatten(1)
    at, step = (
        torch.cat([at, v[..., -1:]], -1),
        torch.cat([step, torch.zeros_like(v[..., -1:])], -1),
    )

    def basis(v: Tensor, m: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), (v - m).clamp(max=0.0), (v - m).clamp(min=0.0)]

    found = search(basis, v, thin, Grid(at.unsqueeze(-1), step.unsqueeze(-1)))
    y0, k1, k2 = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    x0 = frame.low + frame.width * found.at[:, 0]
    return params(x0, y0, k1 / frame.width, k2 / frame.width)

"""The line and the polynomial: linear in their params, so their start is their least squares."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.grids import params, project, ratio_frame, span_frame


def guess_line(x: Tensor, y: Tensor) -> Tensor:
    """w and b of least squares."""
    frame = span_frame(x, y)
    _, found = project([torch.ones_like(frame.v), frame.v], frame.y)
    b, w = (frame.size.unsqueeze(-1) * found).unbind(-1)
    w = w / frame.width
    return params(w, b - w * frame.low)


def guess_polynomial(x: Tensor, y: Tensor, degree: int = 2) -> Tensor:
    """The coefficients of least squares."""
    frame = ratio_frame(x, y)
    powers = torch.stack([frame.v**k for k in range(degree + 1)], dim=-1)
    found = torch.linalg.lstsq(powers, frame.y.unsqueeze(-1)).solution.squeeze(-1)
    found = frame.size.unsqueeze(-1) * found
    return params(*(found[:, k] / frame.width**k for k in range(degree + 1)))

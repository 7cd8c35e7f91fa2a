"""Powers and logarithms of x."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.exponentials import guess_growth
from service.engine.models.grids import log_frame, params, project


def guess_power_law(x: Tensor, y: Tensor) -> Tensor:
    """a and b: a power of x is an exponential of log(x)."""
    frame = log_frame(x, y)
    logs = frame.v.clamp(min=-1.0) * frame.width.unsqueeze(-1) + frame.low.unsqueeze(-1)
    a, b = guess_growth(logs, frame.y).unbind(-1)
    return params(frame.size * a, b)


def guess_logarithmic(x: Tensor, y: Tensor) -> Tensor:
    """a and b of least squares on log(x)."""
    frame = log_frame(x, y)
    _, found = project([torch.ones_like(frame.v), frame.v.clamp(min=-1.0)], frame.y)
    a, b = (frame.size.unsqueeze(-1) * found).unbind(-1)
    b = b / frame.width
    return params(a - b * frame.low, b)

"""Powers and logarithms of x."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.exponentials import guess_growth
from service.engine.models.family import Family, Meaning, Report
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


POWER_LAW = Family(
    name="power_law",
    title="Power law",
    formula="y = a * x**b",
    params={
        "a": Meaning("y at x = 1", "[y]/[x]^b"),
        "b": Meaning("exponent", "1"),
    },
    guess=guess_power_law,
    when_to_use="y changes by the same factor whenever x doubles: allometry, scaling. x > 0.",
    reference="Huxley, Nature 114 (1924) 895",
    reports={
        "factor_per_doubling": Report("2**b", "factor of y when x doubles", "1"),
    },
)

LOGARITHMIC = Family(
    name="logarithmic",
    title="Logarithm",
    formula="y = a + b * log(x)",
    params={
        "a": Meaning("y at x = 1", "[y]"),
        "b": Meaning("growth of y when x grows by the factor 2.718…", "[y]"),
    },
    guess=guess_logarithmic,
    when_to_use="y grows by the same amount whenever x doubles. x > 0.",
    reference="Fechner, Elemente der Psychophysik (1860)",
    reports={
        "change_per_doubling": Report("b * log(2)", "change of y when x doubles", "[y]"),
    },
)

"""The line and the polynomial: linear in their params, so their start is their least squares."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.family import Family, Meaning, Report
from service.engine.models.grids import params, project, ratio_frame, span_frame

MAX_DEGREE = 20


def guess_line(x: Tensor, y: Tensor) -> Tensor:
    """w and b of least squares."""
    frame = span_frame(x, y)
    _, found = project([torch.ones_like(frame.v), frame.v], frame.y)
    b, w = (frame.size.unsqueeze(-1) * found).unbind(-1)
    w = w / frame.width
    return params(w, b - w * frame.low)


LINEAR = Family(
    name="linear",
    title="Line",
    formula="y = w * x + b",
    params={
        "w": Meaning("slope", "[y]/[x]"),
        "b": Meaning("intercept: y at x = 0", "[y]"),
    },
    guess=guess_line,
    when_to_use="y grows by the same amount for each unit of x.",
    reference="Gauss, Theoria motus (1809)",
    reports={
        "x_intercept": Report("-b / w", "x at which y = 0", "[x]"),
    },
)


def polynomial(degree: int) -> Family:
    """c0 + c1·x + … + c_degree·x^degree."""
    terms = ["c0", "c1 * x", *(f"c{k} * x**{k}" for k in range(2, degree + 1))]

    def guess(x: Tensor, y: Tensor) -> Tensor:
        frame = ratio_frame(x, y)
        powers = torch.stack([frame.v**k for k in range(degree + 1)], dim=-1)
        found = torch.linalg.lstsq(powers, frame.y.unsqueeze(-1)).solution.squeeze(-1)
        found = frame.size.unsqueeze(-1) * found
        return params(*(found[:, k] / frame.width**k for k in range(degree + 1)))

    return Family(
        name="polynomial",
        title="Polynomial",
        formula="y = " + " + ".join(terms[: degree + 1]),
        params={
            f"c{k}": Meaning(f"coefficient of x^{k}", "[y]" if k == 0 else f"[y]/[x]^{k}")
            for k in range(degree + 1)
        },
        guess=guess,
        when_to_use="A smooth curve with no theory behind it, inside the range of the data.",
        reference="Legendre, Nouvelles méthodes (1805)",
        reports={"extremum": Report("-c1 / (2 * c2)", "x of the extremum", "[x]")}
        if degree == 2
        else {},
    )

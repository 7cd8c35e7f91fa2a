"""What pictures show of a fit of counts: the rate, proportion or density that the formula is, in
the place of the counts, with the standard deviations that the fit gives them."""

from __future__ import annotations

from typing import Any

import torch

from service.errors import InvalidRequest
from service.fitting.likelihoods import WIDTH, binned_input, weight_column
from service.fitting.plan import to_plan
from service.fitting.ties import texts_of
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest

LEAST = 1e-300


def is_of_rates(request: FitRequest) -> bool:
    """Whether the formula is not the mean of the target itself, or its noise not constant."""
    return request.likelihood is not None or request.bins is not None


def rates(request: FitRequest, fit: Fit | None, view: str) -> dict[str, Any]:
    """The `data`, `sigma`, `rows` and `units` of a plot request for a job of counts. Raises
    InvalidRequest for a view that shows a loss of residuals."""
    if view == "path":
        raise InvalidRequest(
            "the path is drawn over a loss of residuals, which a fit with a likelihood or bins "
            "does not have; draw 'loss', its deviance by epoch"
        )
    plan = to_plan(request)
    problem = plan.task.problem.double()
    y, sigma = problem.target, problem.sigma
    sigma = torch.ones_like(y) if sigma is None else sigma
    columns = {name: x.numpy() for name, x in plan.raw.items() if name != WIDTH}
    if fit is not None and problem.loss.likelihood is not None:
        shown, tied = fit.shown, texts_of(problem.formula)
        theta = torch.tensor([v for n, v in shown.items() if n not in tied], dtype=torch.float64)
        mean = problem.formula.bind(problem.columns, problem.rows, y).predict(theta)
        scale = fit.statistics.likelihood.scale if fit.statistics.likelihood is not None else 1.0
        sigma = sigma * problem.loss.likelihood.variance(mean).sqrt() * scale
    width = plan.raw[WIDTH] if WIDTH in plan.raw else torch.ones_like(y)
    sigma = (sigma / width).nan_to_num(nan=LEAST).clamp(min=LEAST)
    weight = weight_column(request)
    units = dict(request.units)
    if request.bins is not None:
        units[problem.formula.target] = f"per unit of {binned_input(request)}"
    elif weight is not None:
        units[problem.formula.target] = f"per {weight}"
    is_known = problem.loss.likelihood is not None or request.sigma is not None
    return {
        "data": {**columns, problem.formula.target: (y / width).numpy()},
        "sigma": sigma.tolist() if is_known else None,
        "rows": None,
        "units": units,
    }

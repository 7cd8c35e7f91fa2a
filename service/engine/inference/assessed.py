"""The table of fits at their params, of which statistics are made: see `kernel.statistics`.

With a prior the covariance is that of all rows, and what is about the residuals that of the data;
with constraints the distance to the minimum is along them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from service.engine.differences import in_differences
from service.engine.formula import Formula
from service.engine.kernel import composite, operators, readings, statistics
from service.engine.kernel.reduction import SUMS
from service.engine.kernel.statistics import FIGURES
from service.engine.kernel.types import Floats
from service.engine.objectives.objective import Objective
from service.engine.objectives.points import data_at
from service.engine.order import Order
from service.engine.prior import extended
from service.engine.problem import Groups, Problem


def table_of(problem: Problem, fits: Groups, theta: Tensor) -> tuple[Floats, int, Floats]:
    """The table of `operators.assess`, the number of params of its factors, and z. A network, whose
    params are not identifiable, has no factors."""
    formula, loss = problem.formula, problem.loss
    if problem.prior is not None:
        return _with_prior(problem, fits, theta)
    if problem.order is not None:
        return _with_order(problem, problem.order, fits, theta)
    named = formula.has_standard_errors
    options = (named, loss.has_likelihood, loss.is_smooth, problem.sigma_absolute)
    data = data_at(problem, fits.spans, theta)
    if isinstance(formula, Formula):
        table, z = operators.assess(
            problem.program, problem.loss_number, loss.delta, data, theta, problem.limits, options
        )
        return table.numpy(), len(problem.free_params), z.numpy()
    factors, sums, z = _without_factors(problem, fits, theta)
    free, limits = problem.free_index, problem.limits
    table = readings.conclude(factors, sums, z, data, theta, limits, free, options)
    return table.numpy(), 0, z.numpy()


def _with_prior(problem: Problem, fits: Groups, theta: Tensor) -> tuple[Floats, int, Floats]:
    """The table with a prior: the covariance is that of all rows; the sums, R² and the residuals
    are those of the data. The criteria of information do not exist."""
    of_data, q, z = table_of(replace(problem, prior=None), fits, theta)
    with_rows = extended(problem, fits)
    table = table_of(with_rows.problem, with_rows.fits, theta)[0].copy()
    for figure in (statistics.VARIANCE, statistics.R_SQUARED):
        table[:, figure] = of_data[:, figure]
    table[:, statistics.AIC] = np.nan
    table[:, FIGURES : statistics.HEAD] = of_data[:, FIGURES : statistics.HEAD]
    return table, q, z


def _with_order(
    problem: Problem, order: Order, fits: Groups, theta: Tensor
) -> tuple[Floats, int, Floats]:
    """The table with constraints: of the problem without them, but for the distance to the minimum,
    which is along them."""
    table, q, z = table_of(replace(problem, order=None), fits, theta)
    phi = torch.from_numpy(order.at(theta.double().cpu().numpy()))
    along = table_of(in_differences(problem), fits, phi)[0]
    table = table.copy()
    table[:, statistics.OFFSET] = along[:, statistics.OFFSET]
    table[:, statistics.PULL] = along[:, statistics.PULL]
    return table, q, z


def _without_factors(problem: Problem, fits: Groups, theta: Tensor) -> tuple[Tensor, ...]:
    """The result of `operators.reduce` for a network, with empty factors."""
    z = torch.zeros(problem.rows, dtype=torch.float64)
    sums = torch.zeros((len(fits), SUMS), dtype=torch.float64)
    for i, (begin, end) in enumerate(fits.spans.T.tolist()):
        own = problem.on(slice(begin, end), theta[i].to(problem.initial))
        z[begin:end] = Objective(own).residuals(own.initial).cpu()
        sigma = torch.ones_like(own.target) if own.sigma is None else own.sigma
        total = z[begin:end].square().sum()
        about = composite.of_target(own.target, sigma)
        sums[i] = torch.stack([total, *(each.cpu() for each in about)])
    return torch.zeros((len(fits), 1, 1), dtype=torch.float64), sums, z

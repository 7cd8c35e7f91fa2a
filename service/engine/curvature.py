"""The Hessian of a loss, and the learning rates that it allows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.objectives.objective import Objective
from service.engine.optimizers.first_order import Sgd
from service.engine.problem import GradientMethod, Options, Problem
from service.engine.schedules import Constant

ANALYTIC = GradientMethod("analytic")


def hessian(problem: Problem, theta: Tensor) -> Tensor:
    """∂²loss/∂θ² over the free params, float64, (free, free).

    2JᵀJ/n where the prediction is linear and the loss is mse; else central differences of the
    analytic gradient, symmetrised.
    """
    problem = problem.double()
    objective = Objective(problem)
    theta, free = theta.double(), problem.free_index
    if problem.loss.is_least_squares and problem.is_linear:
        assert isinstance(problem.formula, Formula)
        data = problem.data(problem.whole)
        _, factors, _ = operators.linearise(
            problem.program, problem.loss_number, problem.loss.delta, data,
            theta.cpu().unsqueeze(0), torch.zeros(1, dtype=torch.float64),
        )  # fmt: skip
        r: Tensor = factors[0, :-1, :-1]
        return 2 * r.mT @ r / problem.rows
    step = torch.finfo(torch.float64).eps ** (1 / 3)
    columns = []
    for i in free.tolist():
        delta = torch.zeros_like(theta)
        delta[i] = step * max(1.0, abs(float(theta[i])))
        above = objective.gradient(theta + delta, ANALYTIC)[1]
        below = objective.gradient(theta - delta, ANALYTIC)[1]
        columns.append((above - below)[free] / (2 * delta[i]))
    matrix = torch.stack(columns, dim=-1)
    return (matrix + matrix.mT) / 2


def learning_rate_limit(options: Options, largest: float) -> float | None:
    """The largest stable rate of plain full-batch descent, given the Hessian's largest eigenvalue.

    2/λ; 2(1+β)/λ with momentum β; 2(1+β)/((1+2β)λ) with Nesterov's. None is claimed for
    mini-batches, schedules, dampening and the Adam family. Source: Polyak (1964); O'Donoghue and
    Candès (2015).
    """
    rule = options.settings
    if not isinstance(rule, Sgd) or options.batch_size is not None or rule.dampening:
        return None
    if not isinstance(rule.schedule, Constant) or not math.isfinite(largest):
        return None
    curvature = largest + rule.weight_decay
    if curvature <= 0:
        return None
    beta = rule.momentum
    bound = 2 * (1 + beta) / curvature
    return bound / (1 + 2 * beta) if rule.nesterov else bound

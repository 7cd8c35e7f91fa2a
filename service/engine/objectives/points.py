"""Evaluates a problem at several params at once."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.kernel.rows import MEASURE
from service.engine.kernel.types import Floats
from service.engine.objectives.orthogonal import nearest
from service.engine.problem import Groups, Problem


def shared(fits: int, rows: int, initial: Tensor) -> Groups:
    """Fits of the same rows from several starts."""
    spans = torch.tensor([[0], [rows]]).repeat(1, fits)
    return Groups(spans, initial)


def data_at(problem: Problem, spans: Tensor, theta: Tensor) -> tuple[Tensor, ...]:
    """The rows of groups, each at its own θ (groups, params), as the kernel's operators take them:
    with errors in the inputs, at the nearest points of the curve."""
    return nearest(problem, spans, theta)[1] if problem.sigma_x else problem.data(spans)


def losses_of(problem: Problem, fits: Groups, theta: Tensor) -> Tensor:
    """The loss of each fit at its params, (fits, params) -> (fits,)."""
    assert isinstance(problem.formula, Formula)
    program, data = problem.formula.program(()).tensors, data_at(problem, fits.spans, theta)
    widths = torch.full((len(fits),), MEASURE, dtype=torch.float64)
    sums = operators.linearise(
        program, problem.loss_number, problem.loss.delta, data, theta, widths
    )[0]
    found: Tensor = sums[:, 0 if problem.loss.is_smooth else 1] / fits.sizes
    return found


def linearised_at(
    problem: Problem, program: tuple[Tensor, ...], points: Floats, width: float
) -> tuple[Floats, Floats]:
    """The sums and R factors at each point: see `operators.linearise`."""
    many, loss, theta = len(points), problem.loss, torch.from_numpy(points)
    data = data_at(problem, shared(many, problem.rows, problem.initial).spans, theta)
    widths = torch.full((many,), width, dtype=torch.float64)
    sums, r, _ = operators.linearise(program, problem.loss_number, loss.delta, data, theta, widths)
    return sums.numpy(), r.numpy()


def losses_at(problem: Problem, points: Floats) -> Floats:
    """The loss at each of several params, (points, params) -> (points,)."""
    assert isinstance(problem.formula, Formula)
    if problem.sigma_x:
        theta = torch.from_numpy(points)
        found: Floats = losses_of(problem, shared(len(theta), problem.rows, theta), theta).numpy()
        return found
    program, data = problem.formula.program(()).tensors, problem.data(problem.whole)[:3]
    loss, delta = problem.loss_number, problem.loss.delta
    losses: Floats = operators.losses(program, loss, delta, data, torch.from_numpy(points)).numpy()
    return losses

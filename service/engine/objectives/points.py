"""Evaluates a problem at several params at once."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.kernel.rows import MEASURE
from service.engine.kernel.types import Floats
from service.engine.problem import Groups, Problem


def shared(fits: int, rows: int, initial: Tensor) -> Groups:
    """Fits of the same rows from several starts."""
    spans = torch.tensor([[0], [rows]]).repeat(1, fits)
    return Groups(spans, initial)


def losses_of(problem: Problem, fits: Groups, theta: Tensor) -> Tensor:
    """The loss of each fit at its params, (fits, params) -> (fits,)."""
    assert isinstance(problem.formula, Formula)
    program, data = problem.formula.program(()).tensors, problem.data(fits.spans)
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
    many, loss = len(points), problem.loss
    groups = shared(many, problem.rows, problem.initial)
    sums, r, _ = operators.linearise(
        program, problem.loss_number, loss.delta, problem.data(groups.spans),
        torch.from_numpy(points), torch.full((many,), width, dtype=torch.float64),
    )  # fmt: skip
    return sums.numpy(), r.numpy()


def losses_at(problem: Problem, points: Floats) -> Floats:
    """The loss at each of several params, (points, params) -> (points,)."""
    assert isinstance(problem.formula, Formula)
    program, data = problem.formula.program(()).tensors, problem.data(problem.whole)[:3]
    loss, delta = problem.loss_number, problem.loss.delta
    found: Floats = operators.losses(program, loss, delta, data, torch.from_numpy(points)).numpy()
    return found

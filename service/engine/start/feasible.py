"""Starts at which a likelihood is defined.

The mean of a count is positive, and a probability below 1, in every row; a guess, a start found by
least squares, or one that is given need not give such means. From such a start the model is fitted
by least squares to the targets, then to targets ever nearer to their mean, until the likelihood is
finite: a model that can be constant gives their mean in the end.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.formula import Formula
from service.engine.objectives.points import losses_of
from service.engine.problem import Groups, Problem, Task
from service.engine.solvers.marquardt import Marquardt

SHARES = (1.0, 0.7, 0.4, 0.1, 0.0)
"""Parts of the targets in the targets to fit, the rest being the mean."""
OPTIONS = Options(
    "levenberg_marquardt", NoOptions(), epochs=100, record_every=100,
    tolerance=Tolerance(params=1e-6),
)  # fmt: skip


def with_feasible_starts(task: Task) -> Task:
    """The task with starts at which the loss is finite, where there are some."""
    problem, fits = task.problem, task.fits
    if problem.loss.likelihood is None or not isinstance(problem.formula, Formula):
        return task
    theta = fits.initial.double()
    bad = _infeasible(problem, fits, theta)
    if not len(bad):
        return task
    theta = theta.clone()
    mean = _means(problem, fits)
    for share in SHARES:
        some = fits.at(bad)
        target = share * problem.target + (1 - share) * mean
        surrogate = replace(problem.surrogate, target=target)
        solver = Marquardt(Task(surrogate, OPTIONS, replace(some, history=False)))
        found = solver.ends(solver.step(solver.init(), OPTIONS.epochs)[0]).best
        theta[bad] = torch.where(torch.isfinite(found), found, theta[bad])
        bad = bad[_infeasible(problem, some, theta[bad])]
        if not len(bad):
            break
    return task.starting(theta.to(fits.initial.dtype))


def _infeasible(problem: Problem, fits: Groups, theta: Tensor) -> Tensor:
    """The positions of the fits without a finite loss."""
    return (~torch.isfinite(losses_of(problem, fits, theta))).nonzero().flatten()


def _means(problem: Problem, fits: Groups) -> Tensor:
    """The weighted mean of the targets of each row's group, (rows,)."""
    means = torch.empty_like(problem.target)
    for first, end in fits.spans.T.tolist():
        y = problem.target[first:end]
        weight = torch.ones_like(y) if problem.sigma is None else problem.sigma[first:end] ** -2
        means[first:end] = (weight * y).sum() / weight.sum()
    return means

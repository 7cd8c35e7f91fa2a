"""The input of the checks for the fits of groups."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from service.engine.diagnostics.finished import FinishedFits
from service.engine.inference.intervals import Method, intervals_of
from service.engine.inference.statistics import LEVEL, Figures, summarise_fits
from service.engine.problem import Task
from service.engine.result import Ends


def finished_groups(
    task: Task, ends: Ends, guessed: tuple[str, ...], level: float = LEVEL, method: Method = "t"
) -> FinishedFits:
    """The input of the checks, of groups that have ended or were stopped. For a fit that was
    stopped early, or is not finite, the best params are used, as for a single fit. Confidence
    intervals are of that level, by that method."""
    double = task.double()
    problem, fits = double.problem, double.fits
    whole = torch.tensor([reason not in (None, "diverged") for reason in ends.reasons])
    whole &= torch.isfinite(ends.loss) & torch.isfinite(ends.theta).all(dim=1)
    theta = torch.where((whole | (ends.loss < ends.best_loss)).unsqueeze(-1), ends.theta, ends.best)
    statistics = summarise_fits(problem, fits, theta)
    intervals = intervals_of(problem, fits, theta, statistics, level, method)
    missed = False if ends.missed is None else ends.missed.numpy()
    finished = finished_fits(double, ends, theta, statistics, guessed)
    return replace(finished, lower=missed | intervals.has_better, intervals=intervals)


def finished_fits(
    task: Task, ends: Ends, theta: Tensor, statistics: Figures, guessed: tuple[str, ...]
) -> FinishedFits:
    """The fits of a task as they ended, with the statistics at `theta` (fits, params)."""
    return FinishedFits(
        problem=task.problem,
        options=task.options,
        statistics=statistics,
        theta=theta.numpy(),
        params=ends.theta.numpy(),
        initial=ends.initial.double().numpy(),
        loss=ends.loss.numpy(),
        best_loss=ends.best_loss.numpy(),
        first_loss=ends.first_loss.numpy(),
        first_gradient=ends.first_gradient.numpy(),
        epochs=ends.epochs.numpy(),
        reasons=[reason or "cancelled" for reason in ends.reasons],
        fits=task.fits,
        guessed=guessed,
    )

"""Statistics and diagnostics of a batch of groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from service.engine.diagnostics import Findings
from service.engine.factors import triangles
from service.engine.group_objective import GroupObjective
from service.engine.group_result import GroupEnds
from service.engine.groups import Batch, GroupedTask
from service.engine.reduction import Floats, Reduced
from service.engine.statistics import summarise_groups


def look_at(task: GroupedTask, ends: GroupEnds, guessed: tuple[str, ...]) -> Findings:
    """What there is to say of groups that have ended, or stand where they were stopped."""
    problem, double = task.problem.double(), task
    if problem is not task.problem:
        double = replace(task, problem=problem, initial=task.initial.double())
    batch = double.batch(ends.at)
    theta = ends.theta.double()
    reduced = _reduced(GroupObjective.of(problem, batch), batch, theta)
    at = theta.cpu().numpy()
    loss = ends.loss.double().cpu().numpy()
    return Findings(
        problem=problem,
        options=task.options,
        statistics=summarise_groups(problem, at, reduced),
        reduced=reduced,
        theta=at,
        params=at,
        initial=ends.initial.double().cpu().numpy(),
        loss=loss,
        best_loss=loss,
        first_loss=ends.first_loss.double().cpu().numpy(),
        epochs=ends.epochs.cpu().numpy(),
        reasons=ends.reasons,
        inputs={name: column.cpu().numpy() for name, column in batch.columns.items()},
        target=batch.target.abs().amax(dim=1).cpu().numpy(),
        guessed=guessed,
    )


def _reduced(objective: GroupObjective, batch: Batch, theta: Tensor) -> Reduced:
    columns = objective.finite_columns(theta)
    z = columns[-1].clone()
    pull = objective.loss.pull(z)
    columns[-1] = pull if objective.kept is None else torch.where(objective.kept, pull, 0.0)
    factor = triangles(columns).cpu().numpy()
    size, spread, log_sigma = _spread(batch)
    return Reduced(
        factor=np.ascontiguousarray(factor),
        total=(z * z).sum(dim=-1).cpu().numpy(),
        rows=batch.rows.cpu().numpy(),
        size=size,
        spread=spread,
        log_sigma=log_sigma,
        z=z.cpu().numpy(),
        kept=None if batch.kept is None else batch.kept.cpu().numpy(),
    )


def _spread(batch: Batch) -> tuple[Floats, Floats, Floats]:
    """‖y/σ‖, Σ((y − ȳ)/σ)² about the weighted mean, and Σ ln σ of each group."""
    y, sigma, kept = batch.target, batch.sigma, batch.kept
    weight = torch.ones_like(y) if sigma is None else 1 / sigma.square()
    log_sigma = torch.zeros_like(y) if sigma is None else sigma.log()
    if kept is not None:
        weight, log_sigma = torch.where(kept, weight, 0.0), torch.where(kept, log_sigma, 0.0)
    mean = (weight * y).sum(dim=-1) / weight.sum(dim=-1)
    apart = weight * (y - mean.unsqueeze(-1)).square()
    sums = ((weight * y * y).sum(dim=-1).sqrt(), apart.sum(dim=-1), log_sigma.sum(dim=-1))
    size, spread, logs = (each.cpu().numpy() for each in sums)
    return size, spread, logs

"""The state of a fit in rounds (see `reweighted_run`), and what its first round is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.engine.losses import Loss
from service.engine.noise import NoiseExpression
from service.engine.problem import Problem, Task
from service.engine.result import Ends, Result, Rows

ROUNDS = 100
"""The most rounds,"""
ROUGH_ROUNDS = 30
"""and of a replicate."""
LATER_EPOCHS = 100
"""The most epochs of a round after the first."""
DAMPED = 16
"""Rounds after which the steps of a scale are halved, again and again."""
SETTLED = 1e-10
"""Relative change of each param, or of each σ, below which a group has settled,"""
SETTLED_ROUGHLY = 1e-6
"""where the fit is only to find outliers, or is a replicate,"""
SETTLED_FLOAT32 = 1e-4
"""and where it is in float32."""


@dataclass(eq=False)
class ReweightedCheckpoint:
    """The state of a run, from which a later run of the same task continues, bit for bit."""

    part: Any
    """Of the run of the present round."""
    round: int
    last: bool
    active: Tensor
    """The groups of the present round."""
    sigma: Tensor | None
    """Of all rows, in the present round; None: as given."""
    theta: Tensor | None = None
    """At the end of each group's last round, (groups, params)."""
    ends: Ends | None = None
    """The ends of all groups, of each the last,"""
    first: Ends | None = None
    """and the first,"""
    searched: tuple[int, int] | None = None
    """and what its search said."""
    epochs: Tensor | None = None
    """Epochs done in the rounds before, (groups,)."""
    rounds: Tensor | None = None
    """Rounds that each group took part in, (groups,)."""
    unsettled: Tensor | None = None
    """Which groups had not settled after `ROUNDS`, (groups,)."""
    values: Any = None
    """The params of the noise, (pools, m),"""
    stderr: Any = None
    extra: Any = None
    history: list[list[Rows]] = field(default_factory=list)


def first_problem(task: Task) -> Problem:
    """The problem of the first round: with no other σ than a given one; for a robust scale with the
    loss of absolute values, which needs no scale."""
    problem = replace(task.problem, noise=None)
    if isinstance(task.problem.noise, NoiseExpression):
        return problem
    plain = "mse" if task.shared else "mae"
    return replace(problem, loss=Loss(LOSSES[plain], LOSSES[plain].default))


def most_epochs(task: Task) -> int:
    """The most epochs of a task, over all rounds and fits."""
    epochs = task.options.epochs
    if task.outliers is not None:
        return 2 * epochs + (ROUNDS + 10) * LATER_EPOCHS
    return epochs if task.problem.noise is None else epochs + ROUNDS * min(epochs, LATER_EPOCHS)


def later(rows: Rows, epochs: int) -> Rows:
    """The recorded epochs, numbered after those of the rounds before."""
    if not epochs:
        return rows
    table = rows.table.clone()
    table[:, 0] += epochs
    return Rows(table)


def as_ends(found: Result) -> Ends:
    """The end of one fit, as the ends of one group."""

    def one(value: float) -> Tensor:
        return torch.tensor([value], dtype=torch.float64)

    return Ends(
        theta=found.params.double().cpu().unsqueeze(0), loss=one(found.loss),
        epochs=torch.tensor([found.epochs]), reasons=(found.stop_reason,),
        best=found.best.params.double().cpu().unsqueeze(0), best_loss=one(found.best.loss),
        best_epoch=torch.tensor([found.best.epoch]), first_loss=one(found.first_loss),
        first_gradient=found.first_gradient.double().cpu().unsqueeze(0),
        initial=found.initial.double().cpu().unsqueeze(0),
    )  # fmt: skip

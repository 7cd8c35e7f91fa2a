"""The one step of a linear least-squares problem."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from service.engine.gradients import Objective
from service.engine.optimizers.exact import solve
from service.engine.problem import Task
from service.engine.result import Best, StopReason
from service.engine.run import Progress, Run


class ExactRun(Run):
    """One epoch of linear least squares."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        super().__init__(task)
        self._objective = Objective(task.problem)
        self._progress = checkpoint or self._begin()

    def loss_at(self, theta: Tensor) -> float:
        return float(self._objective.loss(theta))

    def _begin(self) -> Progress:
        theta = self.task.problem.initial
        loss, gradient = self._objective.gradient(theta, self.task.options.gradient)
        first = float(loss)
        return Progress(0, theta, (), math.nan, first, gradient, Best(1, first, theta))

    def _epoch(self) -> None:
        before = self._progress
        free = self.task.problem.free_index
        residual, jacobian = self._objective.jacobian(before.theta)
        theta = before.theta.clone()
        if len(free):
            theta[free] += solve(jacobian[:, free], residual).step
        self._record(1, before.first_loss, theta, before.first_gradient, last=True)
        reason: StopReason = "diverged" if not math.isfinite(before.first_loss) else "converged"
        self._progress = replace(
            before, epoch=1, theta=theta, loss=before.first_loss, stop_reason=reason
        )

"""First-order descent: the loop around an update rule."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from service.engine.gradients import Objective
from service.engine.optimizers.first_order import Adagrad, Adam, FirstOrder, Rmsprop, Sgd, State
from service.engine.problem import Task
from service.engine.result import Best, StopReason
from service.engine.run import Progress, Run
from service.engine.stopping import has_converged, has_diverged


class Descent(Run):
    """First-order descent, full-batch or in mini-batches."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        super().__init__(task)
        problem, options = task.problem, task.options
        assert isinstance(options.settings, Sgd | Adam | Rmsprop | Adagrad)
        self._rule: FirstOrder = options.settings
        self._objective = Objective(problem)
        self._bounded = problem.is_bounded
        batch = options.batch_size
        self._batch = batch if batch is not None and batch < problem.rows else None
        self._generator = torch.Generator()
        self._generator.manual_seed(options.seed)
        self._progress = checkpoint or self._begin()
        if checkpoint is not None and checkpoint.generator is not None:
            self._generator.set_state(checkpoint.generator)

    def loss_at(self, theta: Tensor) -> float:
        return float(self._objective.loss(theta))

    def _begin(self) -> Progress:
        theta = self.task.problem.initial
        loss = self.loss_at(theta)
        gradient = torch.zeros_like(theta)
        return Progress(
            0, theta, self._rule.start(theta), math.nan, loss, gradient, Best(1, loss, theta)
        )

    def _epoch(self) -> None:
        before, options = self._progress, self.task.options
        epoch = before.epoch + 1
        loss_tensor, gradient = self._objective.gradient(before.theta, options.gradient)
        loss = float(loss_tensor)
        first_gradient = gradient if epoch == 1 else before.first_gradient
        best = before.best
        if loss < best.loss:
            best = Best(epoch, loss, before.theta)
        rate = self._rule.learning_rate
        rate *= self._rule.schedule.factor(before.epoch, rate)
        theta, state = self._update(before.theta, gradient, before.state, rate)
        reason = self._ending(
            epoch, (loss, before.loss), (before.theta, theta), gradient, first_gradient
        )
        self._record(epoch, loss, theta, gradient, last=reason is not None)
        self._progress = Progress(
            epoch, theta, state, loss, before.first_loss, first_gradient, best, reason
        )

    def _update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        if self._batch is None:
            theta, state = self._rule.update(theta, gradient, state, rate)
            return self._clamped(theta), state
        order = torch.randperm(self.task.problem.rows, generator=self._generator)
        for rows in torch.split(order, self._batch):
            part = self._objective.on(rows.to(theta.device))
            _, gradient = part.gradient(theta, self.task.options.gradient)
            theta, state = self._rule.update(theta, gradient, state, rate)
            theta = self._clamped(theta)
        return theta, state

    def _clamped(self, theta: Tensor) -> Tensor:
        """The nearest params within their bounds; weight decay moves no fixed one."""
        problem = self.task.problem
        if self._bounded:
            theta = torch.clamp(theta, problem.lower, problem.upper)
        if not all(problem.free):
            theta = torch.where(self._objective.free, theta, problem.initial)
        return theta

    def checkpoint(self) -> Progress:
        return replace(self._progress, generator=self._generator.get_state())

    def _ending(
        self,
        epoch: int,
        losses: tuple[float, float],
        steps: tuple[Tensor, Tensor],
        gradient: Tensor,
        first_gradient: Tensor,
    ) -> StopReason | None:
        options = self.task.options
        diverged = has_diverged(losses[0], self._progress.first_loss)
        if diverged and options.on_divergence == "stop":
            return "diverged"
        first = float(first_gradient.abs().max()) if options.tolerance.gradient else 0.0
        if not diverged and has_converged(options.tolerance, losses, steps, (gradient, first)):
            return "converged"
        return "max_epochs" if epoch == self.epochs else None

"""First-order optimizers by torch: networks, gradients by autograd or differences, other devices,
and losses and update rules without compiled code.

Formulas with analytic gradients on the CPU are fitted by the kernel (`kernel.first_order`), with
the same algorithms.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from service.catalogue.optimizers import FirstOrder, State
from service.catalogue.schedules import Constant
from service.engine.objectives.objective import Objective
from service.engine.problem import Task
from service.engine.result import Best, Rows, StopReason
from service.engine.solvers.single import At, Recorder, SingleFit
from service.engine.stopping import has_converged, has_diverged


class Moments(NamedTuple):
    """The state of the update rule, and of the generator of mini-batches."""

    rule: State
    generator: Tensor


class Descent(SingleFit):
    """A first-order optimizer, full-batch or with mini-batches."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        problem, batch = task.problem, task.options.batch_size
        self._rule: FirstOrder = task.options.rule
        self._objective = Objective(problem)
        self._batch = batch if batch is not None and batch < problem.rows else None
        self._bounded, self._pinned = problem.is_bounded, not all(problem.free)

    def loss_at(self, theta: Tensor) -> float:
        return self._read(self._objective, theta.to(self.task.problem.initial))[0]

    def init(self) -> At:
        theta = self.task.problem.initial
        loss = self.loss_at(theta)
        generator = torch.Generator().manual_seed(self.task.options.seed)
        state = Moments(self._rule.start(theta), generator.get_state())
        return At(0, theta, state, math.nan, loss, torch.zeros_like(theta), Best(1, loss, theta))

    def slice(self, at: At, epochs: int) -> tuple[At, Rows]:
        options, rule = self.task.options, self._rule
        generator = torch.Generator()
        generator.set_state(at.state.generator)
        recorder, moments, base = Recorder(options.record_every), at.state.rule, rule.learning_rate
        constant = isinstance(options.schedule, Constant)
        for epoch in range(at.epoch + 1, at.epoch + epochs + 1):
            loss, gradient = self._read(self._objective, at.theta)
            first = gradient if epoch == 1 else at.first_gradient
            best = Best(epoch, loss, at.theta) if loss < at.best.loss else at.best
            rate = base
            if not constant:
                rate *= options.schedule.factor(epoch - 1, base, options.epochs)
            theta, moments = self._moved(at.theta, gradient, moments, rate, generator)
            reason = self._ending(at, loss, theta, gradient, first)
            recorder.add(epoch, loss, theta, gradient, last=reason is not None)
            at = replace(
                at, epoch=epoch, theta=theta, loss=loss, first_gradient=first, best=best,
                reason=reason,
            )  # fmt: skip
            if reason is not None:
                break
        at = replace(at, state=Moments(moments, generator.get_state()))
        return at, recorder.rows(len(self.task.problem.params))

    def _read(self, objective: Objective, theta: Tensor) -> tuple[float, Tensor]:
        loss, gradient = objective.gradient(theta, self.task.options.gradient)
        return float(loss), gradient

    def _moved(
        self,
        theta: Tensor,
        gradient: Tensor,
        moments: State,
        rate: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, State]:
        """The params after the epoch's update, or after one for each of its mini-batches."""
        if self._batch is None:
            theta, moments = self._rule.update(theta, gradient, moments, rate)
            return self._clamped(theta), moments
        order = torch.randperm(self.task.problem.rows, generator=generator)
        for rows in torch.split(order, self._batch):
            part = self._objective.on(rows.to(theta.device))
            theta, moments = self._rule.update(theta, self._read(part, theta)[1], moments, rate)
            theta = self._clamped(theta)
        return theta, moments

    def _clamped(self, theta: Tensor) -> Tensor:
        """The params clipped to their bounds, with the fixed ones at their values."""
        problem = self.task.problem
        if self._bounded:
            theta = torch.clamp(theta, problem.lower, problem.upper)
        return torch.where(self._objective.free, theta, problem.initial) if self._pinned else theta

    def _ending(
        self, at: At, loss: float, theta: Tensor, gradient: Tensor, first: Tensor
    ) -> StopReason | None:
        options = self.task.options
        diverged = has_diverged(loss, at.first_loss)
        if diverged and options.on_divergence == "stop":
            return "diverged"
        if options.tolerance.any and not diverged:
            largest = float(first.abs().max())
            if has_converged(
                options.tolerance, (loss, at.loss), (at.theta, theta), (gradient, largest)
            ):
                return "converged"
        return "max_epochs" if at.epoch + 1 == options.epochs else None

"""First-order descent: the loop around an update rule, the same on whatever ground."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from service.engine.closed_form import ClosedForm
from service.engine.ground import DataGround, Ground, small_ground
from service.engine.optimizers.first_order import (
    A,
    Adagrad,
    Adam,
    FirstOrder,
    Rmsprop,
    Sgd,
    State,
)
from service.engine.problem import Task
from service.engine.result import Best, Rows, StopReason
from service.engine.run import Progress, Run
from service.engine.schedules import Constant
from service.engine.stopping import has_converged, has_diverged


class Descent(Run, Generic[A]):
    """First-order descent, full-batch or in mini-batches."""

    def __init__(
        self,
        task: Task,
        ground: Ground[A],
        generator: torch.Generator,
        checkpoint: Progress | None = None,
    ) -> None:
        super().__init__(task)
        assert isinstance(task.options.settings, Sgd | Adam | Rmsprop | Adagrad)
        self._rule: FirstOrder = task.options.settings
        self._ground: Ground[A] = ground
        self._generator = generator
        self._constant = isinstance(self._rule.schedule, Constant)
        self._recorded_rows: list[tuple[int, float, A, A]] = []
        self._progress = checkpoint or self._begin()
        if checkpoint is not None and checkpoint.generator is not None:
            self._generator.set_state(checkpoint.generator)

    def loss_at(self, theta: Tensor) -> float:
        with np.errstate(all="ignore"):
            loss: float = self._ground.gradient(self._ground.array(theta))[0]
        return loss

    def _begin(self) -> Progress:
        theta = self.task.problem.initial
        loss = self.loss_at(theta)
        state = self._rule.start(theta)
        return Progress(
            0, theta, state, math.nan, loss, torch.zeros_like(theta), Best(1, loss, theta)
        )

    def _epoch(self) -> None:
        self.step(1)

    def step(self, epochs: int) -> Rows:
        """Does that many epochs, or as many as are left; the rows recorded in them."""
        if not self.done:
            with np.errstate(all="ignore"):
                self._progress = self._slice(min(epochs, self.epochs - self.epoch))
        return self._handed_out()

    def _slice(self, count: int) -> Progress:
        before, ground, rule = self._progress, self._ground, self._rule
        theta = ground.array(before.theta)
        state = State(before.state.done, tuple(ground.array(s) for s in before.state.sums))
        first, previous, best = before.first_gradient, before.loss, before.best
        lowest: tuple[int, float, A] | None = None
        least, reason, loss = best.loss, None, before.loss
        every, base = self.task.options.record_every, rule.learning_rate
        for epoch in range(before.epoch + 1, before.epoch + count + 1):
            loss, gradient = ground.gradient(theta)
            if epoch == 1:
                first = ground.tensor(gradient)
            if loss < least:
                least, lowest = loss, (epoch, loss, theta)
            rate = base if self._constant else base * rule.schedule.factor(epoch - 1, base)
            moved, state = self._moved(theta, gradient, state, rate)
            reason = self._ending(epoch, (loss, previous), (theta, moved), gradient, first)
            if epoch % every == 0 or epoch == 1 or reason is not None:
                self._recorded_rows.append((epoch, loss, moved, gradient))
            theta, previous = moved, loss
            if reason is not None:
                break
        if lowest is not None:
            best = Best(lowest[0], lowest[1], ground.tensor(lowest[2]))
        kept = State(state.done, tuple(ground.tensor(s) for s in state.sums))
        return Progress(
            epoch, ground.tensor(theta), kept, loss, before.first_loss, first, best, reason
        )

    def _moved(self, theta: A, gradient: A, state: State[A], rate: float) -> tuple[A, State[A]]:
        """The params after the epoch's update, or after one for each of its mini-batches."""
        full = True
        for part in self._ground.batches():
            full = False
            theta, state = self._rule.update(theta, part(theta)[1], state, rate)
            theta = self._ground.clamped(theta)
        if full:
            theta, state = self._rule.update(theta, gradient, state, rate)
            theta = self._ground.clamped(theta)
        return theta, state

    def checkpoint(self) -> Progress:
        return replace(self._progress, generator=self._generator.get_state())

    def _ending(
        self,
        epoch: int,
        losses: tuple[float, float],
        steps: tuple[A, A],
        gradient: A,
        first_gradient: Tensor,
    ) -> StopReason | None:
        options = self.task.options
        diverged = has_diverged(losses[0], self._progress.first_loss)
        if diverged and options.on_divergence == "stop":
            return "diverged"
        if options.tolerance.any and not diverged:
            first = float(first_gradient.abs().max())
            both = (self._ground.tensor(steps[0]), self._ground.tensor(steps[1]))
            slope = self._ground.tensor(gradient)
            if has_converged(options.tolerance, losses, both, (slope, first)):
                return "converged"
        return "max_epochs" if epoch == self.epochs else None

    def _handed_out(self) -> Rows:
        recorded, self._recorded_rows = self._recorded_rows, []
        if not recorded:
            return self._rows()
        return Rows(
            torch.tensor([row[0] for row in recorded], dtype=torch.int64),
            torch.tensor([row[1] for row in recorded], dtype=torch.float64),
            self._ground.stacked([row[2] for row in recorded]),
            self._ground.stacked([row[3] for row in recorded]),
        )


def descend(task: Task, checkpoint: Progress | None = None) -> Run:
    """The run of a first-order task, by the shortest way that gives its answer."""
    generator = torch.Generator()
    generator.manual_seed(task.options.seed)
    ground = small_ground(task.problem, task.options)
    if ground is None:
        data = DataGround(task.problem, task.options, generator)
        return Descent(task, data, generator, checkpoint)
    if ground.data is not None and has_closed_form(task):
        return ClosedForm(task, ground.data, checkpoint)
    return Descent(task, ground, generator, checkpoint)


def has_short_way(task: Task) -> bool:
    """Whether it is a full-batch descent on analytic gradients, so that a small one has no need of
    torch."""
    options, rows = task.options, task.problem.rows
    if not isinstance(options.settings, Sgd | Adam | Rmsprop | Adagrad):
        return False
    batched = options.batch_size is not None and options.batch_size < rows
    return not batched and options.gradient.method == "analytic"


def has_closed_form(task: Task) -> bool:
    """Whether it is plain gradient descent at a constant rate, without bounds, on a linear
    problem that has a short way."""
    settings, problem = task.options.settings, task.problem
    if not isinstance(settings, Sgd) or settings.momentum or settings.weight_decay:
        return False
    if not has_short_way(task):
        return False
    return (
        isinstance(settings.schedule, Constant)
        and bool(problem.free_params)
        and problem.is_linear
        and not problem.is_bounded
    )

"""The one loop that drives an optimizer, in slices that whoever steps it chooses.

`start(task)` gives a run: `step(k)` does k epochs and hands out the rows recorded in them,
`result()` is valid at any moment. Slicing changes no bit of the answer. A run knows no clock.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.gradients import Objective
from service.engine.optimizers.exact import solve
from service.engine.optimizers.first_order import FirstOrder, State
from service.engine.problem import Task
from service.engine.result import Best, Result, Rows
from service.engine.stopping import has_converged, has_diverged


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands between two epochs: all that it needs to go on, and nothing else."""

    epoch: int
    theta: Tensor
    state: State
    loss: float
    first_loss: float
    first_gradient: Tensor
    best: Best
    stop_reason: str | None = None
    generator: Tensor | None = None


class Run(ABC):
    """A fit under way."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.epochs = task.options.epochs
        self._recorded: list[tuple[int, float, Tensor, Tensor]] = []
        self._progress: Progress

    @property
    def epoch(self) -> int:
        return self._progress.epoch

    @property
    def loss(self) -> float:
        """The loss of the last epoch, before its update."""
        return self._progress.loss

    @property
    def best_loss(self) -> float:
        return self._progress.best.loss

    @property
    def done(self) -> bool:
        return self._progress.stop_reason is not None

    def checkpoint(self) -> Progress:
        """All that a later `start` needs to go on from here, bit for bit."""
        return self._progress

    def step(self, epochs: int) -> Rows:
        """Does that many epochs, or as many as are left; the rows recorded in them."""
        for _ in range(epochs):
            if self.done:
                break
            self._epoch()
        return self._rows()

    @abstractmethod
    def _epoch(self) -> None:
        """One epoch: from progress to progress."""

    @abstractmethod
    def loss_at(self, theta: Tensor) -> float:
        """The loss at any params."""

    def result(self, stop_reason: str | None = None) -> Result:
        """The fit as it stands; `stop_reason` is the reason of whoever stops it before its end."""
        progress = self._progress
        loss = self.loss_at(progress.theta)
        best = progress.best
        if loss < best.loss or (not math.isfinite(best.loss) and math.isfinite(loss)):
            best = Best(progress.epoch, loss, progress.theta)
        reason = progress.stop_reason or stop_reason or "max_epochs"
        if reason == "max_epochs" and has_diverged(loss, progress.first_loss):
            reason = "diverged"
        return Result(
            reason, progress.theta, loss, progress.epoch, best,
            progress.first_loss, progress.first_gradient,
        )  # fmt: skip

    def _record(self, epoch: int, loss: float, params: Tensor, gradient: Tensor, *, last: bool) -> None:
        if epoch == 1 or last or epoch % self.task.options.record_every == 0:
            self._recorded.append((epoch, loss, params, gradient))

    def _rows(self) -> Rows:
        recorded, self._recorded = self._recorded, []
        width = len(self.task.problem.params)
        empty = torch.empty((0, width), dtype=torch.float64)
        return Rows(
            torch.tensor([row[0] for row in recorded], dtype=torch.int64),
            torch.tensor([row[1] for row in recorded], dtype=torch.float64),
            torch.stack([row[2] for row in recorded]).double() if recorded else empty,
            torch.stack([row[3] for row in recorded]).double() if recorded else empty,
        )


class Descent(Run):
    """First-order descent, full-batch or in mini-batches."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        super().__init__(task)
        problem, options = task.problem, task.options
        self._rule = options.settings
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
        reason = self._ending(epoch, (loss, before.loss), (before.theta, theta), gradient, first_gradient)
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
        for rows in order.split(self._batch):
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
    ) -> str | None:
        options = self.task.options
        diverged = has_diverged(losses[0], self._progress.first_loss)
        if diverged and options.on_divergence == "stop":
            return "diverged"
        first = float(first_gradient.abs().max()) if options.tolerance.gradient else 0.0
        if not diverged and has_converged(options.tolerance, losses, steps, (gradient, first)):
            return "converged"
        return "max_epochs" if epoch == self.epochs else None


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
        reason = "diverged" if not math.isfinite(before.first_loss) else "converged"
        self._progress = replace(
            before, epoch=1, theta=theta, loss=before.first_loss, stop_reason=reason
        )


Starter = Callable[[Task, "Progress | None"], Run]

RUNS: Mapping[str, Starter] = {
    "exact": ExactRun,
    **dict.fromkeys(("sgd", "adam", "adamw", "rmsprop", "adagrad"), Descent),
}
"""The run that drives each optimizer."""


def start(task: Task, checkpoint: Progress | None = None) -> Run:
    """A run of the task, from its start or from a checkpoint of another run of the same task."""
    return RUNS[task.options.optimizer](task, checkpoint)

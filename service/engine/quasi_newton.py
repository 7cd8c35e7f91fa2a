"""L-BFGS on one problem: the loop around its step."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from service.engine.gradients import Objective
from service.engine.optimizers import lbfgs
from service.engine.problem import Task
from service.engine.result import Best, StopReason
from service.engine.run import Progress, Run
from service.engine.stopping import has_converged, has_diverged


class QuasiNewton(Run):
    """L-BFGS. An epoch is one step with its line search."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        super().__init__(task)
        assert isinstance(task.options.settings, lbfgs.Lbfgs)
        self._settings = task.options.settings
        self._objective = Objective(task.problem)
        self._progress = checkpoint or self._begin()

    def loss_at(self, theta: Tensor) -> float:
        return float(self._objective.loss(theta))

    def _evaluate(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        return self._objective.gradient(theta, self.task.options.gradient)

    def _begin(self) -> Progress:
        theta = self.task.problem.initial
        state = lbfgs.begin(self._evaluate, theta)
        best = Best(1, state.loss, theta)
        return Progress(0, theta, state, state.loss, state.loss, state.gradient, best)

    def _epoch(self) -> None:
        before, problem = self._progress, self.task.problem
        old: lbfgs.State = before.state
        new = old
        if math.isfinite(old.loss):
            new = lbfgs.advance(self._evaluate, old, self._settings, problem.lower, problem.upper)
        epoch = before.epoch + 1
        reason = self._ending(epoch, old, new)
        best = Best(epoch, new.loss, new.theta) if new.loss < before.best.loss else before.best
        self._record(epoch, old.loss, new.theta, old.gradient, last=reason is not None)
        self._progress = replace(
            before,
            epoch=epoch,
            theta=new.theta,
            state=new,
            loss=old.loss,
            best=best,
            stop_reason=reason,
        )

    def _ending(self, epoch: int, old: lbfgs.State, new: lbfgs.State) -> StopReason | None:
        if has_diverged(old.loss, self._progress.first_loss):
            return "diverged"
        first = float(self._progress.first_gradient.abs().max())
        relative = self._relative_gradient(new)
        noise = torch.finfo(new.theta.dtype).eps
        if new.stuck:
            return "converged" if relative <= noise ** (1 / 3) else "stalled"
        moved = new is not old and bool(new.steps)
        if relative <= noise or (
            moved
            and has_converged(
                self.task.options.tolerance,
                (new.loss, old.loss),
                (old.theta, new.theta),
                (self._free_gradient(new), first),
            )
        ):
            return "converged"
        return "max_epochs" if epoch == self.epochs else None

    def _relative_gradient(self, state: lbfgs.State) -> float:
        """The largest relative change of the loss per relative change of a param (Dennis and
        Schnabel, Numerical Methods for Unconstrained Optimization, 7.2)."""
        change = self._free_gradient(state) * state.theta.abs().clamp(min=1e-12)
        return float(change.abs().max()) / max(state.loss, 1e-300)

    def _free_gradient(self, state: lbfgs.State) -> Tensor:
        """The gradient without the parts that push against a bound."""
        problem = self.task.problem
        held = ((state.theta <= problem.lower) & (state.gradient > 0)) | (
            (state.theta >= problem.upper) & (state.gradient < 0)
        )
        return torch.where(held, torch.zeros_like(state.gradient), state.gradient)

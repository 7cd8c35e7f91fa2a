"""The solver for L-BFGS on one problem."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from service.catalogue.optimizers.lbfgs import Lbfgs
from service.engine.objectives.objective import Objective
from service.engine.problem import Task
from service.engine.result import Best, Rows, StopReason
from service.engine.solvers import quasi_newton
from service.engine.solvers.single import At, Recorder, SingleFit
from service.engine.stopping import has_converged, has_diverged


class QuasiNewton(SingleFit):
    """L-BFGS. An epoch is one step with its line search."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert isinstance(task.options.settings, Lbfgs)
        self._settings = task.options.settings
        self._objective = Objective(task.problem)

    def loss_at(self, theta: Tensor) -> float:
        return float(self._objective.loss(theta))

    def init(self) -> At:
        theta = self.task.problem.initial
        state = quasi_newton.begin(self._evaluate, theta)
        best = Best(1, state.loss, theta)
        return At(0, theta, state, state.loss, state.loss, state.gradient, best)

    def slice(self, at: At, epochs: int) -> tuple[At, Rows]:
        recorder = Recorder(self.task.options.record_every)
        for _ in range(epochs):
            at = self._epoch(at, recorder)
            if at.reason is not None:
                break
        return at, recorder.rows(len(self.task.problem.params))

    def _evaluate(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        return self._objective.gradient(theta, self.task.options.gradient)

    def _epoch(self, before: At, recorder: Recorder) -> At:
        problem = self.task.problem
        old: quasi_newton.State = before.state
        new = old
        if math.isfinite(old.loss):
            new = quasi_newton.advance(
                self._evaluate, old, self._settings, problem.lower, problem.upper
            )
        epoch = before.epoch + 1
        reason = self._ending(before, old, new)
        best = Best(epoch, new.loss, new.theta) if new.loss < before.best.loss else before.best
        recorder.add(epoch, old.loss, new.theta, old.gradient, last=reason is not None)
        return replace(
            before, epoch=epoch, theta=new.theta, state=new, loss=old.loss, best=best, reason=reason
        )

    def _ending(
        self, before: At, old: quasi_newton.State, new: quasi_newton.State
    ) -> StopReason | None:
        if has_diverged(old.loss, before.first_loss):
            return "diverged"
        first = float(before.first_gradient.abs().max())
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
        return "max_epochs" if before.epoch + 1 == self.task.options.epochs else None

    def _relative_gradient(self, state: quasi_newton.State) -> float:
        """The largest relative change of the loss per relative change of a param (Dennis and
        Schnabel, Numerical Methods for Unconstrained Optimization, 7.2)."""
        change = self._free_gradient(state) * state.theta.abs().clamp(min=1e-12)
        return float(change.abs().max()) / max(state.loss, 1e-300)

    def _free_gradient(self, state: quasi_newton.State) -> Tensor:
        """The gradient without the components that point against a bound."""
        problem = self.task.problem
        held = ((state.theta <= problem.lower) & (state.gradient > 0)) | (
            (state.theta >= problem.upper) & (state.gradient < 0)
        )
        return torch.where(held, torch.zeros_like(state.gradient), state.gradient)

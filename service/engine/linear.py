"""The one step of a linear least-squares problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from service.engine.bound import is_small
from service.engine.formula import Formula
from service.engine.gradients import Objective
from service.engine.long import LongObjective, is_long
from service.engine.optimizers.exact import solve, solve_small
from service.engine.problem import Task
from service.engine.result import Best, Rows, StopReason
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

    def _solved(self, theta: Tensor) -> Tensor:
        """The answer, from any θ."""
        free = self.task.problem.free_index
        residual, jacobian = self._objective.jacobian(theta)
        moved = theta.clone()
        if len(free):
            moved[free] += solve(jacobian[:, free], residual).step
        return moved

    def _epoch(self) -> None:
        before = self._progress
        theta = self._solved(before.theta)
        self._record(1, before.first_loss, theta, before.first_gradient, last=True)
        reason: StopReason = "diverged" if not math.isfinite(before.first_loss) else "converged"
        self._progress = replace(
            before, epoch=1, theta=theta, loss=before.first_loss, stop_reason=reason
        )


class SmallExactRun(ExactRun):
    """The same on few rows, by numpy: the tape is read once at the start and once at the end."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        Run.__init__(self, task)
        assert task.problem.small is not None
        self._data = task.problem.small
        with np.errstate(all="ignore"):
            self._residuals, self._slopes = self._data.jacobian(task.problem.initial.numpy())
            self._progress = checkpoint or self._begin()

    def loss_at(self, theta: Tensor) -> float:
        with np.errstate(all="ignore"):
            return self._data.loss(theta.numpy())

    def _begin(self) -> Progress:
        problem, z = self.task.problem, self._residuals
        first = float(z.dot(z)) / len(z)
        gradient = self._slopes.dot(z) * (2 / len(z))
        gradient[[not free for free in problem.free]] = 0.0
        slope, theta = torch.from_numpy(gradient), problem.initial
        return Progress(0, theta, (), math.nan, first, slope, Best(1, first, theta))

    def _solved(self, theta: Tensor) -> Tensor:
        free, moved = self.task.problem.free, theta.numpy().copy()
        with np.errstate(all="ignore"):
            if all(free):
                moved += solve_small(self._slopes, self._residuals)[0]
            elif any(free):
                chosen = np.flatnonzero(free)
                moved[chosen] += solve_small(self._slopes[chosen], self._residuals)[0]
        return torch.from_numpy(moved)

    def _rows(self) -> Rows:
        if not self._recorded:
            return super()._rows()
        (epoch, loss, theta, gradient), self._recorded = self._recorded[0], []
        return Rows(
            torch.from_numpy(np.array([epoch])),
            torch.from_numpy(np.array([loss])),
            theta.unsqueeze(0),
            gradient.unsqueeze(0),
        )


class LongExactRun(ExactRun):
    """The same on long data, which are read once: R of [J z] holds all that is needed."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        Run.__init__(self, task)
        self._free = task.problem.free_index
        self._data = LongObjective(task.problem)
        self._first, factor = self._data.linearise(task.problem.initial[self._free].unsqueeze(0))
        self._factor = factor[0]
        self._r, self._c = factor[0, :-1, :-1], factor[0, :-1, -1]
        self._progress = checkpoint or self._begin()

    def loss_at(self, theta: Tensor) -> float:
        """(‖R(θ − θ₀) + c‖² + ρ²)/n, ρ² being what θ₀'s own loss leaves."""
        moved = self._r @ (theta - self.task.problem.initial)[self._free]
        rise = (moved + 2 * self._c).dot(moved) / self.task.problem.rows
        return max(float(self._first[0] + rise), 0.0)

    def factor_at(self, theta: Tensor) -> Tensor | None:
        """[R, R(θ − θ₀) + c; 0, ρ]."""
        if self._factor.dtype != torch.float64:
            return None
        factor = self._factor.clone()
        factor[:-1, -1] += self._r @ (theta - self.task.problem.initial)[self._free]
        return factor

    def _begin(self) -> Progress:
        problem = self.task.problem
        gradient = torch.zeros_like(problem.initial)
        gradient[self._free] = 2 * (self._r.mT @ self._c) / problem.rows
        first, theta = float(self._first[0]), problem.initial
        return Progress(0, theta, (), math.nan, first, gradient, Best(1, first, theta))

    def _solved(self, theta: Tensor) -> Tensor:
        moved = theta.clone()
        if len(self._free):
            moved[self._free] += solve(self._r, self._c, self.task.problem.rows).step
        return moved


def solve_exactly(task: Task, checkpoint: Progress | None = None) -> ExactRun:
    """The run of an exact task, by the shorter way."""
    if task.problem.small is not None:
        return SmallExactRun(task, checkpoint)
    return (LongExactRun if is_long(task.problem) else ExactRun)(task, checkpoint)


def least_squares(
    formula: Formula, columns: Mapping[str, Tensor], target: Tensor
) -> list[float] | None:
    """The params of least mean square, where the formula is linear in them and the rows are few;
    else None."""
    rows = target.shape[-1]
    if not (is_small(target, rows) and formula.program.is_readable):
        return None
    if not formula.is_linear_in(formula.params):
        return None
    with np.errstate(all="ignore"):
        arrays = {name: column.numpy() for name, column in columns.items()}
        reader = formula.program.bind(arrays, rows)
        residuals = reader.read(np.zeros(len(formula.params)), safe=True) - target.numpy()
        found: list[float] = solve_small(reader.slopes, residuals)[0].tolist()
    return found

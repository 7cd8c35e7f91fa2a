"""Levenberg–Marquardt on one problem, by as many ways as it takes.

The first way mostly suffices. Where it ends at params that hardly matter, finds no step, or is
slow, the next begins from the same start, and they take turns; the lowest loss of all is the
answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from service.engine.factors import triangle, weights
from service.engine.gradients import Objective
from service.engine.long import LongObjective, is_long
from service.engine.optimizers import levenberg_marquardt as lm
from service.engine.problem import Problem, Task
from service.engine.result import Best, StopReason
from service.engine.run import Progress, Run

PATIENCE = 150
"""Trial steps of one turn."""

WAYS = (
    lm.LevenbergMarquardt(),
    lm.LevenbergMarquardt(damping=1e-2, running_scale=False, separable=True),
)
"""The ways, in the order in which they are tried."""

EXPLAINED = 0.95
"""An end whose loss is more than so much of a constant's is not believed at once: it may lie beside
a pole, and another way lead elsewhere."""
SAMPLE = 2**15
"""Rows of long data by which that is judged."""

NARROWER = 0.2
NARROWEST = 1e-7
"""A loss with a corner is rounded ever less, down to this part of the residuals' size."""
STAGE = 60
"""Trial steps at most on one rounding."""
ROUGH = 1e-7
"""The tolerance there: a finer one would be lost in the rounding."""


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways, and where it stands. `believed` is whether its end may be the answer."""

    settings: lm.LevenbergMarquardt
    state: lm.State
    ended: StopReason | None = None
    believed: bool = False
    width: float = 0.0
    """Of the parabola that stands for a corner of the loss; 0 where the loss is smooth."""
    began: int = 0
    """The trial step at which this width began."""

    @property
    def loss(self) -> float:
        return float(self.state.loss[0])

    @property
    def turns(self) -> int:
        return self.state.epoch // PATIENCE


class Marquardt(Run):
    """Levenberg–Marquardt on one group. An epoch is one trial step, taken or not."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        super().__init__(task)
        problem = task.problem
        self._objective = Objective(problem)
        self._free = problem.free_index
        self._free_are_all = all(problem.free)
        self._model = lm.Model(
            self._linearise,
            torch.full_like(problem.target[:1], float(problem.rows)),
            problem.lower[self._free],
            problem.upper[self._free],
            linear_params(problem),
            problem.is_bounded,
        )
        epsilon = 4 * torch.finfo(problem.target.dtype).eps
        self._tolerance = max(task.options.tolerance.params, epsilon)
        self._smooth = problem.loss.is_smooth
        self._long = LongObjective(problem) if self._smooth and is_long(problem) else None
        self._start_width = 0.0
        if not self._smooth:
            self._start_width = float(self._objective.residuals(problem.initial).abs().mean())
        self._width = self._start_width
        self._progress = checkpoint or self._begin()

    def loss_at(self, theta: Tensor) -> float:
        if self._long is not None:
            return float(self._long.linearise(theta[self._free].unsqueeze(0))[0])
        return float(self._objective.loss(theta))

    def _linearise(self, free: Tensor) -> lm.Linearised:
        """The loss and the R factor of [J z], weighted for losses other than mse."""
        if self._long is not None:
            loss, factor = self._long.linearise(free)
        else:
            loss, factor = self._reduced(self._whole(free[0]))
        if not bool(torch.isfinite(factor).all()):
            loss = torch.full_like(loss, torch.nan)
        return loss, factor

    def _reduced(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        z, jacobian = self._objective.jacobian(theta)
        if not self._free_are_all:
            jacobian = jacobian[:, self._free]
        width = 0.0 if self._smooth else self._width
        rho, root = weights(self.task.problem.loss, z, width)
        matrix = torch.cat([jacobian, z.unsqueeze(-1)], dim=-1)
        factor = triangle(matrix if root is None else matrix * root.unsqueeze(-1))
        return (rho.sum() / self.task.problem.rows).reshape(1), factor.unsqueeze(0)

    @cached_property
    def _still_loss(self) -> float:
        """The loss of the weighted mean, on an even sample of long data: what there is to
        explain."""
        problem = self.task.problem
        step = -(-problem.rows // SAMPLE)
        y = problem.target[::step]
        if problem.sigma is None:
            return float(problem.loss.value(y.mean() - y))
        sigma = problem.sigma[::step]
        weight = 1 / sigma.square()
        return float(problem.loss.value(((weight * y).sum() / weight.sum() - y) / sigma))

    def _whole(self, free: Tensor) -> Tensor:
        theta = self.task.problem.initial.clone()
        theta[self._free] = free
        return theta

    def _begin(self) -> Progress:
        problem = self.task.problem
        way = self._way(WAYS[0])
        loss, gradient = self._measured(way)
        best = Best(1, loss, problem.initial)
        return Progress(0, problem.initial, (way,), loss, loss, gradient, best)

    def _way(self, settings: lm.LevenbergMarquardt) -> Way:
        start = self.task.problem.initial[self._free].unsqueeze(0)
        self._width = self._start_width
        return Way(settings, lm.begin(self._model, start, settings), width=self._width)

    def _gradient(self, way: Way) -> Tensor:
        gradient = torch.zeros_like(self.task.problem.initial)
        gradient[self._free] = lm.gradient(self._model, way.state)[0]
        return gradient

    def _epoch(self) -> None:
        before, epoch = self._progress, self._progress.epoch + 1
        if epoch == 1 and not (self.task.problem.free_params and math.isfinite(before.first_loss)):
            return self._nothing_to_do()
        ways, index = self._turn(before.state)
        way = ways[index]
        self._width = way.width
        loss, gradient = self._measured(way)
        state = lm.advance(self._model, way.state, way.settings)
        way = self._narrowed(self._ended(replace(way, state=state), way.loss))
        ways = (*ways[:index], way, *ways[index + 1 :])
        reason = _reason(ways)
        if reason is None and epoch == self.epochs:
            reason = "max_epochs"
        shown = min(ways, key=lambda way: way.loss) if reason is not None else way
        theta = self._whole(shown.state.theta[0])
        reached = self.loss_at(theta) if not self._smooth else shown.loss
        best = Best(epoch, reached, theta) if reached < before.best.loss else before.best
        self._record(epoch, loss, theta, gradient, last=reason is not None)
        self._progress = replace(
            before, epoch=epoch, theta=theta, state=ways, loss=loss, best=best, stop_reason=reason
        )

    def _measured(self, way: Way) -> tuple[float, Tensor]:
        """The loss and its gradient where a way stands."""
        if self._smooth:
            return way.loss, self._gradient(way)
        theta = self._whole(way.state.theta[0])
        loss, gradient = self._objective.gradient(theta, self.task.options.gradient)
        return float(loss), gradient

    def _narrowed(self, way: Way) -> Way:
        """A way that has come to its end on a rounded loss goes on, on one rounded less."""
        if self._smooth or way.width == 0.0:
            return way
        if way.ended is None and way.state.epoch - way.began < STAGE:
            return way
        if way.width <= NARROWEST * self._start_width:
            return replace(way, ended="converged", believed=True)
        self._width = way.width * NARROWER
        state = lm.begin(self._model, way.state.theta, way.settings)
        state = replace(state, epoch=way.state.epoch)
        return replace(
            way, state=state, width=self._width, ended=None, believed=False, began=state.epoch
        )

    def _nothing_to_do(self) -> None:
        """The one epoch of a problem with no free param, or with no finite loss to start from."""
        before = self._progress
        reason: StopReason = "converged" if math.isfinite(before.first_loss) else "diverged"
        self._record(1, before.first_loss, before.theta, before.first_gradient, last=True)
        self._progress = replace(before, epoch=1, stop_reason=reason)

    def _turn(self, ways: tuple[Way, ...]) -> tuple[tuple[Way, ...], int]:
        """The ways, one more of them where its turn has come; and whose turn it is."""
        waiting = [i for i, way in enumerate(ways) if way.ended is None]
        fresh = all(ways[i].turns > 0 for i in waiting)
        if fresh and len(ways) < len(WAYS):
            return (*ways, self._way(WAYS[len(ways)])), len(ways)
        return ways, min(waiting, key=lambda i: ways[i].turns)

    def _ended(self, way: Way, before: float) -> Way:
        """The way, with its ending if it has come to one."""
        tolerance, state = self.task.options.tolerance, way.state
        limit = self._tolerance if self._smooth else max(self._tolerance, ROUGH)
        converged = bool(lm.converged(state, limit)[0])
        if tolerance.loss and bool(state.accepted[0]):
            converged |= before - way.loss <= tolerance.loss * before
        if tolerance.gradient:
            first = float(self._progress.first_gradient.abs().max())
            converged |= float(self._gradient(way).abs().max()) <= tolerance.gradient * first
        if converged:
            doubtful = bool(lm.uncertain(self._model, state)[0])
            doubtful |= way.loss >= EXPLAINED * self._still_loss > 0
            return replace(way, ended="converged", believed=not doubtful)
        return replace(way, ended="stalled") if bool(lm.stalled(state)[0]) else way


def _reason(ways: tuple[Way, ...]) -> StopReason | None:
    """How the run ends: when the lowest way is believed, or when all have ended."""
    lowest = min(ways, key=lambda way: way.loss)
    near = [way for way in ways if way.loss <= lowest.loss * (1 + 1e-9)]
    if any(way.believed for way in near):
        return "converged"
    if len(ways) == len(WAYS) and all(way.ended is not None for way in ways):
        return lowest.ended
    return None


def linear_params(problem: Problem) -> Tensor:
    """A largest-first set of free params that the prediction is jointly linear in, (free,) bool."""
    chosen: set[str] = set()
    if problem.loss.is_least_squares:
        for name in problem.free_params:
            if problem.formula.is_linear_in(chosen | {name}):
                chosen.add(name)
    mask = [name in chosen for name in problem.free_params]
    return torch.tensor(mask, dtype=torch.bool, device=problem.target.device)

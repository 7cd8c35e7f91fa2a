"""Intervals by profile likelihood: where the loss, minimised over the other params, has risen as
far as the level allows.

With RSS(v) the sum of squares at a value v of one param, minimised over the others, v is in the
interval while τ(v) = √((RSS(v) − RSS)/s²) ≤ t. For linear formulas that is the t interval; for
others it follows the curvature. The profile is walked outward from the minimum in steps over which
τ rises by a part of t, the other params going on as they went before, so that it stays on one
branch; a step over which it leaps is halved. Source: Bates and Watts, Nonlinear Regression Analysis
(1988), 6.1 and appendix A3.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.engine.inference.statistics import Statistics
from service.engine.kernel.types import Bools, Floats
from service.engine.objectives.points import shared
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.problem import Options, Problem, Task, Tolerance
from service.engine.solvers.marquardt import Marquardt

EPOCHS = 100
OPTIONS = Options(
    "levenberg_marquardt", LevenbergMarquardt(), epochs=EPOCHS, record_every=EPOCHS,
    tolerance=Tolerance(params=1e-9),
)  # fmt: skip
PARTS = 4
"""Steps on the way to an end, of a profile that is a straight line."""
LEAP = 3.0
"""A step over which τ rises by so many times what was aimed at is too long."""
STEPS = 60
"""Steps of one walk, at most,"""
REFINEMENTS = 30
"""and of the search for the end in its last step."""
FEW_ROWS = 2000
"""So many rows, at most, are read by the CPU's kernel wherever they are."""
WORK = 2e10
"""Operations that the walks of a fit may cost, rows × operations × epochs; an end that would cost
more is not looked for."""
FAR = 1e9
"""Standard errors beyond which nobody looks for an end."""
SLACK = 1e-7
"""A loss that is lower than the fit's by no more than such a part is the same."""


@dataclass(frozen=True)
class Profile:
    """Ends over the free params, float64: NaN where the profile does not rise enough (the data set
    no limit on that side). `lower` is a better minimum, where a walk came upon one."""

    below: Floats
    above: Floats
    open: Bools
    """Of which params the profile was walked and does not rise enough on some side, (free,)."""
    lower: Tensor | None = None


def profile(
    problem: Problem, theta: Tensor, statistics: Statistics, level: float, chosen: Bools,
    work: float = WORK,
) -> Profile:  # fmt: skip
    """The profile intervals of a fit at its minimum θ (params,), of the free params `chosen`; NaN
    where the data set no limit, or the `work` is spent."""
    problem = replace(problem.double(), initial=theta.double())
    if problem.rows <= FEW_ROWS:
        problem = problem.to("cpu")
    stderr = statistics.stderr
    assert stderr is not None
    variance = 1.0 if problem.sigma_absolute else statistics.reduced_chi_squared or 0.0
    ends, lower = np.full((2, len(stderr)), math.nan), None
    unlimited = np.zeros(len(stderr), dtype=np.bool_)
    left = work / (problem.rows * problem.formula.operations * 10)
    for place, position in enumerate(problem.places.tolist()):
        if not chosen[place]:
            continue
        for side, sign in enumerate((-1.0, 1.0)):
            walk = _Walk(problem, statistics, place, position, variance, level)
            if left > 0:
                ends[side, place] = walk.end(sign)
                unlimited[place] |= math.isnan(ends[side, place]) and walk.lower is None
            left -= walk.readings
            lower = walk.lower if lower is None else lower
    return Profile(ends[0], ends[1], unlimited, lower)


class _Walk:
    """Along the profile of one param, away from the minimum."""

    def __init__(
        self, problem: Problem, statistics: Statistics, place: int, position: int,
        variance: float, level: float,
    ) -> None:  # fmt: skip
        free = list(problem.free)
        free[position] = False
        self._problem, self._position = replace(problem, free=tuple(free)), position
        self._variance, self._wanted = variance, statistics.t(level)
        self._first = problem.initial.cpu().numpy()
        covariance, spread = statistics.covariance, float(statistics.figures.stderr[place])
        assert covariance is not None
        self._spread = spread
        self._along = np.zeros(len(self._first))
        """How the params move for one standard error of this one, at the minimum."""
        if spread > 0:
            self._along[problem.places] = covariance[place] / spread
        self._limits = problem.limits[:, position].tolist()
        self.readings = 0
        self.lower: Tensor | None = None
        self._lowest = self._loss(self._first[None])[1]

    def end(self, sign: float) -> float:
        """The value on that side at which τ reaches what is wanted; the limit, where that comes
        first; NaN for none."""
        if not self._spread > 0 or not self._variance > 0:
            return float(self._first[self._position])
        low, high = self._limits
        aim = self._wanted / PARTS
        before, here, height = self._first - sign * aim * self._along, self._first, 0.0
        step = aim * self._spread
        for _ in range(STEPS):
            value = here[self._position] + sign * step
            bounded = min(max(value, low), high)
            there, tau = self._risen(here, before, bounded)
            if self.lower is not None:
                return math.nan
            if not tau - height <= LEAP * aim or tau < height - aim:
                step /= 2
                if step <= 1e-9 * self._spread:
                    return float(here[self._position])
                continue
            if tau >= self._wanted:
                return self._crossing(here, height, there, tau)
            if bounded != value:
                return float(bounded)
            rise = max(tau - height, 1e-3 * aim)
            step *= min(max(aim / rise, 0.5), 2.0)
            before, here, height = here, there, tau
            if abs(here[self._position] - self._first[self._position]) > FAR * self._spread:
                return math.nan
        return math.nan

    def _risen(self, here: Floats, before: Floats, value: float) -> tuple[Floats, float]:
        """The params and τ at a value of the param, the others beginning where they would be if
        they went on from `before` as far as `here`, and where they are."""
        gone = here[self._position] - before[self._position]
        part = (value - here[self._position]) / gone if gone else 0.0
        starts = np.stack([here + part * (here - before), here])
        starts[:, self._position] = value
        theta, loss = self._loss(starts)
        if not math.isfinite(loss):
            return theta, math.inf
        if loss < self._lowest * (1 - SLACK) and self._is_lower(loss):
            self.lower = torch.from_numpy(theta)
        risen = max(loss - self._lowest, 0.0) * self._problem.rows
        return theta, math.sqrt(risen / self._variance)

    def _is_lower(self, loss: float) -> bool:
        """Whether a loss is lower by what noise would not do: a hundredth of a standard error."""
        return (self._lowest - loss) * self._problem.rows > 1e-4 * self._variance

    def _loss(self, starts: Floats) -> tuple[Floats, float]:
        """The other params at the lowest of the minima next to some starts, and the loss there."""
        problem = self._problem
        fits = shared(len(starts), problem.rows, torch.from_numpy(starts))
        solver = Marquardt(Task(problem, OPTIONS, fits))
        ends = solver.ends(solver.step(solver.init(), EPOCHS)[0])
        self.readings += int(ends.epochs.sum()) + len(starts)
        at = int(ends.best_loss.nan_to_num(nan=math.inf).argmin())
        return ends.best[at].numpy().copy(), float(ends.best_loss[at])

    def _crossing(self, here: Floats, height: float, there: Floats, tau: float) -> float:
        """Where τ is what is wanted, between two points of the walk."""
        at = self._position

        def over(value: float) -> float:
            tau: float = self._risen(here, there, value)[1]
            return tau - self._wanted

        return _root(
            over, (float(here[at]), height - self._wanted), (float(there[at]), tau - self._wanted)
        )


def _root(
    over: Callable[[float], float], low: tuple[float, float], high: tuple[float, float]
) -> float:
    """Where a function crosses zero, by the Illinois method from a point below and one above."""
    (inside, f_inside), (outside, f_outside) = low, high
    side = 0
    for _ in range(REFINEMENTS):
        rise = f_outside - f_inside
        middle = 0.5 * (inside + outside)
        if 0 < rise < math.inf:
            middle = (inside * f_outside - outside * f_inside) / rise
        value = over(middle)
        if abs(value) <= 1e-9 or abs(outside - inside) <= 1e-10 * abs(outside):
            return middle
        if value > 0:
            outside, f_outside = middle, value
            f_inside = f_inside / 2 if side == 1 else f_inside
            side = 1
        else:
            inside, f_inside = middle, value
            f_outside = f_outside / 2 if side == -1 else f_outside
            side = -1
    return middle

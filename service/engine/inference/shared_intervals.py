"""Confidence intervals of the params that groups share: from their standard errors where the loss
is approximately quadratic, else by profile likelihood (see `inference.profile`), along which all
other params of all groups are fitted again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from service.engine.inference.intervals import LOOKED_AT, NONLINEAR, UNASKED, Method
from service.engine.inference.pooled import Pooled
from service.engine.inference.profile import (
    EPOCHS,
    FAR,
    OPTIONS,
    PARTS,
    READING,
    REFINEMENTS,
    SLACK,
    STEPS,
    WORK,
    Budget,
)
from service.engine.kernel.types import Bools, Floats
from service.engine.objectives.points import losses_of
from service.engine.prior import of_task
from service.engine.problem import Groups, Task
from service.engine.solvers.shared import SharedMarquardt


@dataclass(frozen=True)
class SharedIntervals:
    """Confidence limits of r shared params, (r,)."""

    method: Method
    lower: Floats
    """NaN where the data set no limit on that side, and where there is no standard error."""
    upper: Floats
    nonlinear: Bools
    """For which params the loss is not quadratic, so that standard errors would be wrong."""
    open: Bools
    """For which params the data set no limit on one side."""
    better: Floats | None
    """Params of the groups with a lower loss, (groups, p), if a profile found some."""


@np.errstate(all="ignore")
def shared_intervals(
    task: Task, theta: Floats, pooled: Pooled, level: float, method: Method,
    wanted: Bools | None = None,
) -> SharedIntervals | None:  # fmt: skip
    """The intervals at θ (groups, p) of a task in float64; None without standard errors. If given,
    only those `wanted` (r,) may be by profile."""
    r = len(pooled.shared)
    if not r or pooled.reason is not None:
        return None
    task = of_task(task)
    values, t = theta[0, task.shared_places], pooled.t(level)
    lower, upper = values - t * pooled.stderr, values + t * pooled.stderr
    nonlinear, better = _nonlinear(task, theta, pooled), None
    open_ended = np.zeros(r, dtype=np.bool_)
    asked = method == "profile"
    chosen = (nonlinear | asked) & (True if wanted is None else wanted)
    cost = task.problem.formula.operations * READING
    budget = Budget((WORK if asked else UNASKED) / cost)
    for j in np.flatnonzero(chosen).tolist():
        walk = _Walk(task, theta, pooled, j, t, budget)
        ends = [walk.end(sign) for sign in (-1.0, 1.0)]
        if walk.better is not None:
            better = walk.better
            continue
        if budget.spent and any(end is None for end in ends) and not asked:
            continue
        lower[j], upper[j] = (math.nan if end is None else end for end in ends)
        open_ended[j] = any(end is None for end in ends) and not budget.spent
    return SharedIntervals(method, lower, upper, nonlinear, open_ended, better)


def _directions(task: Task, pooled: Pooled) -> Floats:
    """The change of all params per standard error of each shared one, (r, groups, p)."""
    r, groups = len(pooled.shared), len(task.fits)
    q = len(pooled.local)
    found = np.zeros((r, groups, len(task.problem.params)))
    across = np.nan_to_num(pooled.local_covariance[:, :, q:])
    for j in range(r):
        found[j][:, task.local_places] = across[:, :, j] / pooled.stderr[j]
        found[j][:, task.shared_places] = pooled.covariance[:, j] / pooled.stderr[j]
    return found


def _total(task: Task, theta: Floats) -> float:
    """Σz² over the groups that have one."""
    flat = torch.from_numpy(theta)
    losses = losses_of(task.problem, Groups(task.fits.spans, flat), flat).numpy()
    sums: Floats = losses * task.fits.sizes.numpy()
    return float(np.nansum(sums))


def _nonlinear(task: Task, theta: Floats, pooled: Pooled) -> Bools:
    """Along which shared params the loss is not quadratic: where it rises otherwise than by k²s² at
    k standard errors, the other params following."""
    r, unit = len(pooled.shared), LOOKED_AT**2 * pooled.noise**2
    nonlinear = np.zeros(r, dtype=np.bool_)
    if task.problem.is_linear or pooled.is_rounding or not unit > 0:
        return nonlinear
    before, limits = _total(task, theta), task.problem.limits.numpy()
    for j, along in enumerate(_directions(task, pooled)):
        for sign in (-LOOKED_AT, LOOKED_AT):
            point = np.clip(theta + sign * along, *limits)
            if (point != theta + sign * along).any():
                continue
            risen = (_total(task, point) - before) / unit
            nonlinear[j] |= not 1 / NONLINEAR <= risen <= NONLINEAR
    return nonlinear


class _Walk:
    """Along the profile of one shared param, away from the minimum."""

    def __init__(
        self, task: Task, theta: Floats, pooled: Pooled, place: int, wanted: float, budget: Budget
    ) -> None:
        position = int(task.shared_places[place])
        free = list(task.problem.free)
        free[position] = False
        problem = replace(task.problem, free=tuple(free))
        self._task = replace(task, problem=problem, options=OPTIONS)
        self._position, self._wanted, self._budget = position, wanted, budget
        self._first, self._variance = theta, pooled.noise**2
        self._spread = float(pooled.stderr[place])
        self._along = _directions(task, pooled)[place]
        self._rows = float(task.fits.sizes.sum())
        self._limits = task.problem.limits[:, position].tolist()
        self._alive = np.zeros(len(theta), dtype=np.bool_)
        self._lowest = self._fit(theta)[1]
        self.better: Floats | None = None

    def end(self, sign: float) -> float | None:
        """The limit on one side, a bound of the param where it is nearer; None if there is none."""
        if not (self._spread > 0 and self._variance > 0):
            return float(self._first[0, self._position])
        aim = self._wanted / PARTS
        step, height, here = aim * self._spread, 0.0, self._first
        before = self._first - sign * aim * self._along
        for _ in range(STEPS):
            value = here[0, self._position] + sign * step
            bounded = min(max(value, self._limits[0]), self._limits[1])
            there, tau = self._risen(here, before, bounded)
            if self.better is not None or self._budget.spent:
                return None
            if not tau - height <= 3.0 * aim or tau < height - aim:
                step /= 2
                if step <= 1e-9 * self._spread:
                    return float(here[0, self._position])
                continue
            if tau >= self._wanted:
                return self._cross(here, height, there, tau)
            if bounded != value:
                return float(bounded)
            step *= min(max(aim / max(tau - height, 1e-3 * aim), 0.5), 2.0)
            before, here, height = here, there, tau
            if abs(value - self._first[0, self._position]) > FAR * self._spread:
                return None
        return None

    def _cross(self, here: Floats, height: float, there: Floats, tau: float) -> float:
        """The limit between two points, by the Illinois method."""
        inside, outside = float(here[0, self._position]), float(there[0, self._position])
        below, above, side = height - self._wanted, tau - self._wanted, 0
        middle = 0.5 * (inside + outside)
        for _ in range(REFINEMENTS):
            rise = above - below
            middle = 0.5 * (inside + outside)
            if 0 < rise < math.inf:
                middle = (inside * above - outside * below) / rise
            over = self._risen(here, there, middle)[1] - self._wanted
            if abs(over) <= 1e-8 or abs(outside - inside) <= 1e-10 * abs(outside):
                break
            if over > 0:
                outside, above = middle, over
                below, side = (below / 2 if side == 1 else below), 1
            else:
                inside, below = middle, over
                above, side = (above / 2 if side == -1 else above), -1
        return middle

    def _risen(self, here: Floats, before: Floats, value: float) -> tuple[Floats, float]:
        """The params at that value of the shared one, and τ; the others are extrapolated."""
        change = here[0, self._position] - before[0, self._position]
        part = (value - here[0, self._position]) / change if change else 0.0
        start = here + part * (here - before)
        start[:, self._position] = value
        theta, total = self._fit(start)
        fall = self._lowest - total
        if fall > SLACK * self._lowest and fall > 1e-4 * self._variance:
            self.better = theta
        tau = math.sqrt(max(-fall, 0.0) / self._variance)
        return theta, tau if math.isfinite(total) else math.inf

    def _fit(self, start: Floats) -> tuple[Floats, float]:
        """The params of the groups and Σz² where the others than this one are fitted."""
        initial = torch.from_numpy(np.ascontiguousarray(start))
        solver = SharedMarquardt(self._task.starting(initial))
        state, _ = solver.step(solver.init(), EPOCHS)
        self._budget.left -= (state.epoch + 1) * self._rows
        lost = bool((self._alive & ~state.alive).any())
        self._alive |= state.alive
        return state.theta, math.inf if lost else solver.total(state)

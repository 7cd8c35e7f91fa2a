"""Intervals by profile likelihood: where the loss, minimised over the other params, has risen as
far as the level allows.

A value v of one param is in the interval when √((RSS(v) − RSS)/s²) ≤ t, RSS(v) being minimised over
the others. For linear formulas that is the t interval; for others it follows the curvature. Source:
Bates and Watts, Nonlinear Regression Analysis (1988), 6.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from service.engine.inference.statistics import Statistics
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.problem import Options, Problem, Task, Tolerance
from service.engine.solvers.marquardt import Marquardt

EPOCHS = 100
OPTIONS = Options(
    "levenberg_marquardt", LevenbergMarquardt(), epochs=EPOCHS, record_every=EPOCHS,
    tolerance=Tolerance(params=1e-9),
)  # fmt: skip
WIDENINGS = 12
REFINEMENTS = 40


def profile_interval(
    problem: Problem, theta: Tensor, statistics: Statistics, level: float
) -> tuple[Tensor, Tensor]:
    """Lower and upper ends over the free params, float64; NaN where the profile never rises enough
    (the data set no limit on that side)."""
    problem = replace(problem.double(), initial=theta.double())
    stderr = statistics.stderr
    assert stderr is not None
    variance = 1.0 if problem.sigma_absolute else statistics.reduced_chi_squared or 0.0
    ends = []
    for position, spread in zip(problem.free_index.tolist(), stderr.tolist(), strict=True):
        profile = _Profile(problem, position, variance)
        wanted = statistics.t(level)
        low, high = float(problem.lower[position]), float(problem.upper[position])
        below, above = profile.end(-spread, wanted), profile.end(spread, wanted)
        ends.append([max(below, low), min(above, high)])
    both = torch.tensor(ends, dtype=torch.float64)
    return both[:, 0], both[:, 1]


class _Profile:
    """√((RSS(v) − RSS)/s²) of one param's value v, the others following."""

    def __init__(self, problem: Problem, position: int, variance: float) -> None:
        self._position, self._variance = position, variance
        free = list(problem.free)
        free[position] = False
        self._problem = replace(problem, free=tuple(free))
        self._centre = float(problem.initial[position])
        self._lowest = self._refit(problem.initial)[1]

    def end(self, spread: float, wanted: float) -> float:
        """The value on that side at which the profile reaches `wanted`."""
        start = self._problem.initial
        state = {"theta": start}

        def height(distance: float) -> float:
            trial = state["theta"].clone()
            trial[self._position] = self._centre + distance
            theta, loss = self._refit(trial)
            if math.isfinite(loss):
                state["theta"] = theta
            risen = max(loss - self._lowest, 0.0) * self._problem.rows
            return math.sqrt(risen / self._variance) - wanted if self._variance > 0 else math.inf

        if spread == 0.0 or self._variance <= 0:
            return self._centre
        inside, outside = 0.0, wanted * spread
        for _ in range(WIDENINGS):
            if height(outside) >= 0:
                return self._centre + _root(height, inside, outside, -wanted)
            inside, outside = outside, outside * 1.6
        return math.nan

    def _refit(self, theta: Tensor) -> tuple[Tensor, float]:
        solver = Marquardt(Task(replace(self._problem, initial=theta), OPTIONS))
        ends = solver.ends(solver.step(solver.init(), EPOCHS)[0])
        return ends.best[0], float(ends.best_loss[0])


def _root(height: Callable[[float], float], low: float, high: float, at_low: float) -> float:
    """Where the height crosses zero, by the Illinois method between a low and a high end."""
    f_low, f_high = at_low if low == 0.0 else height(low), height(high)
    side = 0
    for _ in range(REFINEMENTS):
        if not math.isfinite(f_high):
            middle = 0.5 * (low + high)
        else:
            middle = (low * f_high - high * f_low) / (f_high - f_low)
        value = height(middle)
        if abs(value) <= 1e-9 or abs(high - low) <= 1e-10 * abs(high):
            return middle
        if value > 0:
            high, f_high = middle, value
            f_low = f_low / 2 if side == 1 else f_low
            side = 1
        else:
            low, f_low = middle, value
            f_high = f_high / 2 if side == -1 else f_high
            side = -1
    return middle

"""Intervals by profile likelihood: the limits at which the loss, minimised over the other params,
has risen to the critical value of the level.

With RSS(v) the sum of squares at a value v of one param, minimised over the others, v is in the
interval while τ(v) = √((RSS(v) − RSS)/s²) ≤ t. For linear formulas that is the t interval. The
profile is traced outward from the minimum in steps over which τ rises by a fraction of t; the other
params are extrapolated, so that it stays on one branch, and a step over which τ jumps is halved.
The traces of many fits, to both sides, are computed together. Source: Bates and Watts, Nonlinear
Regression Analysis (1988), 6.1 and appendix A3.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.inference.statistics import Figures
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Groups, Problem, Task
from service.engine.solvers.marquardt import Marquardt

EPOCHS = 100
OPTIONS = Options(
    "levenberg_marquardt", NoOptions(), epochs=EPOCHS, record_every=EPOCHS,
    tolerance=Tolerance(params=1e-9),
)  # fmt: skip
PARTS = 4
"""Steps to a limit if the profile is a straight line."""
LEAP = 3.0
"""Ratio of the rise of τ to the intended one from which on a step is too long."""
STEPS = 60
"""Maximum steps of one trace."""
REFINEMENTS = 30
"""Maximum iterations of the search for the limit within the last step."""
AT_ONCE = 2**12
"""Fits that are traced together."""
FEW_ROWS = 2000
"""Rows up to which the CPU's kernel is used on any device."""
WORK = 2e10
"""Budget of the profiles of a request, rows × operations × epochs; when it is used up, the search
for limits ends."""
READING = 10
"""Cost of the evaluation of a row, in units of the formula's operations."""
DISTANCE = 10
"""Cost of the evaluation of a row with errors in its inputs, in units of that without."""
FAR = 1e9
"""Distance in standard errors beyond which no limit is searched for."""
SLACK = 1e-7
"""Relative difference below which losses are the same."""


@dataclass(frozen=True)
class Profiles:
    """Profiles of fits with q free params of p; float64."""

    ends: Floats
    """Lower and upper limits, (2, fits, q): NaN where the profile does not rise enough (the data
    set no limit on that side), and where it was not traced."""
    open: Bools
    """For which params the profile was traced and does not rise enough on one side, (fits, q)."""
    lower: Floats
    """A better minimum found by a trace, (fits, p); else NaN."""


def profiles(
    problem: Problem, fits: Groups, figures: Figures, chosen: Bools, t: Floats, work: float, *,
    exact: bool = True,
) -> Profiles:  # fmt: skip
    """The profiles of fits at their minima, which are their `initial`, for the free params `chosen`
    (fits, q), to τ = t (fits,). Unless `exact`, a limit is only bracketed: the end is NaN."""
    problem = problem.double()
    if int(fits.sizes.max()) <= FEW_ROWS:
        problem = problem.to("cpu")
    theta: Floats = fits.initial.double().numpy()
    found = Profiles(
        np.full((2, *chosen.shape), math.nan), np.zeros_like(chosen), np.full_like(theta, math.nan)
    )
    reading = READING * (DISTANCE if problem.sigma_x else 1)
    budget = Budget(work / (problem.formula.operations * reading))
    many, q = chosen.shape
    variance = np.ones(many) if problem.sigma_absolute else np.reshape(figures.variance, many)
    errors = figures.stderr.reshape(many, q)
    covariances = figures.covariance.reshape(many, q, q)
    for place, position in enumerate(problem.places.tolist()):
        asked = np.flatnonzero(chosen[:, place])
        for start in range(0, len(asked), AT_ONCE):
            at = asked[start : start + AT_ONCE]
            if budget.spent:
                return found
            spread = errors[at, place]
            along = np.zeros((len(at), theta.shape[1]))
            with np.errstate(all="ignore"):
                along[:, problem.places] = covariances[at, place] / spread[:, None]
                walks = _Walks(
                    problem, fits, at, position, spread, along, variance[at], t[at], budget
                )
                walks.go(exact=exact)
            found.ends[:, at, place] = walks.ends.reshape(2, -1)
            found.open[at, place] = walks.open.reshape(2, -1).any(axis=0)
            for lower in walks.lower.reshape(2, len(at), -1):
                new = np.isnan(found.lower[at, 0]) & ~np.isnan(lower[:, 0])
                found.lower[at[new]] = lower[new]
    return found


@dataclass
class Budget:
    """Rows that may yet be read."""

    left: float

    @property
    def spent(self) -> bool:
        return self.left <= 0


class _Walks:
    """Along the profiles of one param of some fits, away from their minima: to smaller values first
    and to larger ones then, (2·fits,)."""

    def __init__(
        self, problem: Problem, fits: Groups, at: Ints, position: int, spread: Floats,
        along: Floats, variance: Floats, wanted: Floats, budget: Budget,
    ) -> None:  # fmt: skip
        free = list(problem.free)
        free[position] = False
        self._problem, self._position = replace(problem, free=tuple(free)), position
        self._budget = budget
        self._spans, self._sizes = fits.spans.numpy()[:, at], fits.sizes.numpy()[at].astype(float)
        self._first: Floats = fits.initial.double().numpy()[at]
        self._spread, self._variance, self._wanted = spread, variance, wanted
        self._along = along
        """Change of the params per standard error of this one, at the minimum."""
        self._lowest = self._losses(np.arange(len(at)), self._first[:, None])[1]
        count = 2 * len(at)
        self._of = np.tile(np.arange(len(at)), 2)
        """The fit of each trace."""
        self.ends = np.full(count, math.nan)
        self.open = np.zeros(count, dtype=np.bool_)
        self.lower = np.full((count, self._first.shape[1]), math.nan)

    def go(self, *, exact: bool) -> None:
        """Traces until τ reaches its target, or to the param's bound; NaN if neither is reached."""
        of, position = self._of, self._position
        limits = self._problem.limits[:, position].tolist()
        sign = np.repeat([-1.0, 1.0], len(of) // 2)
        first, spread, wanted = self._first[of], self._spread[of], self._wanted[of]
        aim = wanted / PARTS
        step = aim * spread
        before = first - (sign * aim)[:, None] * self._along[of]
        here, height = first.copy(), np.zeros(len(of))
        still = ~((spread > 0) & (self._variance[of] > 0))
        self.ends[still] = first[still, position]
        crossed: list[tuple[Ints, Floats, Floats, Floats, Floats]] = []
        going = np.flatnonzero(~still)
        for _ in range(STEPS):
            if not len(going) or self._budget.spent:
                break
            value = here[going, position] + sign[going] * step[going]
            bounded = np.clip(value, *limits)
            there, tau = self._risen(going, here[going], before[going], bounded)
            lost = ~np.isnan(self.lower[going]).any(axis=1)
            long = ~(tau - height[going] <= LEAP * aim[going]) | (tau < height[going] - aim[going])
            over, limited = tau >= wanted[going], bounded != value
            step[going[long]] /= 2
            short = long & (step[going] <= 1e-9 * spread[going])
            self.ends[going[short & ~lost]] = here[going[short & ~lost], position]
            met = over & ~long & ~lost
            i = going[met]
            crossed.append((i, here[i], height[i], there[met], tau[met]))
            held = limited & ~over & ~long & ~lost
            self.ends[going[held]] = bounded[held]
            on = ~(lost | long | over | limited)
            i = going[on]
            rise = np.maximum(tau[on] - height[i], 1e-3 * aim[i])
            step[i] *= np.clip(aim[i] / rise, 0.5, 2.0)
            before[i], here[i], height[i] = here[i], there[on], tau[on]
            beyond = on.copy()
            beyond[on] = np.abs(here[i, position] - first[i, position]) > FAR * spread[i]
            self.open[going[beyond]] = True
            going = going[(long & ~short & ~lost) | (on & ~beyond)]
        if not self._budget.spent:
            self.open[going] = True
        for each in crossed if exact else ():
            self._cross(*each)

    def _risen(
        self, walks: Ints, here: Floats, before: Floats, value: Floats
    ) -> tuple[Floats, Floats]:
        """The params and τ of traces at values of the param; the other params start both from
        `here` and from the extrapolation of `before` and `here`."""
        position, of = self._position, self._of[walks]
        change = here[:, position] - before[:, position]
        moved = change != 0
        part = np.divide(value - here[:, position], change, out=np.zeros_like(change), where=moved)
        starts = np.stack([here + part[:, None] * (here - before), here], axis=1)
        starts[:, :, position] = value[:, None]
        starts = np.clip(starts, *self._problem.limits.numpy())
        theta, loss = self._losses(of, starts)
        lowest, rows, variance = self._lowest[of], self._sizes[of], self._variance[of]
        # Significantly lower: by a hundredth of a standard error.
        lower = (loss < lowest * (1 - SLACK)) & ((lowest - loss) * rows > 1e-4 * variance)
        self.lower[walks[lower]] = theta[lower]
        tau = np.sqrt(np.maximum(loss - lowest, 0.0) * rows / variance)
        return theta, np.where(np.isfinite(loss), tau, math.inf)

    def _losses(self, of: Ints, starts: Floats) -> tuple[Floats, Floats]:
        """For each of some fits the params at the lowest of the conditional minima from its starts
        (many, starts, p), and their loss."""
        many, each, params = starts.shape
        spans = torch.from_numpy(np.repeat(self._spans[:, of], each, axis=1))
        fits = Groups(spans, torch.from_numpy(starts.reshape(-1, params)))
        solver = Marquardt(Task(self._problem, OPTIONS, fits))
        ends = solver.ends(solver.step(solver.init(), EPOCHS)[0])
        readings = (ends.epochs.numpy() + 1).reshape(many, each).sum(axis=1)
        self._budget.left -= float(readings @ self._sizes[of])
        losses = ends.best_loss.numpy().reshape(many, each)
        at = np.nan_to_num(losses, nan=math.inf).argmin(axis=1)
        theta = ends.best.numpy().reshape(many, each, params)
        return theta[np.arange(many), at], losses[np.arange(many), at]

    def _cross(self, walks: Ints, here: Floats, height: Floats, there: Floats, tau: Floats) -> None:
        """The limits of traces between two points, the first inside and the second outside the
        interval: where τ is at its target, by the Illinois method."""
        position, wanted = self._position, self._wanted[self._of[walks]]
        inside, outside = here[:, position].copy(), there[:, position].copy()
        below, above = height - wanted, tau - wanted
        side, going = np.zeros(len(walks), dtype=np.int64), np.arange(len(walks))
        middle = 0.5 * (inside + outside)
        for _ in range(REFINEMENTS):
            if not len(going):
                break
            rise = above[going] - below[going]
            steady = (rise > 0) & (rise < math.inf)
            secant = (inside[going] * above[going] - outside[going] * below[going]) / rise
            middle[going] = np.where(steady, secant, 0.5 * (inside[going] + outside[going]))
            risen = self._risen(walks[going], here[going], there[going], middle[going])[1]
            over = risen - wanted[going]
            near = np.abs(outside[going] - inside[going]) <= 1e-10 * np.abs(outside[going])
            left = ~((np.abs(over) <= 1e-9) | near)
            going, over = going[left], over[left]
            up, down = going[over > 0], going[~(over > 0)]
            outside[up], above[up] = middle[up], over[over > 0]
            below[up] = np.where(side[up] == 1, below[up] / 2, below[up])
            inside[down], below[down] = middle[down], over[~(over > 0)]
            above[down] = np.where(side[down] == -1, above[down] / 2, above[down])
            side[up], side[down] = 1, -1
        self.ends[walks] = middle

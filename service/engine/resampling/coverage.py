"""The actual coverage of a fit's intervals: data sets are simulated at θ̂, with the x and the noise
of the fit, each is fitted again from θ̂, and its intervals are computed as those of the fit are.
The coverage is the share of the intervals that contain θ̂."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from service.engine.inference import covariance
from service.engine.inference.intervals import intervals_of
from service.engine.inference.statistics import Figures, summarise_fits
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Groups, Problem
from service.engine.resampling.figures import Interval, draw_figures
from service.engine.resampling.philox import INNER, SIMULATION
from service.engine.resampling.refits import Refits, refitted
from service.engine.resampling.schemes import Base, Kind

AT_ONCE = 2**11
"""Rows of the data sets whose intervals are computed together, about. Their number is that of the
problem, not of the step, since budgets of profiles are shared among them."""
MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A bootstrap, as asked for."""

    kind: Kind = "residual"
    replicates: int = 1999
    interval: Interval = "percentile"


@dataclass(frozen=True, slots=True)
class Intervals:
    """How the intervals of a fit are computed."""

    level: float
    method: Literal["t", "profile", "bootstrap"]
    covariance: covariance.Kind = "expected"
    bootstrap: Bootstrap = Bootstrap()


@dataclass
class Coverage:
    """Data sets, of which `done` have been simulated; q free params."""

    base: Base
    """The fit, of kind `parametric`."""
    asked: Intervals
    simulate: int
    seed: int
    covered: Ints
    """How many intervals contain θ̂, (q,), of"""
    counted: Ints
    """those that there are."""
    failed: int = 0
    done: int = 0
    theta: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.theta = self.base.fits.initial.numpy()[0]

    @classmethod
    def of(
        cls, problem: Problem, fits: Groups, theta: torch.Tensor, figures: Figures,
        asked: Intervals, simulate: int, seed: int,
    ) -> Coverage:  # fmt: skip
        """Nothing simulated yet."""
        base = Base.of(problem, fits, theta, figures, "parametric")
        none = np.zeros(len(problem.places), dtype=np.int64)
        return cls(base, asked, simulate, seed, none, none.copy())

    def step(self, count: int) -> None:
        """Simulates at least `count` data sets, if that many are left; whole parts of fixed size,
        so that steps change no bit."""
        if not self.base.usable[0]:
            self.done = self.simulate
        part = max(1, min(MOST_AT_ONCE, AT_ONCE // self.base.problem.rows))
        until = min(self.simulate, self.done + count)
        while self.done < until:
            numbers = np.arange(self.done, min(self.done + part, self.simulate))
            self._simulate(numbers)
            self.done = int(numbers[-1]) + 1

    def _simulate(self, numbers: Ints) -> None:
        zero = np.zeros_like(numbers)
        problem, groups, _ = self.base.drawn(self.seed, SIMULATION, zero, zero, numbers)
        theta, ok, problem = refitted(problem, groups)
        self.failed += int((~ok).sum())
        if not ok.any():
            return
        at = torch.from_numpy(np.flatnonzero(ok))
        fits = Groups(groups.spans[:, at], torch.from_numpy(theta[ok]))
        lower, upper, known = self._intervals(problem, fits, numbers[ok])
        truth = self.theta[problem.places]
        self.covered += (known & (lower <= truth) & (truth <= upper)).sum(axis=0)
        self.counted += known.sum(axis=0)

    def _intervals(
        self, problem: Problem, fits: Groups, numbers: Ints
    ) -> tuple[Floats, Floats, Bools]:
        """Lower and upper ends, and which intervals there are; (fits, q) each. Where the data set
        no limit on a side, the end is infinite."""
        asked, theta = self.asked, fits.initial
        figures = summarise_fits(problem, fits, theta)
        if asked.method == "bootstrap":
            lower, upper = self._bootstrapped(problem, fits, figures, numbers)
            return lower, upper, np.isfinite(lower) & np.isfinite(upper)
        found = intervals_of(problem, fits, theta, figures, asked.level, asked.method)
        lower, upper = found.lower, found.upper
        known = np.isfinite(figures.stderr) & np.isfinite(figures.noise)[:, None]
        if asked.covariance != "expected":
            matrices = covariance.covariances(problem, fits, theta, figures, asked.covariance)
            stderr = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
            middle = theta.numpy()[:, problem.places]
            with np.errstate(all="ignore"):
                half = (upper - lower) / 2 * (stderr / figures.stderr)
            by_profile = found.nonlinear | (asked.method == "profile")
            kept = by_profile & (asked.covariance != "sandwich")
            lower = np.where(kept, lower, middle - half)
            upper = np.where(kept, upper, middle + half)
            known &= np.isfinite(stderr)
        lower = np.where(np.isnan(lower), -np.inf, lower)
        return lower, np.where(np.isnan(upper), np.inf, upper), known

    def _bootstrapped(
        self, problem: Problem, fits: Groups, figures: Figures, numbers: Ints
    ) -> tuple[Floats, Floats]:
        asked, theta = self.asked.bootstrap, fits.initial
        base = Base.of(problem, fits, theta, figures, asked.kind)
        refits = Refits.of(base, self.seed, INNER, asked.replicates, numbers).finish()
        q = len(problem.places)
        unit = np.broadcast_to(np.eye(q), (len(fits), q, q))
        a = np.zeros((len(fits), q))
        if asked.interval == "bca":
            a = base.acceleration(unit)
        draws, here = refits.draws[:, :, problem.places], theta.numpy()[:, problem.places]
        found = draw_figures(draws, here, self.asked.level, asked.interval, a)
        return found.lower, found.upper

"""The run of a fit, or of the fits of groups, and then of the replicates and the simulations that
belong to it. The caller steps it in slices, as `engine.Run`; no slicing changes a bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from service.engine.inference.statistics import LEVEL, summarise_fits
from service.engine.kernel.types import Floats, Ints
from service.engine.noise import NoiseExpression
from service.engine.outlier_run import AnyRun, run_of
from service.engine.problem import Groups, Problem, Task
from service.engine.resampling.coverage import Bootstrap, Coverage, Intervals
from service.engine.resampling.philox import BOOTSTRAP
from service.engine.resampling.refits import Refits
from service.engine.resampling.schemes import Base
from service.engine.result import GroupedResult, Result, Rows, StopReason
from service.engine.wrapped_run import WrappedRun

FITTED = (None, "converged", "stalled", "max_epochs")
"""Stop reasons of fits that have replicates."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """What is asked for besides the fit."""

    seed: int
    bootstrap: Bootstrap | None = None
    simulate: int = 0
    """Data sets for the coverage."""
    intervals: Intervals | None = None
    """Of which the coverage is."""

    def count(self, fits: int) -> int:
        """The steps after the fits: replicates and simulated data sets."""
        replicates = 0 if self.bootstrap is None else self.bootstrap.replicates
        return fits * replicates + self.simulate


@dataclass(eq=False)
class ResampledCheckpoint:
    """The state of a run, from which a later run of the same task continues, bit for bit."""

    fit: Any
    """Of the run of the fit."""
    theta: Floats | None = None
    """Of the replicates."""
    replicates: int = 0
    """Made so far,"""
    simulated: int = 0
    """and data sets, with their counts: see `Coverage`."""
    covered: Ints | None = None
    counted: Ints | None = None
    failed: int = 0


@dataclass(frozen=True, eq=False)
class Resampled:
    """A result with its replicates and its coverage, as far as they were made."""

    result: Result | GroupedResult
    stopped: StopReason | None
    """Why the whole was stopped after the fit had ended, else None."""
    refits: Refits | None
    coverage: Coverage | None
    level: float = LEVEL
    """Of the intervals."""


class ResampledRun(WrappedRun):
    """The running fit and what is made of it. Progress is counted in epochs of the fit, or in
    groups, and then in replicates and data sets."""

    def __init__(
        self, task: Task, asked: Resampling, checkpoint: ResampledCheckpoint | None = None
    ) -> None:
        self._task, self._asked = task, asked
        self._run: AnyRun = run_of(task, None if checkpoint is None else checkpoint.fit)
        self._after = asked.count(len(task.fits))
        self._refits: Refits | None = None
        self._coverage: Coverage | None = None
        self._begun = False
        if checkpoint is not None and self._run.done:
            self._begin()
            self._resume(checkpoint)

    @property
    def epoch(self) -> int:
        """Epochs or groups done, and replicates and data sets."""
        return self._run.epoch + self._extra

    @property
    def epochs(self) -> int:
        """The most that `epoch` may become."""
        fit = self._run.epoch if self._run.done else self._run.epochs
        return fit + self._after

    @property
    def stride(self) -> int:
        return 1 if self._run.done else self._run.stride

    @property
    def left(self) -> int:
        """The maximum number of remaining steps."""
        return self.epochs - self.epoch if self._run.done else self._run.left

    @property
    def done(self) -> bool:
        if not self._run.done or not self._begun:
            return False
        made = self._refits is None or self._refits.done == self._refits.total
        return made and (self._coverage is None or self._coverage.done == self._coverage.simulate)

    def step(self, epochs: int) -> Rows:
        """Does at most `epochs` epochs of the fit; or, once it has ended, as many replicates or
        data sets."""
        if not self._run.done:
            return self._run.step(epochs)
        if not self._begun:
            self._begin()
        elif self._refits is not None and self._refits.done < self._refits.total:
            self._refits.step(epochs)
        elif self._coverage is not None:
            self._coverage.step(epochs)
        return Rows.none(len(self._task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> Resampled:
        """The current result: see `Run.result`."""
        stopped = stop_reason if self._run.done else None
        result = self._run.result(stop_reason)
        intervals = self._asked.intervals
        level = LEVEL if intervals is None else intervals.level
        return Resampled(result, stopped, self._refits, self._coverage, level)

    def checkpoint(self) -> ResampledCheckpoint:
        """A copy of the state."""
        made = ResampledCheckpoint(self._run.checkpoint())
        if self._refits is not None:
            made.theta, made.replicates = self._refits.theta.copy(), self._refits.done
        if self._coverage is not None:
            made.simulated, made.failed = self._coverage.done, self._coverage.failed
            made.covered = self._coverage.covered.copy()
            made.counted = self._coverage.counted.copy()
        return made

    @property
    def _extra(self) -> int:
        done = 0 if self._refits is None else self._refits.done
        return done + (0 if self._coverage is None else self._coverage.done)

    def _begin(self) -> None:
        """Begins what follows the fit, where it has ended at params that are finite."""
        self._begun = True
        result = self._run.result(None)
        theta, usable = _ends(result)
        if not usable.any() or not len(self._task.problem.places):
            self._after = 0
            return
        problem = _with_noise(self._task.problem, result).double()
        fits = Groups(self._task.fits.spans, theta)
        figures = summarise_fits(problem, fits, theta)
        asked = self._asked
        if asked.bootstrap is not None:
            base = Base.of(problem, fits, theta, figures, asked.bootstrap.kind)
            base.usable[~usable] = False
            self._refits = Refits.of(base, asked.seed, BOOTSTRAP, asked.bootstrap.replicates)
        if asked.simulate and asked.intervals is not None:
            self._coverage = Coverage.of(
                problem, fits, theta, figures, asked.intervals, asked.simulate, asked.seed
            )

    def _resume(self, at: ResampledCheckpoint) -> None:
        if self._refits is not None and at.theta is not None:
            self._refits.theta, self._refits.done = at.theta, at.replicates
        if self._coverage is not None and at.covered is not None and at.counted is not None:
            self._coverage.covered, self._coverage.counted = at.covered, at.counted
            self._coverage.done, self._coverage.failed = at.simulated, at.failed


def _ends(result: Result | GroupedResult) -> tuple[Tensor, Any]:
    """θ̂ of the fits, (fits, params), and which of them have replicates."""
    if isinstance(result, Result):
        theta, fitted = result.params.unsqueeze(0), [result.stop_reason in FITTED]
    else:
        theta, fitted = result.ends.theta, [each in FITTED for each in result.ends.reasons]
    theta = theta.double().cpu()
    usable = torch.tensor(fitted) & torch.isfinite(theta).all(dim=1)
    return torch.where(usable.unsqueeze(-1), theta, torch.nan), usable.numpy()


def _with_noise(problem: Problem, result: Result | GroupedResult) -> Problem:
    """The problem with the σ that its expression gives at the end of the fit. A robust scale, whose
    rows are drawn as they are, changes nothing."""
    if result.noise is None or not isinstance(problem.noise, NoiseExpression):
        return problem
    return replace(problem, sigma=result.noise.sigma)


__all__ = ["Resampled", "ResampledCheckpoint", "ResampledRun", "Resampling"]

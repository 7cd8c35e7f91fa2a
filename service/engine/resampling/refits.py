"""Refits of resampled data: the replicates of many fits are groups of one batch.

A replicate starts at θ̂ and is fitted by Levenberg-Marquardt, without a search for other minima;
where the model is linear, exactly. With a model of the noise its fit is repeated until it settles,
as that of the data is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.inference.intervals import NEAR
from service.engine.kernel.statistics import ROUNDING
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Groups, Problem, Task
from service.engine.resampling.schemes import Base
from service.engine.result import GroupedResult
from service.engine.reweighted_run import ReweightedRun
from service.engine.solvers.contract import Solver
from service.engine.solvers.table import solver_of

EPOCHS = 100
"""Trial steps of a replicate, at most; most need about five."""
OPTIONS = Options(
    "levenberg_marquardt", NoOptions(), epochs=EPOCHS, record_every=EPOCHS,
    tolerance=Tolerance(loss=1e-10, params=1e-10),
)  # fmt: skip
"""The loss is compared first, since its changes know no scales of the params: 1e-10 of it is about
1e-5 of a standard error, a thousandth of the Monte-Carlo error."""
LINEAR = Options("exact", NoOptions(), epochs=1, record_every=1)
ROWS = 2**16
"""Rows that are fitted at once, about;"""
ROWS_IN_ROUNDS = 2**14
"""and with a model of the noise, of which a step makes no more, since it takes far longer."""
SINGULAR = 1e-11
"""Diagonal of R, relative to its column, at which the rows of a replicate do not determine a
param."""


@dataclass
class Refits:
    """The replicates of fits, of which `done` have been made; items are (fit, replicate) in
    order."""

    base: Base
    seed: int
    purpose: int
    replicates: int
    """Of each fit."""
    numbers: Ints
    """By which the random numbers of the fits are drawn, (fits,)."""
    theta: Floats
    """(items, params); NaN where a replicate failed, or was not made."""
    done: int = 0

    @classmethod
    def of(
        cls, base: Base, seed: int, purpose: int, replicates: int, numbers: Ints | None = None
    ) -> Refits:
        """Nothing made yet."""
        fits, params = base.fits.initial.shape
        numbers = np.arange(fits) if numbers is None else numbers
        theta = np.full((fits * replicates, params), np.nan)
        return cls(base, seed, purpose, replicates, numbers, theta)

    @property
    def total(self) -> int:
        return len(self.theta)

    @property
    def draws(self) -> Floats:
        """The params of the replicates, (fits, replicates, params)."""
        return self.theta.reshape(len(self.numbers), self.replicates, -1)

    @property
    def made(self) -> Ints:
        """Replicates made of each fit, (fits,)."""
        begun = self.done - self.replicates * np.arange(len(self.numbers))
        found: Ints = np.clip(begun, 0, self.replicates)
        return found

    def step(self, count: int) -> None:
        """Makes at most `count` replicates."""
        until = min(self.total, self.done + count)
        sizes = self.base.fits.sizes.numpy()
        in_rounds = self.base.problem.noise is not None
        most = ROWS_IN_ROUNDS if in_rounds else ROWS
        begun = self.done
        while self.done < until and not (in_rounds and self.done > begun):
            items = np.arange(self.done, min(until, self.done + most))
            rows = np.cumsum(sizes[items // self.replicates])
            items = items[: max(1, int(np.searchsorted(rows, most, side="right")))]
            self.done += len(items)
            items = items[self.base.usable[items // self.replicates]]
            if len(items):
                fit, replicate = np.divmod(items, self.replicates)
                problem, groups, enough = self.base.drawn(
                    self.seed, self.purpose, fit, self.numbers[fit], replicate
                )
                found = refitted(problem, groups)
                self.theta[items] = np.where((found.ok & enough)[:, None], found.theta, np.nan)

    def finish(self) -> Refits:
        """Makes all that are left."""
        while self.done < self.total:
            self.step(self.total)
        return self


class Refitted(NamedTuple):
    """Groups fitted from their starts."""

    theta: Floats
    """(groups, params)"""
    ok: Bools
    """Whether each converged to params that its rows determine."""
    problem: Problem
    """With the σ of the end, where it follows from the fit."""


def refitted(problem: Problem, groups: Groups) -> Refitted:
    """The groups fitted from their starts."""
    is_linear = problem.is_linear and not problem.is_bounded and problem.loss.is_least_squares
    task = Task(problem, LINEAR if is_linear else OPTIONS, groups)
    if problem.noise is not None:
        return _in_rounds(task)
    solver: Solver = solver_of(task)
    ends = solver.ends(solver.step(solver.init(), EPOCHS)[0])
    theta: Floats = ends.theta.numpy()
    ok: Bools = ends.converged.numpy()
    if ends.factor is not None:
        factor = ends.factor.numpy()
        others = [reason in ("stalled", "max_epochs") for reason in ends.reasons]
        if any(others):
            ok = ok | (np.array(others) & _at_minimum(problem, factor, groups))
        ok &= _are_determined(factor, len(problem.places))
    return Refitted(theta, ok & np.isfinite(theta).all(axis=1), problem)


def _in_rounds(task: Task) -> Refitted:
    """The same of a task with a model of the noise."""
    run = ReweightedRun(replace(task, options=replace(task.options, challenge=False)), roughly=True)
    while not run.done:
        run.step(run.left)
    found = run.result()
    assert isinstance(found, GroupedResult)
    assert found.noise is not None
    theta: Floats = found.ends.theta.numpy()
    ok = np.array([reason == "converged" for reason in found.ends.reasons])
    if found.ends.factor is not None:
        ok &= _are_determined(found.ends.factor.numpy(), len(task.problem.places))
    problem = replace(task.problem, sigma=found.noise.sigma)
    return Refitted(theta, ok & np.isfinite(theta).all(axis=1), problem)


def _are_determined(factor: Floats, q: int) -> Bools:
    """Which fits have rows that determine their q params, by R of QR [J | ψ]."""
    r = factor[:, :q, :q] * np.tri(q).T
    diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
    found: Bools = (diagonal > SINGULAR * np.linalg.norm(r, axis=1)).all(axis=1)
    return found


def _at_minimum(problem: Problem, factor: Floats, groups: Groups) -> Bools:
    """Which fits are at their minimum by Bates and Watts's relative offset, or to the rounding of
    their target, although no step met the tolerance."""
    q = factor.shape[1] - 1
    degrees = np.maximum(groups.sizes.numpy() - q, 1)
    along = np.square(factor[:, :q, q]).sum(axis=1) / max(1, q)
    scale = 1.0 if problem.sigma is None else problem.sigma.numpy()
    size = np.add.reduceat(np.square(problem.target.numpy() / scale), groups.spans[0].numpy())
    least = np.square(factor[:, q, q]) * NEAR**2 / degrees
    found: Bools = along <= np.maximum(least, ROUNDING**2 * size)
    return found

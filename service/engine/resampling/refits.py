"""Refits of resampled data: the replicates of many fits are groups of one batch.

A replicate starts at θ̂ and is fitted by Levenberg-Marquardt, without a search for other minima;
where the model is linear, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.inference.intervals import NEAR
from service.engine.kernel.statistics import ROUNDING
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Groups, Problem, Task
from service.engine.resampling.schemes import Base
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
"""Rows that are fitted at once, about."""
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
        while self.done < until:
            items = np.arange(self.done, until)
            rows = np.cumsum(sizes[items // self.replicates])
            items = items[: max(1, int(np.searchsorted(rows, ROWS, side="right")))]
            self.done += len(items)
            items = items[self.base.usable[items // self.replicates]]
            if len(items):
                fit, replicate = np.divmod(items, self.replicates)
                problem, groups, enough = self.base.drawn(
                    self.seed, self.purpose, fit, self.numbers[fit], replicate
                )
                theta, ok = refitted(problem, groups)
                self.theta[items] = np.where((ok & enough)[:, None], theta, np.nan)

    def finish(self) -> Refits:
        """Makes all that are left."""
        self.step(self.total)
        return self


def refitted(problem: Problem, groups: Groups) -> tuple[Floats, Bools]:
    """The params of groups fitted from their starts, (groups, params), and whether each converged
    to params that its rows determine."""
    is_linear = problem.is_linear and not problem.is_bounded and problem.loss.is_least_squares
    solver: Solver = solver_of(Task(problem, LINEAR if is_linear else OPTIONS, groups))
    ends = solver.ends(solver.step(solver.init(), EPOCHS)[0])
    theta: Floats = ends.theta.numpy()
    ok: Bools = ends.converged.numpy()
    if ends.factor is not None:
        q = len(problem.places)
        factor = ends.factor.numpy()
        others = [reason in ("stalled", "max_epochs") for reason in ends.reasons]
        if any(others):
            ok = ok | (np.array(others) & _at_minimum(problem, factor, groups))
        r = factor[:, :q, :q] * np.tri(q).T
        diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
        ok &= (diagonal > SINGULAR * np.linalg.norm(r, axis=1)).all(axis=1)
    return theta, ok & np.isfinite(theta).all(axis=1)


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

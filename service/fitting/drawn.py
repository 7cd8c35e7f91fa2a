"""The answers from replicates: intervals of params, tied params and reports; the coverage; and the
draws, which are kept beside the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from service.engine.formula import Formula
from service.engine.inference.reports import Estimates, Quantity
from service.engine.kernel.types import Floats
from service.engine.resampling.coverage import Coverage
from service.engine.resampling.figures import DrawFigures, draw_figures
from service.engine.resampling.refits import Refits
from service.engine.resampling.run import Resampled
from service.engine.resampling.schemes import Base
from service.fitting.plan import Plan
from service.fitting.reports import Asked
from service.fitting.resampling import bootstrap_of
from service.schemas import resampled as made
from service.schemas.columns import Numbers
from service.schemas.grouped import GroupedInterval
from service.schemas.names import BootstrapKind
from service.schemas.statistics import ConfidenceInterval

NO_REPLICATES = "there are too few replicates: the fit has no noise to draw from, or was stopped"


@dataclass(frozen=True, eq=False)
class Drawn:
    """The replicates of one fit, beside what predictions need of it."""

    predict: bytes
    """The JSON of the fit's `predict`."""
    kind: BootstrapKind
    seed: int
    names: tuple[str, ...]
    theta: Numbers
    """The params in the units of the fit, (replicates, params); NaN where one failed."""
    reports: tuple[str, ...]
    values: Numbers
    """The quantities of `report`, (replicates, reports)."""
    pool: Numbers
    """What the noise of readings is drawn from: the residuals over σ, less their mean."""
    noise: float
    """The standard deviation of the noise over σ, for the kind `parametric`."""
    sigma: float
    """σ of a reading where the fit has one number for all, else 1."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return len(self.predict) + self.theta.nbytes + self.values.nbytes + self.pool.nbytes


class Replicates:
    """The replicates of a plan's fits at θ̂, and what they give."""

    def __init__(self, plan: Plan, refits: Refits) -> None:
        asked = bootstrap_of(plan.request.confidence_interval)
        assert asked is not None, "a bootstrap is asked for"
        self._plan, self._refits, self._asked = plan, refits, asked
        self._problem = plan.task.problem
        self.made = refits.made
        failed = np.isnan(refits.draws).any(axis=2).sum(axis=1)
        self.failed = failed - (refits.replicates - self.made)
        self.failed[~refits.base.usable] = 0

    def params(self) -> DrawFigures:
        """Of the free params, (fits, q)."""
        places = self._problem.places
        here = self._refits.base.fits.initial.numpy()[:, places]
        q = len(places)
        unit = np.broadcast_to(np.eye(q), (len(here), q, q))
        return self._figures(self._refits.draws[:, :, places], here, unit)

    def quantities(self, asked: Asked) -> tuple[DrawFigures, Floats, Floats]:
        """Of quantities, (fits, m); with their replicates, (fits, replicates, m), and on which of
        the free params they depend, (m, q)."""
        formula, refits = self._problem.formula, self._refits
        assert isinstance(formula, Formula)
        derived = formula.derived(asked.texts)
        theta = refits.base.fits.initial
        here, slopes = derived.read(theta)
        values = derived.read(torch.from_numpy(refits.theta))[0]
        values[np.isnan(refits.theta).any(axis=1)] = np.nan
        draws = values.reshape(len(theta), refits.replicates, -1)
        own = slopes[:, :, self._problem.places]
        depends = derived.depends[:, self._problem.places]
        return self._figures(draws, here, own), draws, depends

    def _figures(self, draws: Floats, here: Floats, slopes: Floats) -> DrawFigures:
        level = self._plan.request.confidence_interval.level
        acceleration = np.zeros(here.shape)
        if self._asked.interval == "bca":
            acceleration = self._refits.base.acceleration(np.nan_to_num(slopes))
        return draw_figures(draws, here, level, self._asked.interval, acceleration)

    def report(self, found: Estimates, asked: Asked) -> None:
        """Replaces the intervals of those quantities whose method is `bootstrap`."""
        if not any(each.method == "bootstrap" for each in asked.quantities):
            return
        figures, _, depends = self.quantities(asked)
        for m, each in enumerate(asked.quantities):
            if each.method != "bootstrap" or not depends[m].any():
                continue
            ends = (figures.lower[:, m], figures.upper[:, m], figures.stderr[:, m])
            none = np.isnan(ends[0]) | np.isnan(ends[1])
            for column, end in zip((found.lower, found.upper, found.stderr), ends, strict=True):
                column[:, m] = np.where(none, np.nan, end)
            found.reasons[:, m] = [NO_REPLICATES if each else None for each in none]

    def interval(self) -> ConfidenceInterval:
        """Of the only fit, with the tied params."""
        asked, formula = self._asked, self._problem.formula
        names, figures = list(self._problem.free_params), [self.params()]
        if isinstance(formula, Formula) and formula.tied is not None:
            tied = Asked(tuple(Quantity(name, name) for name in formula.tied.names))
            names += formula.tied.names
            figures.append(self.quantities(tied)[0])

        def column(field: str) -> dict[str, float]:
            parts = np.concatenate([getattr(each, field)[0] for each in figures])
            return dict(zip(names, parts.tolist(), strict=True))

        return ConfidenceInterval(
            level=self._plan.request.confidence_interval.level,
            method="bootstrap",
            lower=column("lower"),
            upper=column("upper"),
            bootstrap=made.Bootstrap(
                kind=asked.kind,
                interval=asked.interval,
                replicates=asked.replicates,
                made=int(self.made[0]),
                failed=int(self.failed[0]),
                stderr=column("stderr"),
                bias=column("bias"),
            ),
        )

    def grouped_interval(self) -> GroupedInterval:
        """Of groups."""
        asked, figures = self._asked, self.params()

        def columns(values: Floats) -> dict[str, list[float]]:
            return {n: values[:, i].tolist() for i, n in enumerate(self._problem.free_params)}

        return GroupedInterval.model_construct(
            level=self._plan.request.confidence_interval.level,
            method="bootstrap",
            lower=columns(figures.lower),
            upper=columns(figures.upper),
            bootstrap=made.GroupedBootstrap.model_construct(
                kind=asked.kind,
                interval=asked.interval,
                replicates=asked.replicates,
                made=self.made.tolist(),
                failed=self.failed.tolist(),
                stderr=columns(figures.stderr),
                bias=columns(figures.bias),
            ),
        )

    def drawn(self, predict: bytes) -> Drawn:
        """The replicates of the only fit that were made."""
        plan, refits, base = self._plan, self._refits, self._refits.base
        count = int(self.made[0])
        names: tuple[str, ...] = ()
        values = np.empty((count, 0))
        if plan.report and not plan.scaling:
            names = tuple(each.name for each in plan.report.quantities)
            values = self.quantities(plan.report)[1][0, :count]
        sigma = plan.request.sigma
        return Drawn(
            predict, self._asked.kind, refits.seed, tuple(self._problem.params),
            refits.theta[:count], names, values, _pool(base),
            float(base.noise[0]), sigma if isinstance(sigma, float) else 1.0,
        )  # fmt: skip


def _pool(base: Base) -> Floats:
    """What the noise of readings is drawn from; NaN where it follows from the mean."""
    if base.problem.loss.likelihood is not None:
        return np.full_like(base.plain, np.nan)
    pool: Floats = base.plain - base.plain.mean()
    return pool


def replicates_of(plan: Plan, found: Resampled | None) -> Replicates | None:
    """The replicates of a result, if any were made."""
    if found is None or found.refits is None or not found.refits.done:
        return None
    if not found.refits.base.usable.any():
        return None
    return Replicates(plan, found.refits)


def to_coverage(plan: Plan, found: Coverage | None) -> made.Coverage | None:
    """The coverage, if any data set was simulated."""
    if found is None or not found.done or not found.counted.any():
        return None
    asked, names = plan.request.confidence_interval, plan.task.problem.free_params
    with np.errstate(all="ignore"):
        share = found.covered / found.counted
        error = np.sqrt(share * (1 - share) / found.counted)
    return made.Coverage(
        simulated=found.done,
        failed=found.failed,
        level=asked.level,
        method=asked.method,
        coverage=dict(zip(names, share.tolist(), strict=True)),
        stderr=dict(zip(names, error.tolist(), strict=True)),
        n=dict(zip(names, found.counted.tolist(), strict=True)),
    )

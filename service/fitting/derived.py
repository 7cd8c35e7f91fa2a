"""What an answer derives from the params of one fit: tied params, raw units, and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from service.engine.formula import Formula
from service.engine.inference.covariance import as_many
from service.engine.inference.intervals import Intervals
from service.engine.inference.reports import Estimates, Quantity, Spread
from service.engine.inference.statistics import Statistics
from service.engine.kernel.types import Floats
from service.engine.problem import Groups, Problem
from service.engine.result import Result
from service.engine.scaled_start import raw_params
from service.engine.scaling import Moved, inverse, scale_network
from service.fitting import reports
from service.fitting.drawn import NO_REPLICATES, Replicates
from service.fitting.plan import Plan
from service.fitting.reports import Asked, Point
from service.schemas import answers as wire
from service.schemas.options import ConfidenceOptions


@dataclass(frozen=True, eq=False)
class Tied:
    """The tied params of a fit."""

    names: tuple[str, ...]
    found: Estimates


class DerivedOfFit:
    """The tied params, the params in raw units, and the reports of a fit at `trusted`, the params
    that its statistics are of."""

    def __init__(
        self, plan: Plan, result: Result, trusted: Tensor, statistics: Statistics,
        replicates: Replicates | None = None,
    ) -> None:  # fmt: skip
        self._plan, self._problem, self._replicates = plan, plan.task.problem, replicates
        self._last, self._trusted, self._statistics = result.params, trusted, statistics

    @cached_property
    def tied(self) -> Tied | None:
        """The tied params, in the units of the fit."""
        if not self._names:
            return None
        return self._tied(reports.here(self._problem, self._trusted.unsqueeze(0)))

    @property
    def _names(self) -> tuple[str, ...]:
        """Of the tied params."""
        formula = self._problem.formula
        if not isinstance(formula, Formula) or formula.tied is None:
            return ()
        return tuple(formula.tied.names)

    def unscaled(self) -> wire.UnscaledParams | None:
        """The last params in raw units."""
        problem, statistics = self._problem, self._statistics
        known = statistics.covariance is not None and self._trusted is self._last
        if not self._plan.scaling:
            stderr = None
            if known and statistics.stderr is not None:
                stderr = named(statistics.free, statistics.stderr) | _errors(self.tied)
            return wire.UnscaledParams(values=with_tied(problem, self._last), stderr=stderr)
        if not isinstance(problem.formula, Formula):
            scaling = inverse(self._plan.scaling)
            moved = scale_network(problem.formula, scaling, self._last.double().cpu())
            return wire.UnscaledParams(values=named(problem.params, moved), stderr=None)
        if self._raw is None:
            return None
        point, stderr = self._raw_point, None
        if known:
            change = point.change[0]
            variance = (change @ statistics.covariance @ change.T).diagonal()
            errors = named(problem.params, np.sqrt(np.maximum(variance, 0.0)))
            stderr = {name: errors[name] for name in problem.free_params}
            stderr |= _errors(self._tied(point))
        return wire.UnscaledParams(values=with_tied(problem, point.theta[0]), stderr=stderr)

    def report(self, *, patient: bool) -> dict[str, wire.Report] | None:
        """The quantities of the request. Raises TakesLong for a profile if not `patient`."""
        asked, level = self._plan.report, self._plan.request.confidence_interval.level
        if not asked:
            return None
        problem = self._problem
        if not self._plan.scaling:
            point = reports.here(problem, self._trusted.unsqueeze(0))
        elif self._trusted_raw is None:
            return reports.unconverted(asked, level)
        else:
            point = reports.raw_point(problem, self._trusted_raw.values, self._trusted_raw.map)
        fits = Groups(problem.whole, self._trusted.double().cpu().unsqueeze(0))
        figures = as_many(self._statistics.figures)
        found = reports.reported(
            problem, fits, asked, point, self._spread, figures, patient=patient
        )
        for m, each in enumerate(asked.quantities):
            if each.method == "bootstrap" and self._replicates is None:
                found.clear(0, m, NO_REPLICATES)
        if self._replicates is not None:
            self._replicates.report(found, asked)
        return reports.to_wire(asked, found, level)

    def _tied(self, point: Point) -> Tied | None:
        names = self._names
        if not names:
            return None
        asked = Asked(tuple(Quantity(name, name) for name in names))
        free = replace(self._spread, held=np.zeros_like(self._spread.held))
        return Tied(names, reports.estimates(self._problem, asked, point, free)[0])

    @cached_property
    def _raw(self) -> Moved | None:
        """The last params in raw units, and their derivatives by those of the fit."""
        return raw_params(self._problem, self._plan.raw, self._plan.scaling, self._last)

    @cached_property
    def _trusted_raw(self) -> Moved | None:
        if self._trusted is self._last:
            return self._raw
        return raw_params(self._problem, self._plan.raw, self._plan.scaling, self._trusted)

    @property
    def _raw_point(self) -> Point:
        assert self._raw is not None
        return reports.raw_point(self._problem, self._raw.values, self._raw.map)

    @cached_property
    def _spread(self) -> Spread:
        statistics, q = self._statistics, len(self._problem.places)
        covariance = statistics.covariance
        if covariance is None:
            covariance = np.full((q, q), np.nan)
        level = self._plan.request.confidence_interval.level
        held = statistics.figures.held
        return Spread(
            covariance[None],
            np.array([reports.quantiles(level, statistics.t_degrees)]),
            [statistics.covariance_reason],
            np.reshape(held, (1, q)) if np.size(held) == q else np.zeros((1, q), dtype=np.bool_),
            statistics.free,
        )


def _errors(tied: Tied | None) -> dict[str, float]:
    """The standard errors of the tied params that have one."""
    return {} if tied is None else present(tied.names, tied.found.stderr)


def with_tied(problem: Problem, theta: Tensor) -> dict[str, float]:
    """The params by name, the tied ones last; theta (params,)."""
    values, formula = named(problem.params, theta), problem.formula
    if isinstance(formula, Formula) and formula.tied is not None:
        tied = formula.tied
        values |= named(tied.names, tied.read(theta.unsqueeze(0))[0][0])
    return values


def of_covariance(
    found: Intervals | None, statistics: Statistics, values: Floats, asked: ConfidenceOptions,
    *, sandwich: bool,
) -> Intervals | None:  # fmt: skip
    """Intervals with the standard errors of the kind of covariance that was asked for. Those by
    profile stay, since they need none; but with a sandwich, whose noise is not that of a profile,
    all are by standard errors."""
    if found is None or statistics.stderr is None:
        return None
    half = statistics.t(asked.level) * statistics.stderr
    by_profile = found.nonlinear | (asked.method == "profile")
    kept = np.zeros_like(found.nonlinear) if sandwich else by_profile
    lower = np.where(kept, found.lower, values - half)
    upper = np.where(kept, found.upper, values + half)
    return replace(found, lower=lower, upper=upper)


def named(names: Sequence[str], values: Tensor | Floats) -> dict[str, float]:
    """Values by name."""
    return dict(zip(names, values.tolist(), strict=True))


def present(names: Sequence[str], row: Floats) -> dict[str, float]:
    """The values of the only fit that are not NaN, by name; row (1, names)."""
    return {n: v for n, v in zip(names, row[0].tolist(), strict=True) if v == v}

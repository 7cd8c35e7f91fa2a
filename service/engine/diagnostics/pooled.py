"""Diagnostics of groups with one noise: of each group, and of the whole with its shared params."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from service.engine.diagnostics.counts import OVERDISPERSED, is_overdispersed, patch, text
from service.engine.diagnostics.determination import (
    FEW_DEGREES_OF_FREEDOM,
    ILL_CONDITIONED,
    NONLINEAR_INTERVAL,
    RANK_DEFICIENT,
    STEP_PARAM,
    UNDETERMINED,
)
from service.engine.diagnostics.ending import AT_BOUND, FAR, NON_FINITE, NOT_CONVERGED
from service.engine.diagnostics.finished import Check, Diagnostic, FinishedFits, Severity
from service.engine.diagnostics.many import finished_fits
from service.engine.diagnostics.noise import NOISE_UNSETTLED
from service.engine.diagnostics.residuals import (
    AUTOCORRELATED_RESIDUALS,
    LOST_IN_ROUNDING,
    OUTLIERS,
    UNEXPLAINED,
)
from service.engine.diagnostics.starts import BETTER_MINIMUM
from service.engine.inference.intervals import Method
from service.engine.inference.pooled import Pooled, pool
from service.engine.inference.shared_intervals import SharedIntervals, shared_intervals
from service.engine.inference.statistics import is_chance, summarise_fits
from service.engine.kernel.types import Bools, Floats
from service.engine.problem import Task
from service.engine.result import Ends

CHECKS: Sequence[Check] = (
    LOST_IN_ROUNDING, NON_FINITE, NOT_CONVERGED, NOISE_UNSETTLED, RANK_DEFICIENT, STEP_PARAM,
    ILL_CONDITIONED, AT_BOUND, UNEXPLAINED, OUTLIERS, AUTOCORRELATED_RESIDUALS,
)  # fmt: skip
"""The checks of each group. The others are of the whole, or of noise that a group has for
itself."""


@dataclass(frozen=True, eq=False)
class PooledFits:
    """What was found of groups with one noise."""

    finished: FinishedFits
    """Of the groups, with their own params alone."""
    pooled: Pooled
    theta: Floats
    """(groups, params)"""
    intervals: SharedIntervals | None
    diagnostics: list[Diagnostic]
    """Of the whole."""


@np.errstate(all="ignore")
def finished_pooled(
    task: Task, ends: Ends, guessed: tuple[str, ...], level: float, method: Method,
    *, is_scaled: bool,
) -> PooledFits:  # fmt: skip
    """The input of the checks of groups that have ended or were stopped, and the diagnostics of the
    whole."""
    double = task.double()
    known = torch.isfinite(ends.theta).all(dim=1, keepdim=True)
    best = torch.isfinite(ends.best).all(dim=1, keepdim=True)
    tensor = torch.where(known, ends.theta, torch.where(best, ends.best, ends.initial))
    theta: Floats = tensor.double().numpy()
    pooled = pool(double, theta)
    intervals = shared_intervals(double, theta, pooled, level, method)
    free = tuple(i in set(task.local_places.tolist()) for i in range(len(task.problem.params)))
    problem = replace(double.problem, free=free)
    figures = summarise_fits(problem, double.fits, tensor.double())
    covariance = pooled.local_covariance[:, :, : len(pooled.local)]
    figures = replace(
        figures, stderr=pooled.local_stderr, covariance=covariance, lost=pooled.local_lost
    )
    own = replace(double, problem=problem)
    finished = finished_fits(own, ends, tensor.double(), figures, guessed)
    flat = bool(np.isnan(figures.r_squared).all())
    found = _Whole(task, ends, theta, pooled, intervals, flat, is_scaled).diagnostics()
    return PooledFits(finished, pooled, theta, intervals, found)


@dataclass(frozen=True, eq=False)
class _Whole:
    """What the diagnostics of the whole are made of."""

    task: Task
    ends: Ends
    theta: Floats
    pooled: Pooled
    intervals: SharedIntervals | None
    is_flat: bool
    """Whether the target is constant in every group."""
    is_scaled: bool

    def diagnostics(self) -> list[Diagnostic]:
        found = [
            self._better(), self._unfinished(), self._lost(), self._open(), self._nonlinear(),
            self._few(), self._bound(), self._unexplained(), self._overdispersed(),
        ]  # fmt: skip
        return [each for each in found if each is not None]

    def _named(self, mask: Bools) -> tuple[str, ...]:
        return tuple(n for n, on in zip(self.pooled.shared, mask.tolist(), strict=True) if on)

    def _values(self, theta: Floats) -> dict[str, float]:
        values = theta[0, self.task.shared_places].tolist()
        return dict(zip(self.pooled.shared, values, strict=True))

    def _better(self) -> Diagnostic | None:
        if self.intervals is None or self.intervals.better is None:
            return None
        values = self._values(self.intervals.better)
        shown = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
        return _diagnostic(
            BETTER_MINIMUM, "error",
            f"the loss of all groups is lower elsewhere, near {shown}: this is not the minimum.",
            self.pooled.shared, None if self.is_scaled else {"params": values},
        )  # fmt: skip

    def _unfinished(self) -> Diagnostic | None:
        if not self.task.shared:
            return None
        short = [reason for reason in self.ends.reasons if reason in ("max_epochs", "stalled")]
        if not short:
            return None
        epochs = self.task.options.epochs
        cure = {"epochs": 10 * epochs} if short[0] == "max_epochs" else None
        return _diagnostic(
            NOT_CONVERGED, "error" if self.pooled.offset > FAR else "warning",
            f"the fit of all groups ended before its minimum ({short[0]}, {len(short):,} groups "
            f"not at rest, about {self.pooled.offset:.2g} times their uncertainty away from it).",
            (), cure,
        )  # fmt: skip

    def _lost(self) -> Diagnostic | None:
        names = self._named(self.pooled.lost)
        if not names:
            return None
        fixed = {names[-1]: {"value": self._values(self.theta)[names[-1]], "fixed": True}}
        return _diagnostic(
            RANK_DEFICIENT, "error",
            f"no group determines the shared {', '.join(names)} (the Jacobian is rank deficient): "
            "other values fit equally well. Fix it, or simplify the model.",
            names, None if self.is_scaled else {"params": fixed},
        )  # fmt: skip

    def _open(self) -> Diagnostic | None:
        if self.intervals is None or not self.intervals.open.any():
            return None
        names = self._named(self.intervals.open)
        return _diagnostic(
            UNDETERMINED, "error",
            f"the groups do not determine the shared {', '.join(names)}: its profile likelihood "
            "sets no limit on one side at this confidence level (NaN in the interval), so the "
            "standard error is meaningless.", names,
        )  # fmt: skip

    def _nonlinear(self) -> Diagnostic | None:
        if self.intervals is None or not self.intervals.nonlinear.any():
            return None
        names = self._named(self.intervals.nonlinear)
        return _diagnostic(
            NONLINEAR_INTERVAL, "info",
            f"the loss is not quadratic in the shared {', '.join(names)} within the confidence "
            "interval, which is therefore by profile likelihood, unless that was too expensive.",
            names,
        )  # fmt: skip

    def _few(self) -> Diagnostic | None:
        degrees = self.pooled.degrees_of_freedom
        if degrees > 2 or not self.task.problem.loss.is_least_squares or not self.pooled.n:
            return None
        left = "no degrees" if degrees <= 0 else f"only {degrees} degree{'s' * (degrees > 1)}"
        return _diagnostic(
            FEW_DEGREES_OF_FREEDOM, "error" if degrees < 0 else "warning",
            f"over all groups {left} of freedom are left to estimate the noise "
            f"({self.pooled.n} rows, {self.pooled.count} params), so the standard errors are "
            f"{'unknown' if degrees <= 0 else 'very uncertain'}.",
        )  # fmt: skip

    def _unexplained(self) -> Diagnostic | None:
        """The curves explain no more of the variation over all rows than chance would, or the
        target does not vary, where the formula is nonlinear in the shared params."""
        pooled, problem, places = self.pooled, self.task.problem, self.task.shared_places
        degrees = pooled.degrees_of_freedom
        curved = not problem.is_linear and problem.loss.is_least_squares and len(places)
        if not curved or degrees < 3 or not problem.formula.has_standard_errors:
            return None
        if math.isnan(pooled.r_squared) or (self.is_flat and pooled.local):
            bare = not bool(problem.target.any())
            return _diagnostic(
                UNEXPLAINED, "error" if bare else "warning",
                f"the target is {'0' if bare else 'constant in every group'}: nothing in it "
                f"determines the shared {', '.join(pooled.shared)}, whatever the standard errors. "
                "Use data that vary, or a simpler model.", pooled.shared,
            )  # fmt: skip
        if not is_chance(pooled.r_squared, degrees, pooled.count):
            return None
        return _diagnostic(
            UNEXPLAINED, "error",
            "the curves explain no more of the variation over all groups than chance would "
            f"(R² = {pooled.r_squared:.2g}). Use initial values nearer the solution, or another "
            "model.", pooled.shared,
        )  # fmt: skip

    def _overdispersed(self) -> Diagnostic | None:
        pooled, problem = self.pooled, self.task.problem
        degrees = pooled.degrees_of_freedom
        if not is_overdispersed(problem, pooled.deviance, pooled.total, degrees):
            return None
        message = text(pooled.deviance, pooled.total, degrees)
        return _diagnostic(OVERDISPERSED, "warning", message, (), patch(problem))

    def _bound(self) -> Diagnostic | None:
        places, limits = self.task.shared_places, self.task.problem.limits.numpy()
        values = self.theta[0, places]
        names = self._named((values == limits[0, places]) | (values == limits[1, places]))
        if not names:
            return None
        return _diagnostic(
            AT_BOUND, "warning",
            f"the shared {', '.join(names)} ended at a bound: the loss is lower beyond it. Its "
            "standard error does not take the bound into account.", names,
            {"params": {name: {"min": None, "max": None} for name in names}},
        )  # fmt: skip


def _diagnostic(
    check: Check, severity: Severity, message: str, params: tuple[str, ...] = (),
    suggestion: dict[str, Any] | None = None,
) -> Diagnostic:  # fmt: skip
    return Diagnostic(check.code, severity, message, params, suggestion)

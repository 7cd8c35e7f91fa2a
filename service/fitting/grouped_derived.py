"""What an answer derives from the fits of groups: covariances, tied params, reports."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from service.engine.diagnostics import FinishedFits
from service.engine.diagnostics.pooled import PooledFits
from service.engine.formula import Formula
from service.engine.inference.covariance import covariances
from service.engine.inference.reports import Estimates, Quantity, Spread
from service.engine.kernel.types import Bools, Floats
from service.fitting import reports
from service.fitting.contrasts import relative
from service.fitting.drawn import NO_REPLICATES, Replicates
from service.fitting.plan import Plan
from service.fitting.reports import Asked
from service.schemas.grouped import GroupedReport

NO_COVARIANCE = "this group has no covariance; see its diagnostics"


@dataclass(frozen=True, eq=False)
class DerivedOfGroups:
    """Columns with one row per group; NaN where a value does not exist."""

    covariance: Floats
    """Of the kind that was asked for, (groups, local, local + shared): local are the free params
    that are not shared."""
    stderr: Floats
    """(groups, local + tied)"""
    tied: Floats
    """The tied params, (groups, tied)."""
    report: dict[str, GroupedReport] | None


def derive(
    plan: Plan, finished: FinishedFits, failed: Bools, replicates: Replicates | None = None
) -> DerivedOfGroups:
    """The derived columns of groups, of which some `failed`."""
    problem, figures = finished.problem, finished.statistics
    formula, q, many = problem.formula, len(problem.places), len(finished.fits)
    if not isinstance(formula, Formula):
        nothing = np.full((many, q, q), np.nan)
        return DerivedOfGroups(nothing, nothing[:, :, 0], np.empty((many, 0)), None)
    theta = torch.from_numpy(finished.theta).double()
    kind = plan.request.covariance
    covariance = covariances(problem, finished.fits, theta, figures, kind)
    stderr = figures.stderr
    if kind != "expected":
        stderr = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    tied = np.empty((many, 0))
    point, held = reports.here(problem, theta), figures.held.reshape(many, q)
    spread = _spread(plan, finished, covariance, held)
    if formula.tied is not None:
        tied = formula.tied.read(torch.from_numpy(finished.params))[0]
        own = Asked(tuple(Quantity(name, name) for name in formula.tied.names))
        found = reports.estimates(problem, own, point, replace(spread, held=held & False))[0]
        stderr = np.concatenate([stderr, found.stderr], axis=1)
    if not plan.report:
        return DerivedOfGroups(covariance, stderr, tied, None)
    made = reports.reported(problem, finished.fits, plan.report, point, spread, figures)
    for m, each in enumerate(plan.report.quantities):
        if each.method == "bootstrap" and replicates is None:
            made.clear(slice(None), m, NO_REPLICATES)
    if replicates is not None:
        replicates.report(made, plan.report)
    return DerivedOfGroups(covariance, stderr, tied, _columns_of(plan, made, failed))


def _columns_of(plan: Plan, made: Estimates, failed: Bools) -> dict[str, GroupedReport]:
    """The quantities as columns, without those of the groups that `failed`."""
    made.value[failed] = np.nan
    for m in range(len(plan.report.quantities)):
        made.clear(failed, m, "the fit of this group failed")
    return reports.to_columns(plan.report, made, plan.request.confidence_interval.level)


def derive_pooled(plan: Plan, found: PooledFits, failed: Bools) -> DerivedOfGroups:
    """The derived columns of groups with one noise, of which some `failed`: by the covariance of
    each group's own params and the shared ones."""
    problem, pooled, finished = plan.task.double().problem, found.pooled, found.finished
    formula, figures, many = problem.formula, finished.statistics, len(finished.fits)
    assert isinstance(formula, Formula)
    level, at = plan.request.confidence_interval.level, found.theta[:, problem.places]
    lower, upper = problem.limits.numpy()[:, problem.places]
    held = (at <= lower) | (at >= upper)
    spread = Spread(
        _joint(plan, found), np.full(many, pooled.t(level)),
        [pooled.reason or NO_COVARIANCE] * many, held, problem.free_params,
    )  # fmt: skip
    stderr, tied = pooled.local_stderr, np.empty((many, 0))
    point = reports.here(problem, torch.from_numpy(found.theta))
    if formula.tied is not None:
        tied = formula.tied.read(torch.from_numpy(finished.params))[0]
        own = Asked(tuple(Quantity(name, name) for name in formula.tied.names))
        each = reports.estimates(problem, own, point, replace(spread, held=held & False))[0]
        stderr = np.concatenate([stderr, each.stderr], axis=1)
    report: dict[str, GroupedReport] = {}
    if plan.report:
        made = reports.reported(problem, finished.fits, plan.report, point, spread, figures)
        report = _columns_of(plan, made, failed)
    assert plan.groups is not None
    order = [*plan.task.local_places.tolist(), *plan.task.shared_places.tolist()]
    report |= relative(
        plan.task.double(), plan.request, formula, plan.report, plan.groups, found, order, failed
    )
    return DerivedOfGroups(pooled.local_covariance, stderr, tied, report or None)


def _joint(plan: Plan, found: PooledFits) -> Floats:
    """The covariance of each group's own params and the shared ones in the order of the free
    params, (groups, free, free)."""
    task, pooled, q = plan.task, found.pooled, len(found.pooled.local)
    own, many = pooled.local_covariance, len(pooled.local_covariance)
    shared = np.broadcast_to(pooled.covariance, (many, *pooled.covariance.shape))
    below = np.concatenate([own[:, :, q:].transpose(0, 2, 1), shared], axis=2)
    joint = np.concatenate([own, below], axis=1)
    order = np.argsort(np.concatenate([task.local_places, task.shared_places]))
    return joint[:, order][:, :, order]


def _spread(plan: Plan, finished: FinishedFits, covariance: Floats, held: Bools) -> Spread:
    level = plan.request.confidence_interval.level
    degrees = finished.statistics.degrees_of_freedom
    if finished.problem.sigma_absolute:
        degrees = np.full(len(degrees), np.inf)
    kinds, of = np.unique(degrees, return_inverse=True)
    t = np.array([reports.quantiles(level, kind) for kind in kinds.tolist()])[of.reshape(-1)]
    reasons = [NO_COVARIANCE] * len(degrees)
    return Spread(covariance, t, reasons, held, finished.problem.free_params)

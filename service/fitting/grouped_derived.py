"""What an answer derives from the fits of groups: covariances, tied params, reports."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from service.engine.diagnostics import Findings
from service.engine.formula import Formula
from service.engine.inference.covariance import covariances
from service.engine.inference.reports import Quantity, Spread
from service.engine.kernel.types import Bools, Floats
from service.fitting import reports
from service.fitting.plan import Plan
from service.fitting.reports import Asked
from service.schemas import answers as wire

NO_COVARIANCE = "this group has no covariance; see its diagnostics"


@dataclass(frozen=True, eq=False)
class DerivedOfGroups:
    """Columns with one row per group; NaN where a value does not exist."""

    covariance: Floats
    """Of the kind that was asked for, (groups, free, free)."""
    stderr: Floats
    """(groups, free + tied)"""
    tied: Floats
    """The tied params, (groups, tied)."""
    report: dict[str, wire.GroupedReport] | None


def derive(plan: Plan, findings: Findings, failed: Bools) -> DerivedOfGroups:
    """The derived columns of groups, of which some `failed`."""
    problem, figures = findings.problem, findings.statistics
    formula, q, many = problem.formula, len(problem.places), len(findings.fits)
    if not isinstance(formula, Formula):
        nothing = np.full((many, q, q), np.nan)
        return DerivedOfGroups(nothing, nothing[:, :, 0], np.empty((many, 0)), None)
    theta = torch.from_numpy(findings.theta).double()
    kind = plan.request.covariance
    covariance = covariances(problem, findings.fits, theta, figures, kind)
    stderr = figures.stderr
    if kind != "expected":
        stderr = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    tied = np.empty((many, 0))
    point, held = reports.here(problem, theta), figures.held.reshape(many, q)
    spread = _spread(plan, findings, covariance, held)
    if formula.tied is not None:
        tied = formula.tied.read(torch.from_numpy(findings.params))[0]
        own = Asked(tuple(Quantity(name, name) for name in formula.tied.names))
        found = reports.estimates(problem, own, point, replace(spread, held=held & False))[0]
        stderr = np.concatenate([stderr, found.stderr], axis=1)
    if not plan.report:
        return DerivedOfGroups(covariance, stderr, tied, None)
    made = reports.reported(problem, findings.fits, plan.report, point, spread, figures)
    made.value[failed] = np.nan
    for m in range(len(plan.report.quantities)):
        made.clear(failed, m, "the fit of this group failed")
    level = plan.request.confidence_interval.level
    return DerivedOfGroups(covariance, stderr, tied, reports.to_columns(plan.report, made, level))


def _spread(plan: Plan, findings: Findings, covariance: Floats, held: Bools) -> Spread:
    level = plan.request.confidence_interval.level
    degrees = findings.statistics.degrees_of_freedom
    if findings.problem.sigma_absolute:
        degrees = np.full(len(degrees), np.inf)
    kinds, of = np.unique(degrees, return_inverse=True)
    t = np.array([reports.quantiles(level, kind) for kind in kinds.tolist()])[of.reshape(-1)]
    reasons = [NO_COVARIANCE] * len(degrees)
    return Spread(covariance, t, reasons, held, findings.problem.free_params)

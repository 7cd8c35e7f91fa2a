"""Outliers on request: what a test for them needs, and what it has found, as an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from service.engine.inference.statistics import summarise, summarise_fits
from service.engine.kernel.types import Ints
from service.engine.outlier_run import without_rows
from service.engine.result import GroupedResult, Outlying, Result
from service.fitting.derived import named
from service.fitting.plan import Plan
from service.schemas import noise_answers as wire

SHOWN = 1000
"""The most outliers that are named, of a fit or of a group."""
Of = Literal["without_outliers", "all_rows"]


def with_outliers(plan: Plan, found: Outlying | None) -> Plan:
    """The plan of what an answer shows: without the outliers where they are dropped."""
    if found is None or not found.dropped or not found.mask.any():
        return plan
    return replace(plan, task=without_rows(plan.task, found.mask))


def outliers_of(plan: Plan, found: Outlying | None) -> wire.FoundOutliers | None:
    """The outliers of a fit with that plan, which has all rows."""
    asked = plan.request.outliers
    if found is None or asked is None:
        return None
    rows, other = _named(plan, np.flatnonzero(found.mask)), None
    if len(rows):
        assert isinstance(found.other, Result)
        task = plan.task if found.dropped else without_rows(plan.task, found.mask)
        theta = found.other.params
        statistics = summarise(task.problem, theta)
        stderr = statistics.stderr
        other = wire.OtherFit(
            of=_of(found),
            n=task.problem.rows,
            params=named(task.problem.params, theta),
            stderr=None if stderr is None else named(statistics.free, stderr),
            residual_std=statistics.residual_std,
        )
    return wire.FoundOutliers(
        method=asked.method, q=asked.q, action=asked.action, count=len(rows),
        rows=rows[:SHOWN].tolist(), scale=float(found.scale[0]), other=other,
    )  # fmt: skip


def outliers_of_groups(plan: Plan, found: Outlying | None) -> wire.GroupedOutliers | None:
    """The outliers of the fits of groups with that plan, which has all rows."""
    asked = plan.request.outliers
    if found is None or asked is None:
        return None
    spans = plan.task.fits.spans.T.tolist()
    rows = [
        np.sort(_named(plan, begin + np.flatnonzero(found.mask[begin:end]))) for begin, end in spans
    ]
    return wire.GroupedOutliers(
        method=asked.method, q=asked.q, action=asked.action,
        count=[len(each) for each in rows],
        rows=[each[:SHOWN].tolist() for each in rows],
        scale=found.scale.tolist(),
        other=_other_of_groups(plan, found) if found.mask.any() else None,
    )  # fmt: skip


def _other_of_groups(plan: Plan, found: Outlying) -> wire.OtherFits:
    task = (plan.task if found.dropped else without_rows(plan.task, found.mask)).double()
    assert isinstance(found.other, GroupedResult)
    theta = found.other.ends.theta
    figures = summarise_fits(task.problem, task.fits, theta)
    stderr = figures.stderr
    return wire.OtherFits(
        of=_of(found),
        n=task.fits.sizes.tolist(),
        params={name: theta[:, i].tolist() for i, name in enumerate(task.problem.params)},
        stderr={name: stderr[:, i].tolist() for i, name in enumerate(task.problem.free_params)},
        residual_std=np.asarray(figures.residual_std).tolist(),
    )


def _of(found: Outlying) -> Of:
    return "all_rows" if found.dropped else "without_outliers"


def _named(plan: Plan, rows: Ints) -> Ints:
    """The numbers of rows of the problem in the data as they were sent, counted from 1."""
    where = rows
    if plan.groups is not None:
        where = np.argsort(plan.groups.codes, kind="stable")[where]
    if plan.dropped:
        gone = np.array(plan.dropped)
        kept = np.setdiff1d(np.arange(len(gone) + plan.task.problem.rows), gone)
        where = kept[where]
    asked = plan.request.rows
    if asked is not None:
        where = asked.kept[where]
    numbered: Ints = np.asarray(where, dtype=np.int64) + 1
    return numbered

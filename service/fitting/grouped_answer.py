"""Converts the fits of groups to the response body: columns with one row per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.engine.diagnostics import ERROR, FinishedFits, severities
from service.engine.diagnostics.finished import SEVERITIES, VERDICTS, WARNING, Severities
from service.engine.diagnostics.many import finished_groups
from service.engine.diagnostics.pooled import CHECKS as POOLED_CHECKS
from service.engine.diagnostics.pooled import PooledFits, finished_pooled
from service.engine.diagnostics.spread import NON_CONSTANT_SPREAD
from service.engine.inference.intervals import Method
from service.engine.inference.statistics import Figures
from service.engine.kernel.types import Floats
from service.engine.problem import Task
from service.engine.resampling.run import Resampled
from service.engine.result import GroupedResult, Rows
from service.fitting.answer import dropped, to_model, units_of
from service.fitting.drawn import Replicates, replicates_of
from service.fitting.group_columns import Columns
from service.fitting.grouped_derived import derive, derive_pooled
from service.fitting.noise_answer import grouped_curve_noise, noise_of_groups
from service.fitting.outliers import outliers_of_groups, with_outliers
from service.fitting.plan import Plan
from service.fitting.pooled_answer import (
    pooled_statistics,
    shared_params,
    whole_diagnostics,
)
from service.fitting.predict_body import input_range, model_again, scales
from service.fitting.prior_answer import prior_of_groups
from service.fitting.row_filter import rows_used
from service.fitting.statistics_answer import kind_of
from service.fitting.ties import texts_of
from service.schemas import answers as wire
from service.schemas.grouped import (
    GroupedFit,
    GroupedInterval,
    GroupedLikelihood,
    GroupedPredictBody,
    Groups,
)
from service.schemas.names import Status, StopReason
from service.schemas.noise_answers import GroupedOutliers

Names = Sequence[str]
Bytes = npt.NDArray[np.int8]


def to_grouped_fit(
    plan: Plan, result: GroupedResult, *, job_id: str, timings: wire.Timings,
    resampled: Resampled | None = None,
) -> GroupedFit:  # fmt: skip
    """The response body of the fits of groups; `resampled` has what followed them."""
    found_outliers = outliers_of_groups(plan, result.outlying)
    plan = with_outliers(plan.with_noise(result.noise), result.outlying)
    task, groups = plan.task, plan.groups
    assert task.groups is not None
    assert groups is not None
    problem = task.problem
    stopped = result.stop_reason or "cancelled"
    columns = Columns.of(len(groups.keys), task, stopped)
    columns.n[:] = task.groups.sizes.numpy()
    asked = plan.request.confidence_interval
    method: Method = "profile" if asked.method == "profile" else "t"
    guessed, pooled, replicates = plan.guessed, None, replicates_of(plan, resampled)
    after = None if resampled is None else resampled.stopped
    with np.errstate(all="ignore"):
        if task.shared is None:
            finished = finished_groups(task, result.ends, guessed, asked.level, method)
            finished = replace(finished, noise=result.noise)
            if (outlying := result.outlying) is not None:
                kept = [outlying.kept(*span) for span in task.fits.spans.T.tolist()]
                finished = replace(finished, outliers=np.array(kept))
            found = severities(finished)
            if plan.request.covariance == "sandwich":
                found.pop(NON_CONSTANT_SPREAD.code, None)
            _add(columns, finished, found, plan, pooled, replicates)
        else:
            pooled = finished_pooled(
                task, result.ends, guessed, asked.level, method, is_scaled=bool(plan.scaling)
            )
            found = severities(pooled.finished, POOLED_CHECKS)
            _add(columns, pooled.finished, found, plan, pooled)
            columns.residual_std[:] = np.nan
    _clear_unstarted(columns, result)
    for group, each in enumerate(result.ends.reasons):
        columns.reasons[group] = each or stopped
    for group, rows in enumerate(result.history or ()):
        columns.history[group] = _history(task, rows)
    reason = after or _reason(columns.reasons, result.stop_reason)
    status: Status = "cancelled" if reason == "cancelled" else "succeeded"
    converged = all(each == "converged" for each in columns.reasons)
    whole = whole_diagnostics(pooled)
    for diagnostic in whole:
        columns.concern_all(diagnostic)
    worst = int(columns.worst.max(initial=0))
    return GroupedFit.model_construct(
        job_id=job_id,
        status=status,
        stop_reason=reason,
        converged=converged,
        model=to_model(problem),
        optimizer=task.options.optimizer,
        epochs=int(columns.epochs.max(initial=0)),
        groups=_groups(columns, plan, pooled, replicates, found_outliers),
        shared=shared_params(plan, pooled),
        statistics=pooled_statistics(plan, pooled, columns.loss),
        diagnostics=[*whole, *_diagnostics(columns, len(groups.keys))],
        verdict=VERDICTS[worst],
        trustworthy=worst < WARNING,
        dropped=dropped(plan),
        rows=rows_used(plan.request),
        units=units_of(plan),
        reading=plan.request.reading,
        predict=GroupedPredictBody(
            model=model_again(problem),
            scaling=scales(plan),
            dtype=plan.request.dtype,
            has_residual_std=problem.sigma is None and problem.loss.likelihood is None,
            noise=grouped_curve_noise(plan),
            is_normal=problem.sigma_absolute,
            input_range=input_range(plan),
            units=dict(plan.request.units),
        ),
        timings=timings,
        urls=wire.FitUrls(
            self=f"/jobs/{job_id}",
            history=f"/jobs/{job_id}/history",
            events=f"/jobs/{job_id}/events",
            cancel=f"/jobs/{job_id}/cancel",
            plot=f"/jobs/{job_id}/plot/fit.svg",
        ),
    )


def _add(
    columns: Columns, finished: FinishedFits, found: Mapping[str, Severities], plan: Plan,
    pooled: PooledFits | None, replicates: Replicates | None = None,
) -> None:  # fmt: skip
    _fill(columns, finished, plan, pooled, replicates)
    worst = np.zeros(len(columns.codes), dtype=np.int8)
    for code, severity in found.items():
        worst = np.maximum(worst, severity)
        for i in np.flatnonzero(severity).tolist():
            columns.add(i, code, SEVERITIES[int(severity[i]) - 1])
    columns.worst[:] = worst


def _clear_unstarted(columns: Columns, result: GroupedResult) -> None:
    """Clears the rows of groups that were not started before the fit was stopped."""
    for group in np.flatnonzero(result.ends.epochs.numpy() == 0).tolist():
        columns.codes[group] = []
        columns.worst[group], columns.failed[group] = ERROR, 1.0
        for column in (columns.loss, columns.r_squared, columns.residual_std):
            column[group] = np.nan
        columns.params[group] = columns.stderr[group] = columns.interval[:, group] = np.nan
        columns.covariance[group] = np.nan
        columns.counts[:, group] = np.nan


def _fill(
    columns: Columns, finished: FinishedFits, plan: Plan, pooled: PooledFits | None,
    replicates: Replicates | None,
) -> None:  # fmt: skip
    statistics: Figures = finished.statistics
    columns.epochs[:] = finished.epochs
    columns.loss[:] = finished.loss
    columns.r_squared[:] = np.nan if plan.task.problem.sigma_x else statistics.r_squared
    columns.residual_std[:] = statistics.residual_std
    if plan.request.likelihood is not None:
        columns.residual_std[:] = np.nan
        columns.counts[0], columns.counts[1] = statistics.deviance, statistics.total
        columns.counts[2], columns.counts[3] = statistics.variance, statistics.log_likelihood
    columns.failed[:] = failed = ~np.isfinite(finished.loss)
    if pooled is None:
        derived = derive(plan, finished, failed, replicates)
    else:
        derived = derive_pooled(plan, pooled, failed)
    columns.params[:] = np.concatenate([finished.params, derived.tied], axis=1)
    columns.stderr[:], columns.covariance[:] = derived.stderr, derived.covariance
    columns.report = derived.report
    if pooled is None:
        columns.prior = prior_of_groups(plan.task.problem, finished.theta, statistics, failed)
    if finished.intervals is not None:
        columns.interval[:] = finished.intervals.lower, finished.intervals.upper
    for column in (columns.r_squared, columns.residual_std, columns.params, columns.stderr):
        column[failed] = np.nan
    columns.covariance[failed] = np.nan
    columns.counts[:, failed] = np.nan
    columns.interval[:, failed] = np.nan


def _history(task: Task, rows: Rows) -> wire.History:
    every, epoch = task.options.record_every, rows.epoch
    keep = (epoch % every == 0) | (epoch == 1)
    if len(epoch):
        keep[-1] = True
    names = task.problem.params
    return wire.History(
        epoch=epoch[keep].tolist(),
        loss=rows.loss[keep].tolist(),
        params={name: rows.params[keep, i].tolist() for i, name in enumerate(names)},
        gradient={name: rows.gradient[keep, i].tolist() for i, name in enumerate(names)},
        total=int(epoch[-1]) if len(epoch) else 0,
        thinned=False,
    )


def _reason(reasons: Sequence[StopReason], stopped: StopReason | None) -> StopReason:
    """The stop reason of the whole fit: `stopped`, else that of the first group that has not
    converged."""
    if stopped is not None:
        return stopped
    return next((each for each in reasons if each != "converged"), "converged")


def _groups(
    columns: Columns,
    plan: Plan,
    pooled: PooledFits | None,
    replicates: Replicates | None,
    outliers: GroupedOutliers | None,
) -> Groups:
    task, groups, asked = plan.task, plan.groups, plan.request.group_by
    assert groups is not None
    assert asked is not None
    params, shared = task.problem.params, task.shared or ()
    free = [params[i] for i in task.local_places]
    joint = [*free, *(params[i] for i in task.shared_places)]
    tied = tuple(texts_of(task.problem.formula))
    own = [(i, name) for i, name in enumerate((*params, *tied)) if i not in shared]
    failed = columns.failed.astype(bool).tolist()
    return Groups.model_construct(
        **groups.written(),
        n=columns.n.astype(np.int64).tolist(),
        status=["failed" if bad else "succeeded" for bad in failed],
        stop_reason=columns.reasons,
        epochs=columns.epochs.astype(np.int64).tolist(),
        verdict=[VERDICTS[severity] for severity in columns.worst.tolist()],
        trustworthy=(columns.worst < WARNING).tolist(),
        loss=columns.loss.tolist(),
        r_squared=_or_null(columns.r_squared),
        residual_std=_or_null(columns.residual_std),
        likelihood=_likelihood(columns, plan),
        params={name: columns.params[:, i].tolist() for i, name in own},
        stderr={name: columns.stderr[:, i].tolist() for i, name in enumerate((*free, *tied))},
        confidence_interval=None if pooled is not None else _interval(columns, plan, replicates),
        covariance_kind=kind_of(plan),
        covariance=_covariance(columns, free, joint) if asked.returns_covariance else None,
        noise=noise_of_groups(plan),
        outliers=outliers,
        prior=columns.prior,
        report=columns.report,
        diagnostics=columns.codes,
        history=[each or wire.History.nothing(params) for each in columns.history]
        if asked.history
        else None,
    )


def _likelihood(columns: Columns, plan: Plan) -> GroupedLikelihood | None:
    asked = plan.request.likelihood
    if asked is None:
        return None
    deviance, pearson, dispersion, logs = columns.counts
    return GroupedLikelihood.model_construct(
        name=asked.name,
        deviance=deviance.tolist(),
        pearson=pearson.tolist(),
        dispersion=_or_null(dispersion),
        log_likelihood=_or_null(logs),
        overdispersion=asked.overdispersion,
    )


def _interval(
    columns: Columns, plan: Plan, replicates: Replicates | None
) -> GroupedInterval | None:
    asked = plan.request.confidence_interval
    if replicates is not None:
        return replicates.grouped_interval()
    if asked.method != "profile":
        return None
    lower, upper = (
        {name: ends[:, i].tolist() for i, name in enumerate(plan.task.problem.free_params)}
        for ends in columns.interval
    )
    return GroupedInterval.model_construct(
        level=asked.level, method=asked.method, lower=lower, upper=upper
    )


def _covariance(columns: Columns, free: Names, joint: Names) -> dict[str, dict[str, list[float]]]:
    return {
        a: {b: columns.covariance[:, i, j].tolist() for j, b in enumerate(joint) if i <= j}
        for i, a in enumerate(free)
    }


def _or_null(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _diagnostics(columns: Columns, groups: int) -> list[wire.Diagnostic]:
    """One diagnostic per code: the number of groups that have it, and the worst severity."""
    diagnostics = []
    for code, counts in columns.seen.items():
        worst = max(counts, key=SEVERITIES.index)
        count = counts.total()
        where = "every group" if count == groups else f"{count:,} of {groups:,} groups"
        diagnostics.append(
            wire.Diagnostic(
                code=code,
                severity=worst,
                message=f"in {where}; see their rows, and GET /diagnostics/{code}.",
            )
        )
    return diagnostics

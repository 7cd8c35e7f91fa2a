"""The fits of groups -> the answer: columns, one row a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.diagnostics import ERROR, Finding, Findings, examine, grades
from service.engine.diagnostics.finding import SEVERITIES
from service.engine.group_result import GroupEnds
from service.engine.group_run import GroupedResult
from service.engine.group_summary import look_at
from service.engine.groups import GroupedTask
from service.engine.reduction import Floats
from service.engine.result import Result, Rows
from service.engine.statistics import Figures, summarise
from service.schemas import answers as wire
from service.schemas.names import Severity, Status, StopReason
from service.translate.answer import dropped, is_cut_short, model_again, scales, to_model
from service.translate.groups import Groups
from service.translate.plan import Plan

Names = Sequence[str]


@dataclass(eq=False)
class _Columns:
    """The answer's columns, filled a batch at a time."""

    n: Floats
    epochs: Floats
    loss: Floats
    r_squared: Floats
    residual_std: Floats
    params: Floats
    """(groups, params)"""
    stderr: Floats
    """(groups, free)"""
    failed: Floats
    untrusted: Floats
    reasons: list[StopReason]
    codes: list[list[str]]
    history: list[wire.History | None]
    seen: dict[str, Counter[Severity]] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: int, params: int, free: int, stopped: StopReason) -> _Columns:
        """Of groups that were not begun, because it was stopped before."""

        def nothing() -> Floats:
            return np.full(groups, np.nan)

        return cls(
            np.zeros(groups), np.zeros(groups), nothing(), nothing(), nothing(),
            np.full((groups, params), np.nan), np.full((groups, free), np.nan),
            np.ones(groups), np.ones(groups), [stopped] * groups, [[] for _ in range(groups)],
            [None] * groups,
        )  # fmt: skip

    def say(self, group: int, code: str, severity: Severity) -> None:
        """A diagnostic of one group."""
        self.codes[group].append(code)
        self.seen.setdefault(code, Counter())[severity] += 1


def to_grouped_fit(
    plan: Plan, result: GroupedResult, *, job_id: str, timings: wire.Timings
) -> wire.GroupedFit:
    """The document of many fits."""
    task, groups = plan.grouped, plan.groups
    assert task is not None
    assert groups is not None
    problem = task.problem
    stopped = result.stop_reason or "cancelled"
    columns = _Columns.of(task.count, len(problem.params), len(problem.free_params), stopped)
    columns.n[:] = task.sizes.cpu().numpy()
    for ends in result.batches:
        _add_batch(columns, task, ends, plan.guessed, stopped)
    for group, (single, rows) in result.singles.items():
        _add_single(columns, task, group, single, rows, plan.guessed)
    reason = _reason(columns.reasons, result.stop_reason)
    status: Status = "cancelled" if reason == "cancelled" else "succeeded"
    converged = all(each == "converged" for each in columns.reasons)
    return wire.GroupedFit.model_construct(
        job_id=job_id,
        status=status,
        stop_reason=reason,
        converged=converged,
        model=to_model(problem),
        optimizer=task.options.optimizer,
        epochs=int(columns.epochs.max(initial=0)),
        groups=_groups(columns, groups, problem.params, problem.free_params, task.history),
        diagnostics=_told(columns, task.count),
        trustworthy=not bool(columns.untrusted.any()),
        dropped=dropped(plan),
        predict=wire.GroupedPredictBody(
            model=model_again(problem), scaling=scales(plan), dtype=plan.request.dtype
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


def _add_batch(
    columns: _Columns,
    task: GroupedTask,
    ends: GroupEnds,
    guessed: tuple[str, ...],
    stopped: StopReason,
) -> None:
    at = ends.at.cpu().numpy()
    with np.errstate(all="ignore"):
        findings = look_at(task, ends, guessed)
        found = grades(findings)
    _fill(columns, at, findings)
    groups = at.tolist()
    worst = np.zeros(len(at), dtype=np.int8)
    for code, grade in found.items():
        worst = np.maximum(worst, grade)
        for i in np.flatnonzero(grade).tolist():
            columns.say(groups[i], code, SEVERITIES[int(grade[i]) - 1])
    columns.untrusted[at] = worst == ERROR
    for group, reason in zip(groups, ends.reasons, strict=True):
        columns.reasons[group] = stopped if reason == "cancelled" else reason
    if ends.history is not None:
        for group, rows in zip(groups, ends.history.rows(), strict=True):
            columns.history[group] = _history(task, rows)


def _fill(columns: _Columns, at: Any, findings: Findings) -> None:
    statistics: Figures = findings.statistics
    stderr = statistics.stderr
    columns.epochs[at] = findings.epochs
    columns.loss[at] = findings.loss
    columns.r_squared[at] = statistics.r_squared
    columns.residual_std[at] = statistics.residual_std
    columns.params[at] = findings.params
    if stderr.shape[-1] == columns.stderr.shape[1]:
        columns.stderr[at] = stderr
    columns.failed[at] = failed = ~np.isfinite(findings.loss)
    for column in (columns.r_squared, columns.residual_std, columns.params, columns.stderr):
        column[at[failed]] = np.nan


def _add_single(
    columns: _Columns,
    task: GroupedTask,
    group: int,
    result: Result,
    rows: Rows,
    guessed: tuple[str, ...],
) -> None:
    alone = task.one(group)
    theta = result.best.params if is_cut_short(result) else result.params
    statistics = summarise(alone.problem, theta)
    finding = Finding(alone, result, theta, statistics, guessed)
    _fill(columns, np.array([group]), finding.all)
    said = examine(finding)
    for diagnostic in said:
        columns.say(group, diagnostic.code, diagnostic.severity)
    columns.untrusted[group] = any(each.severity == "error" for each in said)
    columns.reasons[group] = result.stop_reason
    if task.history:
        columns.history[group] = _history(task, rows)


def _history(task: GroupedTask, rows: Rows) -> wire.History:
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
    """Of the whole: how it was stopped, else what ended the first group that has not converged."""
    if stopped is not None:
        return stopped
    return next((each for each in reasons if each != "converged"), "converged")


def _groups(
    columns: _Columns, groups: Groups, params: Names, free: Names, history: bool
) -> wire.Groups:
    failed = columns.failed.astype(bool).tolist()
    return wire.Groups.model_construct(
        by=groups.by,
        key=list(groups.keys),
        n=columns.n.astype(np.int64).tolist(),
        status=["failed" if bad else "succeeded" for bad in failed],
        stop_reason=columns.reasons,
        epochs=columns.epochs.astype(np.int64).tolist(),
        trustworthy=(columns.untrusted == 0).tolist(),
        loss=columns.loss.tolist(),
        r_squared=_or_null(columns.r_squared),
        residual_std=_or_null(columns.residual_std),
        params={name: columns.params[:, i].tolist() for i, name in enumerate(params)},
        stderr={name: columns.stderr[:, i].tolist() for i, name in enumerate(free)},
        diagnostics=columns.codes,
        history=[each or wire.History.nothing(params) for each in columns.history]
        if history
        else None,
    )


def _or_null(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _told(columns: _Columns, groups: int) -> list[wire.Diagnostic]:
    """Each code once: how many groups it was seen in, and its worst severity there."""
    told = []
    for code, severities in columns.seen.items():
        worst = max(severities, key=SEVERITIES.index)
        count = severities.total()
        whole = "every group" if count == groups else f"{count:,} of {groups:,} groups"
        told.append(
            wire.Diagnostic(
                code=code,
                severity=worst,
                message=f"in {whole}; their rows name it, and docs/diagnostics.md says what to do.",
            )
        )
    return told

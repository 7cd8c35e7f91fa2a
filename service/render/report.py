"""Any answer as a text report for a terminal, within a given width.


Depends on the schemas only: no torch, fastapi or matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from service.render import comparison, report_fit
from service.render.cells import with_unit
from service.render.digits import counted, number
from service.render.page import Page
from service.render.report_certification import write_certification
from service.render.report_fit import Units
from service.render.report_groups import write_groups
from service.render.report_resampling import write_draws
from service.render.report_unknowns import write_unknowns
from service.render.scene import Scene
from service.render.tables import Column, listed
from service.schemas.answers import Fit, History
from service.schemas.base import Answer
from service.schemas.catalogue import (
    DiagnosticEntry,
    DiagnosticList,
    LikelihoodList,
    LossList,
    ModelList,
    OptimizerList,
    OptionEntry,
)
from service.schemas.certification import Certification
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.compute import GradientAnswer, LossAnswer, Predictions
from service.schemas.draws import Draws
from service.schemas.grouped import GroupedFit
from service.schemas.jobs import Job, JobList, Progress
from service.schemas.problems import Problem
from service.schemas.unknowns import Unknowns

_MOST_ROWS = 40


def report(
    answer: Answer,
    *,
    width: int = 80,
    color: bool = False,
    units: Mapping[str, str] | None = None,
    scene: Scene | None = None,
) -> str:
    """The answer as text and small charts, in lines of at most `width` columns (at least 40).


    color: with ANSI escapes, for a terminal. units: of columns and params, by name. scene: the fit
    over its data, where the data are available. Raises TypeError for an answer without a report.
    """
    page = Page(width, color)
    _write(answer, page, units or {}, scene)
    return str(page)


@singledispatch
def _write(answer: Answer, page: Page, units: Units, scene: Scene | None) -> None:
    raise TypeError(f"a {type(answer).__name__} has no report")


_write.register(Fit, lambda fit, page, units, scene: report_fit.write(page, fit, units, scene))
_write.register(GroupedFit, lambda fit, page, units, scene: write_groups(page, fit, units))
_write.register(Unknowns, lambda found, page, units, scene: write_unknowns(page, found))
_write.register(Certification, lambda found, page, units, scene: write_certification(page, found))
_write.register(Comparison, lambda found, page, units, scene: comparison.write(page, found))
_write.register(Draws, lambda found, page, units, scene: write_draws(page, found))
_write.register(
    GroupedComparison, lambda found, page, units, scene: comparison.write_groups(page, found)
)


@_write.register
def _job(job: Job, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(f"{job.job_id} {job.status}")
    if job.result is None:
        page.text(job.model)
        page.text(_progress(job.progress))
        if job.queue_position is not None:
            page.text(f"{counted(job.queue_position, 'job')} before it.")
    if job.tags:
        page.text(", ".join(f"{name}: {value}" for name, value in job.tags.items()))
    if job.error is not None:
        page.space()
        _problem(job.error, page, units, scene)
    if job.result is not None:
        page.space()
        _write(job.result, page, units, scene)


def _progress(progress: Progress) -> str:
    said = f"{progress.unit.capitalize()} {progress.epoch:,} of {progress.epochs:,}"
    if progress.loss is not None:
        said += f", loss {number(progress.loss, 4)}"
    if progress.best_loss is not None:
        said += f", the best {number(progress.best_loss, 4)}"
    if progress.epochs_per_s is not None:
        said += f"; {number(progress.epochs_per_s, 3)} {progress.unit}s/s"
    if progress.eta_s is not None:
        said += f", {number(progress.eta_s, 2)} s to go"
    return said + "."


@_write.register
def _jobs(jobs: JobList, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(counted(len(jobs.jobs), "job"))
    rows = [("job", "status", "epoch", "loss", "model")]
    for job in jobs.jobs:
        loss = number(job.progress.loss, 4)
        rows.append((job.job_id, job.status, f"{job.progress.epoch:,}", loss, job.model))
    page.table(rows, "<<>><", headed=True)
    if jobs.has_more:
        page.text(f"There are more: ?after={jobs.next_after}")


@_write.register
def _predictions(found: Predictions, page: Page, units: Units, scene: Scene | None) -> None:
    band = {"± error": found.stderr, "from": found.lower, "to": found.upper}
    name = with_unit(found.target, {**(found.units or {}), **units})
    columns: dict[str, Column] = {name: found.predictions}
    columns |= {name: column for name, column in band.items() if column is not None}
    page.heading(counted(len(found.predictions), "prediction"))
    _numbers(page, columns)


def _numbers(page: Page, columns: Mapping[str, Column]) -> None:
    """Columns of numbers, of which the first rows are shown."""
    first = [listed(column[:_MOST_ROWS]) for column in columns.values()]
    rows = [[number(value) for value in row] for row in zip(*first, strict=True)]
    page.table([list(columns), *rows], ">" * len(columns), headed=True)
    more = len(next(iter(columns.values()))) - _MOST_ROWS
    if more > 0:
        page.text(f"… and {counted(more, 'row')} more; ?format=csv has them all")


@_write.register
def _loss(found: LossAnswer, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(f"Loss {number(found.loss)}")
    if found.residuals is not None:
        page.heading("Residuals, prediction − target")
        _numbers(page, {"residual": found.residuals})
    if found.surface is not None:
        axes = " × ".join(f"{len(axis):,} of {name}" for name, axis in found.surface.axes.items())
        page.heading("Surface")
        page.text(f"{axes}; ?format=csv has its losses")


@_write.register
def _gradient(found: GradientAnswer, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(f"Gradient of the loss, {found.method}")
    check = found.check
    if check is None:
        page.table([(name, number(v)) for name, v in found.gradient.items()], "<>")
    else:
        rows = [("", "analytic", "autograd", "numeric")]
        for name in found.gradient:
            three = (check.analytic[name], check.autograd[name], check.numeric[name])
            a, b, c = (number(value, 9) for value in three)
            rows.append((name, a, b, c))
        page.table(rows, "<>>>", headed=True)
        verdict = "They agree" if check.agree else "They disagree"
        page.text(f"{verdict}: the largest difference is {number(check.max_difference, 2)}.")
    page.text(f"The loss is {number(found.loss)}.")
    if found.explain is not None:
        page.heading("By the chain rule")
        for line in found.explain.text.splitlines():
            page.text(line)


@_write.register
def _history(rows: History, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(f"{counted(len(rows.epoch), 'row')} of {counted(rows.total, 'epoch')}")
    columns: dict[str, Column] = {"epoch": rows.epoch, "loss": rows.loss, **rows.params}
    _numbers(page, columns)


@_write.register
def _problem(problem: Problem, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(f"{problem.status} {problem.title}")
    errors = problem.errors or []
    if len(errors) != 1 or errors[0].detail != problem.detail:
        page.text(problem.detail)
    for error in errors:
        page.text(f"{error.pointer}: {error.detail}" if error.pointer else error.detail)
    if problem.request_id is not None:
        page.text(f"request {problem.request_id}", colour="dim")


@_write.register
def _models(found: ModelList, page: Page, units: Units, scene: Scene | None) -> None:
    for model in found.models:
        page.heading(model.name)
        page.text(model.formula)
        page.text(model.when_to_use)
        page.table([(param.name, param.meaning, param.unit) for param in model.params], "<<<")


@_write.register
def _losses(found: LossList, page: Page, units: Units, scene: Scene | None) -> None:
    for loss in found.losses:
        page.heading(loss.name)
        page.text(loss.formula)
        page.text(loss.when_to_use)
        _options(page, loss.options)


@_write.register
def _likelihoods(found: LikelihoodList, page: Page, units: Units, scene: Scene | None) -> None:
    for each in found.likelihoods:
        page.heading(each.name)
        page.text(each.formula)
        page.text(f"The variance is {each.variance}.")
        page.text(each.when_to_use)
        _options(page, each.options)


@_write.register
def _optimizers(found: OptimizerList, page: Page, units: Units, scene: Scene | None) -> None:
    for optimizer in found.optimizers:
        page.heading(optimizer.name)
        page.text(optimizer.formula)
        page.text(optimizer.when_to_use)
        _options(page, optimizer.options)
    for schedule in found.schedules:
        page.heading(f"schedule {schedule.name}")
        page.text(schedule.formula)
        page.text(schedule.when_to_use)
        _options(page, schedule.options)


@_write.register
def _diagnostics(found: DiagnosticList, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading("Verdicts")
    page.table([(entry.verdict, entry.when) for entry in found.verdicts], "<<")
    for entry in found.diagnostics:
        _diagnostic(entry, page, units, scene)


@_write.register
def _diagnostic(entry: DiagnosticEntry, page: Page, units: Units, scene: Scene | None) -> None:
    page.heading(entry.code)
    page.text(f"Severity: {entry.severity}.")
    page.text(f"Seen: {entry.seen}.")
    page.text(f"Why it matters: {entry.why_it_matters}.")
    page.text(f"Suggested fix: {entry.cure}.")


def _options(page: Page, options: list[OptionEntry]) -> None:
    for option in options:
        page.text(f"{option.name} ({option.default}): {option.meaning}", indent="    ")

"""Answers in one line for scripts: words of the form name=value, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from service.render import comparison
from service.render.cells import visible
from service.render.digits import joined, number
from service.render.report_fit import summary, verdict
from service.render.report_groups import key_text
from service.render.report_noise import words_of_groups
from service.schemas.answers import Fit, History
from service.schemas.base import Answer
from service.schemas.catalogue import (
    DiagnosticEntry,
    DiagnosticList,
    LikelihoodList,
    LossList,
    ModelList,
    OptimizerList,
)
from service.schemas.certification import Certification
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.compute import GradientAnswer, LossAnswer, Predictions
from service.schemas.draws import Draws
from service.schemas.grouped import GroupedFit, Key, columns_of, values_of
from service.schemas.jobs import Job, JobList
from service.schemas.series import Objects
from service.schemas.unknowns import Unknowns


def oneline(answer: Answer) -> str:
    """One line; for groups, jobs and a catalogue one line each. Raises TypeError for other
    answers."""
    return _line(answer) + "\n"


def _words(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={number(value)}" for name, value in values.items())


@singledispatch
def _line(answer: Answer) -> str:
    raise TypeError(f"a {type(answer).__name__} has no one-line format")


_line.register(Fit, summary)
_line.register(Comparison, comparison.line)
_line.register(GroupedComparison, comparison.lines)


@_line.register
def _groups(fit: GroupedFit) -> str:
    groups, lines = fit.groups, []
    infos = {found.code for found in fit.diagnostics if found.severity == "info"}
    shared = () if fit.shared is None else fit.shared.params.items()
    errors = {} if fit.shared is None else fit.shared.stderr or {}
    for i, key in enumerate(groups.values):
        named = zip(groups.columns, key, strict=True)
        words = [f"{visible(by)}={_word(value)}" for by, value in named]
        for name, values in groups.params.items():
            error = groups.stderr.get(name, [float("nan")] * len(values))[i]
            words.append(f"{name}={joined(values[i], None if error != error else error)}")
        words += [f"{name}={joined(value, errors.get(name))}" for name, value in shared]
        for name, each in (groups.report or {}).items():
            error = each.stderr[i]
            words.append(f"{name}={joined(each.value[i], None if error != error else error)}")
        words += words_of_groups(fit, i)
        if groups.r_squared[i] is not None:
            words.append(f"r2={number(groups.r_squared[i], 3)}")
        if groups.likelihood is not None:
            words.append(f"deviance={number(groups.likelihood.deviance[i], 6)}")
        codes = [code for code in groups.diagnostics[i] if code not in infos]
        lines.append(" ".join([*words, verdict(groups.verdict[i], codes)]))
    return "\n".join(lines)


@_line.register
def _draws(found: Draws) -> str:
    columns = {**found.params, **found.report}
    numbers = range(len(found.replicate))
    return "\n".join(
        " ".join([f"replicate={i}", _words({n: float(c[i]) for n, c in columns.items()})])
        for i in numbers
    )


@_line.register
def _job(job: Job) -> str:
    now = job.progress
    prefix = f"{job.job_id} {job.status} {now.unit}={now.epoch}/{now.epochs}"
    if job.progress.loss is not None:
        prefix += f" loss={number(job.progress.loss)}"
    if job.error is not None:
        prefix += f" error={job.error.type}"
    return prefix if job.result is None else f"{prefix} {_line(job.result)}"


@_line.register
def _jobs(jobs: JobList) -> str:
    return "\n".join(map(_line, jobs.jobs))


@_line.register
def _predictions(found: Predictions) -> str:
    return " ".join(map(number, found.predictions.tolist()))


@_line.register
def _unknowns(found: Unknowns) -> str:
    name, known, limits = visible(found.solve_for), found.calibrators, found.limits
    lines = []
    for i, key in enumerate(found.key):
        words = _named(found, found.group, i, key)
        estimate, error = found.estimate[i], found.stderr[i]
        if estimate == estimate:
            words.append(f"{name}={joined(estimate, None if error != error else error)}")
        lines.append([*words, f"status={found.status[i]}"])
    for i, key in enumerate(() if known is None else known.key):
        assert known is not None
        words = [*_named(found, known.group, i, key), f"nominal={number(known.nominal[i])}"]
        facts = (("read_back", known.back_calculated), ("recovery_percent", known.recovery_percent))
        words += [f"{fact}={number(each[i])}" for fact, each in facts if each[i] == each[i]]
        lines.append([*words, f"status={known.status[i]}"])
    if limits is not None:
        for i, (lloq, uloq) in enumerate(zip(limits.lloq, limits.uloq, strict=True)):
            lines.append([*_group(found, limits.group[i]), *_limits(lloq, uloq)])
    elif known is not None:
        lines.append(_limits(found.lloq, found.uloq))
    return "\n".join(map(" ".join, lines))


def _named(found: Unknowns, groups: Objects | None, i: int, key: float | str | None) -> list[str]:
    """The words that name the i-th sample or calibrator."""
    own = f"{visible(found.replicates_by or 'row')}={_word(key)}"
    return [own] if groups is None else [*_group(found, groups[i]), own]


def _group(found: Unknowns, key: Key) -> list[str]:
    columns = () if found.group_by is None else columns_of(found.group_by)
    named = zip(columns, values_of(key), strict=True)
    return [f"{visible(by)}={_word(value)}" for by, value in named]


def _limits(lloq: float | None, uloq: float | None) -> list[str]:
    """A limit that does not exist is none."""
    ends = (("lloq", lloq), ("uloq", uloq))
    return [f"{name}={'none' if end is None or end != end else number(end)}" for name, end in ends]


def _word(key: float | str | None) -> str:
    return key_text(key).replace(" ", "_")


@_line.register
def _certification(found: Certification) -> str:
    total = found.summary
    words = [f"cases={total.cases}", f"passed={total.passed}", f"digits={total.mean_digits}"]
    words += [] if total.least is None else [f"least={total.least}"]
    return " ".join([*words, *(f"failed={each.name}" for each in found.cases if not each.passed)])


@_line.register
def _loss(found: LossAnswer) -> str:
    return f"loss={number(found.loss)}"


@_line.register
def _gradient(found: GradientAnswer) -> str:
    return f"{_words(found.gradient)} loss={number(found.loss)}"


@_line.register
def _history(rows: History) -> str:
    if not rows.epoch:
        return "epoch=0"
    last = {name: column[-1] for name, column in rows.params.items()}
    return f"epoch={rows.epoch[-1]} loss={number(rows.loss[-1])} {_words(last)}".rstrip()


@_line.register
def _models(found: ModelList) -> str:
    return "\n".join(f"{entry.name}: {entry.formula}" for entry in found.models)


@_line.register
def _losses(found: LossList) -> str:
    return "\n".join(f"{entry.name}: {entry.formula}" for entry in found.losses)


@_line.register
def _likelihoods(found: LikelihoodList) -> str:
    return "\n".join(f"{entry.name}: {entry.formula}" for entry in found.likelihoods)


@_line.register
def _optimizers(found: OptimizerList) -> str:
    return "\n".join(f"{entry.name}: {entry.formula}" for entry in found.optimizers)


@_line.register
def _diagnostics(found: DiagnosticList) -> str:
    return "\n".join(map(_line, found.diagnostics))


@_line.register
def _diagnostic(found: DiagnosticEntry) -> str:
    return f"{found.code}: {found.seen}"

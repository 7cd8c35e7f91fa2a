"""Answers as tables: columns by name, ready for CSV or Arrow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from itertools import chain

import numpy as np

from service.render import comparison_tables
from service.render.cells import with_unit
from service.render.report_noise import columns_of_groups, with_noise
from service.render.report_resampling import draws_table
from service.render.table_catalogue import diagnostics_table, entries_table
from service.render.table_units import units_of
from service.render.table_unknowns import unknowns_tables
from service.schemas.answers import Fit, History
from service.schemas.base import Answer
from service.schemas.catalogue import (
    DiagnosticEntry,
    DiagnosticList,
    LikelihoodList,
    LossList,
    ModelList,
)
from service.schemas.catalogue import OptimizerList as Optimizers
from service.schemas.certification import Certification
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.compute import GradientAnswer, LossAnswer, LossSurface, Predictions
from service.schemas.draws import Draws
from service.schemas.grouped import GroupedFit
from service.schemas.jobs import Job, JobList
from service.schemas.series import Array, Gapped
from service.schemas.unknowns import Unknowns

Cell = float | int | str | bool | None
Column = Sequence[Cell] | Array
Table = Mapping[str, Column]
"""Columns of equal length, in order."""

_ROWS = 2**12
"""Rows that are written in one piece."""

_QUOTES = re.compile(r'[",\r\n]|^ | $')
"""What is only text within quotes; a space at an end is, to some readers."""


def table(
    answer: Answer, *, units: Mapping[str, str] | None = None, data: Data | None = None
) -> Table:
    """The answer as columns.
    units: of params and columns; for one fit they are a column. data: the columns of the inputs,
    written beside the predictions. Raises TypeError for an answer without a table.
    """
    made = _table(answer)
    units = {**units_of(answer), **(units or {})}
    if isinstance(answer, Fit) and units:
        return {**made, "unit": [units.get(str(name)) for name in made["name"]]}
    if isinstance(answer, Predictions) and data:
        return joined(dict(zip(data, map(_beside, data.values()), strict=True)), made)
    return made


def csv_text(columns: Table, units: Mapping[str, str] | None = None) -> str:
    """CSV by RFC 4180, with a header and plain line feeds. A name has its unit, where it is known:
    `k [1/s]`. Numbers have all their digits, a
    missing value is empty, and the others are NaN, Inf and -Inf, which R and pandas read.

    Text is unchanged, since other programs join on it; it is quoted where needed, and where it is
    empty, which is not missing. (Python's csv.writer does not quote a lone carriage return or an
    empty text.)
    """
    count = len(next(iter(columns.values()), ()))
    parts = (_lines(columns, start) for start in range(0, count, _ROWS))
    names = (_quoted(with_unit(name, units or {})) for name in columns)
    return "".join([_line(names), *parts])


def _lines(columns: Table, start: int) -> str:
    """Some rows."""
    some = [listed(column[start : start + _ROWS]) for column in columns.values()]
    return "".join(map(_line, zip(*(map(_cell, column) for column in some), strict=True)))


def _line(cells: Iterable[str]) -> str:
    # An empty line would be skipped by readers.
    return (",".join(cells) or '""') + "\n"


def listed(column: Column) -> Sequence[Cell]:
    """The values of a column, or of a part of it."""
    return column.tolist() if isinstance(column, np.ndarray) else column


def joined(*tables: Table) -> Table:
    """The tables side by side; a duplicate name gets an underscore."""
    made: dict[str, Column] = {}
    for name, column in chain.from_iterable(each.items() for each in tables):
        own = name
        while own in made:
            own += "_"
        made[own] = column
    return made


def _beside(column: Numbers | Labels) -> Column:
    return column.tolist() if isinstance(column, Labels) else column


def _quoted(text: str) -> str:
    return text if text and not _QUOTES.search(text) else '"' + text.replace('"', '""') + '"'


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    return repr(value)


@singledispatch
def _table(answer: Answer) -> Table:
    raise TypeError(f"a {type(answer).__name__} has no columns")


_table.register(Comparison, comparison_tables.models_table)
_table.register(GroupedComparison, comparison_tables.groups_table)
_table.register(Draws, draws_table)


@_table.register
def _certification(found: Certification) -> Table:
    """A row for each case, or with `detail` for each of its figures."""
    cases = found.cases
    if any(each.values is not None for each in cases):
        rows = [(each.name, figure) for each in cases for figure in each.values or ()]
        return {
            "name": [name for name, _ in rows],
            "at": [figure.at for _, figure in rows],
            "found": [None if f.found is None else str(f.found) for _, f in rows],
            "certified": [figure.certified for _, figure in rows],
            "digits": [figure.digits for _, figure in rows],
            "passed": [figure.passed for _, figure in rows],
        }
    return {
        "name": [each.name for each in cases],
        "title": [each.title for each in cases],
        "digits": [each.digits for each in cases],
        "certified": [each.certified for each in cases],
        "passed": [each.passed for each in cases],
        "reason": [each.reason for each in cases],
        "citation": [each.source.citation for each in cases],
    }


@_table.register
def _fit(fit: Fit) -> Table:
    names = list(fit.shown)
    stderr, interval = fit.statistics.stderr or {}, fit.statistics.confidence_interval
    lower, upper = (interval.lower, interval.upper) if interval else ({}, {})
    found, reports = fit.report or {}, (fit.report or {}).values()
    own: dict[str, Sequence[Cell]] = {
        "name": [*names, *found],
        "value": [*fit.shown.values(), *(each.value for each in reports)],
        "stderr": [*map(stderr.get, names), *(each.stderr for each in reports)],
        "lower": [*map(lower.get, names), *(each.lower for each in reports)],
        "upper": [*map(upper.get, names), *(each.upper for each in reports)],
    }
    return with_noise(own, fit.noise)


@_table.register
def _groups(fit: GroupedFit) -> Table:
    groups = fit.groups
    facts: dict[str, Sequence[Cell]] = {"n": groups.n, "status": groups.status}
    for name, values in groups.params.items():
        none = [None] * len(values)
        facts |= {name: values, f"{name}_stderr": groups.stderr.get(name, none)}
        if groups.confidence_interval is not None:
            interval = groups.confidence_interval
            facts[f"{name}_lower"] = interval.lower.get(name, none)
            facts[f"{name}_upper"] = interval.upper.get(name, none)
    facts |= _shared(fit) | columns_of_groups(fit)
    for name, each in (groups.report or {}).items():
        facts |= {name: each.value, f"{name}_stderr": each.stderr}
        facts |= {f"{name}_lower": each.lower, f"{name}_upper": each.upper}
    for a, row in (groups.covariance or {}).items():
        facts |= {f"covariance_{a}_{b}": column for b, column in row.items()}
    counts = groups.likelihood
    if counts is not None:
        facts |= {"deviance": counts.deviance, "pearson": counts.pearson}
        facts |= {"dispersion": counts.dispersion, "log_likelihood": counts.log_likelihood}
    rest: dict[str, Sequence[Cell]] = {
        "loss": groups.loss,
        "r_squared": groups.r_squared,
        "residual_std": groups.residual_std,
        "epochs": groups.epochs,
        "stop_reason": groups.stop_reason,
        "verdict": groups.verdict,
        "diagnostics": [" ".join(codes) for codes in groups.diagnostics],
    }
    return joined(groups.key_columns(), facts, rest)


def _shared(fit: GroupedFit) -> dict[str, Sequence[Cell]]:
    """The params that the groups share, in the row of each."""
    shared, count = fit.shared, len(fit.groups.key)
    if shared is None:
        return {}
    found: dict[str, Sequence[Cell]] = {}
    for name, value in shared.params.items():
        found[name] = [value] * count
        found[f"{name}_stderr"] = [(shared.stderr or {}).get(name)] * count
        if shared.confidence_interval is not None:
            found[f"{name}_lower"] = [shared.confidence_interval.lower.get(name)] * count
            found[f"{name}_upper"] = [shared.confidence_interval.upper.get(name)] * count
    return found


@_table.register
def _job(job: Job) -> Table:
    return _jobs(JobList(jobs=[job], has_more=False, next_after=None))


@_table.register
def _jobs(jobs: JobList) -> Table:
    return {
        "job_id": [job.job_id for job in jobs.jobs],
        "status": [job.status for job in jobs.jobs],
        "created_at": [_time(job.created_at) for job in jobs.jobs],
        "started_at": [_time(job.started_at) for job in jobs.jobs],
        "finished_at": [_time(job.finished_at) for job in jobs.jobs],
        "epoch": [job.progress.epoch for job in jobs.jobs],
        "epochs": [job.progress.epochs for job in jobs.jobs],
        "loss": [job.progress.loss for job in jobs.jobs],
        "best_loss": [job.progress.best_loss for job in jobs.jobs],
        "model": [job.model for job in jobs.jobs],
    }


def _time(at: object) -> str | None:
    return None if at is None else str(at).replace(" ", "T").replace("+00:00", "Z")


@_table.register
def _predictions(found: Predictions) -> Table:
    columns = {
        "prediction": found.predictions,
        "stderr": found.stderr,
        "lower": found.lower,
        "upper": found.upper,
    }
    return {name: column for name, column in columns.items() if column is not None}


@_table.register
def _unknowns(found: Unknowns) -> Table:
    return joined(*unknowns_tables(found))


@_table.register
def _loss(found: LossAnswer) -> Table:
    if found.surface is not None:
        return _surface(found.surface)
    if found.residuals is not None:
        return {"residual": found.residuals}
    return {"loss": [found.loss]}


def _surface(surface: LossSurface) -> Table:
    """One row per point of the grid."""
    first, *others = surface.axes.items()
    if not others:
        return joined({first[0]: first[1]}, {"loss": surface.loss})
    (second,) = others
    return joined(
        {first[0]: np.repeat(first[1], len(second[1]))},
        {second[0]: np.tile(second[1], len(first[1]))},
        {"loss": surface.loss.ravel()},
    )


@_table.register
def _gradient(found: GradientAnswer) -> Table:
    made: dict[str, Sequence[Cell]] = {
        "name": list(found.gradient),
        "gradient": list(found.gradient.values()),
    }
    if found.check is not None:
        for method in ("analytic", "autograd", "numeric"):
            made[method] = list(getattr(found.check, method).values())
    return made


@_table.register
def _history(rows: History) -> Table:
    gradient = {f"gradient_{name}": column for name, column in rows.gradient.items()}
    return joined({"epoch": rows.epoch, "loss": rows.loss}, rows.params, gradient)


_table.register(ModelList, lambda found: entries_table(found.models))
_table.register(LossList, lambda found: entries_table(found.losses))
_table.register(LikelihoodList, lambda found: entries_table(found.likelihoods))
_table.register(Optimizers, lambda found: entries_table(found.optimizers))
_table.register(DiagnosticList, lambda found: diagnostics_table(found.diagnostics))
_table.register(DiagnosticEntry, lambda found: diagnostics_table([found]))


def arrow_stream(columns: Table, units: Mapping[str, str] | None = None) -> bytes:
    """The table as an Arrow IPC stream of one record batch: numbers as float64 or int64, text as
    utf8, missing values as null; a field's metadata have its `unit`. pyarrow is
    imported here, since it is large."""
    import pyarrow as pa
    import pyarrow.ipc

    arrays = {
        name: pa.array(column, from_pandas=isinstance(column, Gapped))
        for name, column in columns.items()
    }
    made, known = pa.table(arrays), units or {}
    fields = [
        field.with_metadata({"unit": known[field.name]}) if field.name in known else field
        for field in made.schema
    ]
    batch = made.cast(pa.schema(fields))
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream

"""Answers as bytes in the formats other than JSON. Independent of HTTP: the render process calls
the same functions for long answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from service import fitting
from service.errors import InvalidRequest
from service.jobs.history import Rows
from service.jobs.job import Stored
from service.render import tables
from service.render.oneline import oneline
from service.render.report import report
from service.schemas.answers import Fit, GroupedFit, History
from service.schemas.base import Answer
from service.schemas.columns import Data, Numbers
from service.schemas.compare import CompareRequest, Comparison, GroupedComparison
from service.schemas.fit import FitRequest
from service.schemas.jobs import JobRequest
from service.schemas.names import AnswerFormat
from service.schemas.plot import PlotHistory, PlotRequest
from service.schemas.scenes import FitScene

Units = Mapping[str, str]
Names = Sequence[str]


def write(
    form: AnswerFormat,
    answer: Answer,
    units: Units | None = None,
    data: Data | None = None,
    scene: FitScene | None = None,
) -> bytes:
    """The answer in that format."""
    if form == "text":
        return report(answer, units=units, scene=scene).encode()
    if form == "oneline":
        return oneline(answer).encode()
    columns = tables.table(answer, units=units, data=data)
    if form == "csv":
        return tables.csv_text(columns).encode()
    from service.render.arrow import arrow_stream

    return arrow_stream(columns)


def write_history(form: AnswerFormat, names: Names, rows: Rows, total: int) -> bytes:
    """Rows of a job's history in that format."""
    return write(form, history(names, rows, total))


def history(names: Names, rows: Rows, total: int) -> History:
    """The answer for these rows of a history of `total` epochs."""
    return History(
        epoch=rows.epoch.tolist(),
        loss=rows.loss.tolist(),
        params={name: rows.params[:, i].tolist() for i, name in enumerate(names)},
        gradient={name: rows.gradient[:, i].tolist() for i, name in enumerate(names)},
        total=total,
        thinned=rows.thinned,
    )


def write_fit(form: AnswerFormat, document: Stored, request: JobRequest) -> bytes:
    """A fit or a comparison in that format; a fit as text with its picture over the request's
    data."""
    fit, units = bytes(document), request.units
    if isinstance(request, CompareRequest):
        kind = Comparison if request.group_by is None else GroupedComparison
        return write(form, kind.model_validate_json(fit), units)
    if request.group_by is not None:
        return write(form, GroupedFit.model_validate_json(fit), units)
    answer = Fit.model_validate_json(fit)
    return write(form, answer, units, scene=_scene(answer, request) if form == "text" else None)


def _scene(fit: Fit, request: FitRequest) -> FitScene | None:
    """The picture of the fit; None where it has none."""
    nothing = PlotHistory(epoch=[], loss=[])
    asked = PlotRequest(view="fit")
    try:
        made = fitting.scene(fitting.plot_of_job(asked, request, fit, nothing))
    except InvalidRequest:
        return None
    assert isinstance(made, FitScene)
    return made


def floats(values: Sequence[float]) -> Numbers:
    """The values as a float64 column."""
    return np.array(values, dtype=np.float64)

"""The forms of an answer, one record a form, and their writers. Independent of HTTP: the render
process calls the same functions for long answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service import fitting
from service.errors import InvalidRequest
from service.jobs.history import Rows
from service.jobs.job import Stored
from service.render import table_units, tables
from service.render.oneline import oneline
from service.render.report import report
from service.render.scene import PlotInput, Scene
from service.render.views import table as views
from service.schemas.answers import Fit, History
from service.schemas.base import Answer
from service.schemas.columns import Data, Numbers
from service.schemas.compare import CompareRequest
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit
from service.schemas.plot import PlotHistory, PlotRequest
from service.schemas.requests import JobRequest

Units = Mapping[str, str]
Names = Sequence[str]


@dataclass(frozen=True, slots=True)
class Beside:
    """What an answer may be shown with."""

    units: Units | None = None
    data: Data | None = None
    scene: Scene | None = None
    """The picture of a fit."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """A form of answers."""

    name: str
    """The value of `?format=`."""
    media_type: str
    description: str
    """What it is, in openapi.json."""
    write: Callable[[Answer, Beside], bytes]
    number_bytes: int
    """The most bytes that a number takes."""
    repeats_data: bool = False
    """Whether the columns of the data are repeated beside the result."""
    has_picture: bool = False
    """Whether a fit is shown with its picture."""
    loads_library: bool = False
    """Whether it is always written in the render process, since its library is large."""


def _json(answer: Answer, beside: Beside) -> bytes:
    return answer.document()


def _text(answer: Answer, beside: Beside) -> bytes:
    return report(answer, units=beside.units, scene=beside.scene).encode()


def _csv(answer: Answer, beside: Beside) -> bytes:
    made = tables.table(answer, units=beside.units, data=beside.data)
    return tables.csv_text(made, table_units.units_of_columns(answer, beside.units)).encode()


def _oneline(answer: Answer, beside: Beside) -> bytes:
    return oneline(answer).encode()


def _arrow(answer: Answer, beside: Beside) -> bytes:
    made = tables.table(answer, units=beside.units, data=beside.data)
    return tables.arrow_stream(made, table_units.units_of_columns(answer, beside.units))


JSON = AnswerForm(
    name="json",
    media_type="application/json",
    description="The default.",
    write=_json,
    number_bytes=fitting.NUMBER_BYTES,
)
TEXT = AnswerForm(
    name="text",
    media_type="text/plain; charset=utf-8",
    description="a report for a terminal",
    write=_text,
    number_bytes=8,  # it shows few numbers, but all are computed
    has_picture=True,
)
CSV = AnswerForm(
    name="csv",
    media_type="text/csv; charset=utf-8; header=present",
    description="a table",
    write=_csv,
    number_bytes=fitting.NUMBER_BYTES,
    repeats_data=True,
)
ONELINE = AnswerForm(
    name="oneline",
    media_type="text/plain; charset=utf-8",
    description="a line of name=value",
    write=_oneline,
    number_bytes=fitting.NUMBER_BYTES,
)
ARROW = AnswerForm(
    name="arrow",
    media_type="application/vnd.apache.arrow.stream",
    description="the same table as an Arrow stream",
    write=_arrow,
    number_bytes=8,
    repeats_data=True,
    loads_library=True,
)

FORMS: Mapping[str, AnswerForm] = {form.name: form for form in (JSON, TEXT, CSV, ONELINE, ARROW)}
"""Every form by its name; the first whose media type matches a range of Accept is chosen."""


def write(form: str, answer: Answer, beside: Beside = Beside()) -> bytes:
    """The answer in the form of that name."""
    return FORMS[form].write(answer, beside)


def write_history(form: str, names: Names, rows: Rows, total: int) -> bytes:
    """Rows of a job's history in that form."""
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


def write_fit(form: str, document: Stored, request: JobRequest) -> bytes:
    """A fit or a comparison in that form; a fit with its picture over the request's data where the
    form has one."""
    fit, units = bytes(document), request.units
    if isinstance(request, CompareRequest):
        is_whole = request.group_by is None or request.compares_curves
        kind = Comparison if is_whole else GroupedComparison
        return write(form, kind.model_validate_json(fit), Beside(units))
    if request.group_by is not None:
        return write(form, GroupedFit.model_validate_json(fit), Beside(units))
    answer = Fit.model_validate_json(fit)
    scene = _scene(answer, request) if FORMS[form].has_picture else None
    return write(form, answer, Beside(units, scene=scene))


def _scene(fit: Fit, request: FitRequest) -> Scene | None:
    """The picture of the fit; None where it has none."""
    nothing = PlotHistory(epoch=[], loss=[])
    asked = PlotRequest(view="fit")
    try:
        return views.scene(PlotInput(fitting.plot_of_job(asked, request, fit, nothing)))
    except InvalidRequest:
        return None


def floats(values: Sequence[float]) -> Numbers:
    """The values as a float64 column."""
    return np.array(values, dtype=np.float64)

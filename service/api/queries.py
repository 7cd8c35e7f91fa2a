"""Query strings, validated as strictly as bodies: an unknown parameter is an error that names the
nearest known one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.api.forms import FORMS
from service.api.state import Request
from service.api.validation_errors import validation_errors
from service.errors import FieldError, InvalidRequest
from service.schemas.names import AxisScale, Status, Theme
from service.schemas.plot import Columns, Side, Title

if TYPE_CHECKING:
    AnswerFormat = str
else:
    AnswerFormat = Literal[tuple(FORMS)]


class Query(BaseModel):
    """The parameters of one route."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FormQuery(Query):
    """A route that answers in several formats."""

    format: AnswerFormat | None = None
    """The answer's format; overrides `Accept`."""


class CertifyQuery(FormQuery):
    """GET /certify."""

    detail: bool = False
    """Whether each case is answered with all its figures."""


class JobsQuery(FormQuery):
    """GET /jobs."""

    status: Status | None = None
    """Only jobs of this status."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 20
    """The most jobs in one page."""
    after: str | None = None
    """`next_after` of the page before."""


class JobQuery(FormQuery):
    """GET /jobs/{job_id}."""

    wait: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 0.0
    """Seconds to wait for the job to finish; the server's limit may be lower."""


class HistoryQuery(FormQuery):
    """GET /jobs/{job_id}/history."""

    after_epoch: Annotated[int, Field(ge=-1)] | None = None
    """Only rows of later epochs."""
    limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """The most rows, from the first on."""
    max_points: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    """Thin the rows to about this number, keeping the first, the last, the best and the
    extremes."""


class EventsQuery(Query):
    """GET /jobs/{job_id}/events."""

    after_epoch: Annotated[int, Field(ge=-1)] | None = None
    """Only rows of later epochs."""


class PictureQuery(Query):
    """GET /jobs/{job_id}/plot/{view}.{format}."""

    theme: Theme = "light"
    """Colours for light or dark pages."""
    transparent: bool = False
    """Without a background."""
    width: Side = 800
    """Pixels; for `txt` see `columns`."""
    height: Side = 500
    """Pixels."""
    columns: Columns = 80
    """Characters per line of a `txt`."""
    level: Annotated[float, Field(gt=0, le=0.999999999)] = 0.95
    """The confidence level of the bands of `fit`."""
    x_axis: AxisScale = "auto"
    """For `fit`: see POST /plot."""
    y_axis: AxisScale = "auto"
    """For `fit`."""
    title: Title | None = None
    """Default: the formula."""
    group: Annotated[str, Field(max_length=1000)] | None = None
    """For a job by groups: the one to draw, by its key; of several columns a JSON array of their
    values. Default: `fit` of as many groups as there is room for."""
    along: str | None = None
    """For `path`: one or two params, as `w,b`. Default: those that changed most."""


class NoQuery(Query):
    """A route without parameters."""


QueryT = TypeVar("QueryT", bound=Query)


def read(request: Request, schema: type[QueryT]) -> QueryT:
    """The query string as `schema`."""
    given = dict(request.query_params)
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        found = validation_errors(error.errors(include_url=False), given, schema, "query parameter")
        raise InvalidRequest.of(FieldError("", c.detail) for c in found) from None

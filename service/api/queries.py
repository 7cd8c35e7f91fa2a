"""Query strings, read as strictly as bodies: an unknown parameter is an error with its mend."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.api.state import Request
from service.api.validation_errors import validation_errors
from service.errors import Complaint, InvalidRequest
from service.schemas.names import AnswerFormat, Status, Theme
from service.schemas.plot import Columns, Side


class Query(BaseModel):
    """The parameters of one route."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FormQuery(Query):
    """A route that answers in several forms."""

    format: AnswerFormat | None = None
    """The answer's form; it counts before `Accept`."""


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
    """Thin the rows to about so many, keeping the first, the last, the best and the extremes."""


class EventsQuery(Query):
    """GET /jobs/{job_id}/events."""

    after_epoch: Annotated[int, Field(ge=-1)] | None = None
    """Only rows of later epochs."""


class PictureQuery(Query):
    """GET /jobs/{job_id}/plot/{view}.{format}."""

    theme: Theme = "light"
    """For light or for dark pages."""
    transparent: bool = False
    """Leave the background to the page."""
    width: Side = 800
    """Pixels; of a `txt` see `columns`."""
    height: Side = 500
    """Pixels."""
    columns: Columns = 80
    """The width of a `txt`."""
    level: Annotated[float, Field(gt=0, le=0.999999999)] = 0.95
    """Of the bands of `fit`."""
    along: str | None = None
    """For `path`: one or two params to look at, as `w,b`. Default: those that went farthest."""


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
        raise InvalidRequest.of(Complaint("", c.detail) for c in found) from None

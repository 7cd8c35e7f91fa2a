"""GET /problems/{type}: what a problem's `type` means, and how to resolve it.


A type is a stable word that programs can compare. It is not a URL, since it is independent of where
the service runs; a problem's `Link` header has the page's address.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api import openapi
from service.api.direct_route import DirectRoute
from service.api.state import Request

router = APIRouter(tags=["operations"], default_response_class=Response, route_class=DirectRoute)


class Kind(NamedTuple):
    """A type of problem."""

    status: int
    means: str
    mends: str


_POINTED = "`errors` points to each place in the body and says what to write instead."
_LATER = "Retry after `Retry-After` seconds."

KINDS: dict[str, Kind] = {
    "invalid-request": Kind(422, "The request is not valid.", _POINTED),
    "invalid-formula": Kind(
        422, "The model's text does not parse.", "The column of the text is named; see formulas."
    ),
    "unknown-name": Kind(
        422, "A model, a loss, an optimizer or a column has no such name.", "The nearest is named."
    ),
    "invalid-data": Kind(422, "A column, a row or a value cannot be used.", _POINTED),
    "budget-exceeded": Kind(
        422,
        "The request would cost more than one request is allowed.",
        "The detail has the limit and what would fit; the operator can raise it.",
    ),
    "idempotency-conflict": Kind(
        422,
        "The `Idempotency-Key` was used for another request.",
        "Send a new key with a new request, the old one with the old.",
    ),
    "malformed-json": Kind(400, "The body is not JSON.", "The detail says where it stops being."),
    "malformed-body": Kind(
        400, "The body is not of the form that its Content-Type says.", "The detail says why."
    ),
    "malformed-request": Kind(
        400, "The request is not valid HTTP/1.1.", "Check the client, or a proxy in between."
    ),
    "unauthorized": Kind(
        401,
        "The server requires an API key, and the request has none that is valid.",
        "Send `Authorization: Bearer KEY`. The operator makes keys with `descent key NAME`.",
    ),
    "cross-origin": Kind(
        403,
        "The request is a change sent by a web page of another origin.",
        "The operator lists allowed origins in `DESCENT_CORS_ORIGINS`.",
    ),
    "unknown-route": Kind(404, "There is no such path.", "The nearest is named."),
    "unknown-job": Kind(
        404,
        "No job of this caller has that id, or it has been removed.",
        "The detail says whether it was deleted or expired. Send the fit again.",
    ),
    "unknown-diagnostic": Kind(404, "No diagnostic has that code.", "The nearest is named."),
    "unknown-picture": Kind(404, "There is no such picture of a job.", "The nearest is named."),
    "not-acceptable": Kind(
        406,
        "The answer is not available in a media type that `Accept` allows.",
        "The detail lists the available ones; `?format=` selects one too.",
    ),
    "method-not-allowed": Kind(
        405, "The path does not take that method.", "`Allow` lists those it takes."
    ),
    "request-timeout": Kind(
        408, "The head or the body of the request arrived too slowly.", "Send it again, faster."
    ),
    "job-still-running": Kind(409, "The job has not finished.", "Wait for it, or cancel it first."),
    "job-cancelled": Kind(
        409, "The job was cancelled before it had a result.", "Send the fit again."
    ),
    "body-too-large": Kind(
        413, "The body is longer than the limit.", "Send fewer rows, or a binary form."
    ),
    "unsupported-media-type": Kind(
        415, "Bodies of that Content-Type are not supported.", "The detail lists those that are."
    ),
    "misdirected-request": Kind(
        421,
        "The server does not accept that Host.",
        "The operator lists allowed hosts in `DESCENT_ALLOWED_HOSTS`.",
    ),
    "queue-full": Kind(429, "The job queue or the store is full.", _LATER),
    "quota-exceeded": Kind(429, "This API key has reached its limit of requests or jobs.", _LATER),
    "too-many-streams": Kind(429, "The limit of open event streams is reached.", _LATER),
    "too-many-bytes": Kind(429, "The limit of large bodies in progress is reached.", _LATER),
    "too-many-answers": Kind(429, "The limit of long answers in progress is reached.", _LATER),
    "too-many-pictures": Kind(
        429, "The limit of pictures and long tables in progress is reached.", _LATER
    ),
    "head-too-large": Kind(
        431, "The request line and headers are too long.", "Send fewer or shorter headers."
    ),
    "job-failed": Kind(500, "The job ended without an answer.", "The detail says why."),
    "internal-error": Kind(
        500,
        "An internal error; the request is not at fault.",
        "Give the operator the `request_id`: the log has the rest.",
    ),
    "not-implemented": Kind(
        501,
        "The request needs a part of HTTP that this server does not implement.",
        "The detail says which; send the request without it.",
    ),
    "worker-lost": Kind(
        503,
        "The process that did the work died, and so did its replacement.",
        "Retry, with less data.",
    ),
    "out-of-memory": Kind(503, "The server is out of memory at the moment.", _LATER),
    "not-ready": Kind(503, "The service is starting or stopping.", _LATER),
    "too-many-connections": Kind(503, "Too many connections are open.", _LATER),
}
"""Every problem type."""

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name} — Descent</title>
<h1>{name}</h1>
<p>Status {status}. {means}</p>
<p>{mends}</p>
"""
_HTML = {
    "description": "What the type means, and how to resolve it",
    "content": {"text/html": {"schema": {"type": "string"}}},
    "headers": {},
}


@router.get(
    "/problems/{type}",
    operation_id="explain_problem",
    summary="What a problem's type means",
    responses={200: _HTML, **openapi.refusals(404, 422, 500)},
)
async def explain_problem(request: Request, type: str) -> Response:
    """An HTML page; the `Link` header of every problem has its address."""
    kind = KINDS.get(type)
    if kind is None:
        raise HTTPException(404)
    page = _PAGE.format(
        name=type, status=kind.status, means=escape(kind.means), mends=escape(kind.mends)
    )
    return Response(page, headers={"Cache-Control": "max-age=3600"}, media_type="text/html")


def markdown() -> str:
    """The table of docs/problems.md."""
    rows = [f"| `{name}` | {k.status} | {k.means} | {k.mends} |" for name, k in KINDS.items()]
    return "\n".join(["| type | status | means | what mends it |", "|---|---|---|---|", *rows])

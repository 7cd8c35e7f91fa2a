"""GET /problems/{type}: what a problem's `type` means, and what mends it.

A type is a word that stays as it is, so that programs can compare it. It is no URL, since it means
the same wherever the service runs; the `Link` header of a problem has the page.
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


_SLIP = "`errors` points to each place in the body and says what would mend it."
_LATER = "Ask again after `Retry-After` seconds."

KINDS: dict[str, Kind] = {
    "invalid-request": Kind(422, "The request cannot be carried out as it stands.", _SLIP),
    "invalid-formula": Kind(
        422, "The model's text does not parse.", "The column of the text is named; see formulas."
    ),
    "unknown-name": Kind(
        422, "A model, a loss, an optimizer or a column has no such name.", "The nearest is named."
    ),
    "invalid-data": Kind(422, "A column, a row or a value cannot be used.", _SLIP),
    "budget-exceeded": Kind(
        422,
        "It would cost more than one request may.",
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
        400, "What came is not HTTP/1.1.", "It is the client's doing, or a proxy's."
    ),
    "unauthorized": Kind(
        401,
        "The server asks for an API key, and none that it knows came.",
        "Send `Authorization: Bearer KEY`. The operator makes keys with `descent key NAME`.",
    ),
    "cross-origin": Kind(
        403,
        "A page of another origin asked for a change.",
        "The operator names the origins that may in `DESCENT_CORS_ORIGINS`.",
    ),
    "unknown-route": Kind(404, "There is no such path.", "The nearest is named."),
    "unknown-job": Kind(
        404,
        "No job has that id, any more or for this caller.",
        "The detail says whether it was deleted or expired. Send the fit again.",
    ),
    "unknown-diagnostic": Kind(404, "No diagnostic has that code.", "The nearest is named."),
    "unknown-picture": Kind(404, "There is no such picture of a job.", "The nearest is named."),
    "not-acceptable": Kind(
        406,
        "The answer has no form that `Accept` asks for.",
        "The detail has those there are; `?format=` says it too.",
    ),
    "method-not-allowed": Kind(405, "The path does not take that method.", "`Allow` has those."),
    "request-timeout": Kind(
        408, "The head or the body of the request came too slowly.", "Send it again, faster."
    ),
    "job-still-running": Kind(409, "The job has not finished.", "Wait for it, or cancel it first."),
    "job-cancelled": Kind(
        409, "The job was cancelled before it had a result.", "Send the fit again."
    ),
    "body-too-large": Kind(
        413, "The body is longer than is read.", "Send fewer rows, or a binary form."
    ),
    "unsupported-media-type": Kind(
        415, "No body of that Content-Type is read.", "The detail has those that are."
    ),
    "misdirected-request": Kind(
        421,
        "The server does not answer to that Host.",
        "The operator names its hosts in `DESCENT_ALLOWED_HOSTS`.",
    ),
    "queue-full": Kind(429, "There is no room for another job just now.", _LATER),
    "quota-exceeded": Kind(429, "This API key has all that one may have just now.", _LATER),
    "too-many-streams": Kind(429, "There is no room for another event stream.", _LATER),
    "too-many-bytes": Kind(429, "There is no room for another large body.", _LATER),
    "too-many-answers": Kind(429, "There is no room for another long answer.", _LATER),
    "too-many-pictures": Kind(429, "There is no room for another picture or long table.", _LATER),
    "head-too-large": Kind(431, "The request line and headers are too long.", "Send fewer."),
    "job-failed": Kind(500, "The job ended without an answer.", "The detail says why."),
    "internal-error": Kind(
        500,
        "Something went wrong in the server, not in the request.",
        "Give the operator the `request_id`: the log has the rest.",
    ),
    "not-implemented": Kind(
        501,
        "It needs a part of HTTP that this server has not.",
        "The detail says which; send the request without it.",
    ),
    "worker-lost": Kind(
        503, "The process that did the work died, and so did the next.", "Send it again, or less."
    ),
    "out-of-memory": Kind(503, "The server has no memory for it just now.", _LATER),
    "not-ready": Kind(503, "The service is starting or stopping.", _LATER),
    "too-many-connections": Kind(503, "Too many connections are open.", _LATER),
}
"""Every type there is."""

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
    "description": "What it means, and what mends it",
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
    """A page for a person, to which the `Link` header of every problem leads."""
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

"""GET /problems/{type}: what a problem's `type` means, and how to resolve it.


A type is a stable word that programs can compare. It is not a URL, since it is independent of where
the service runs; a problem's `Link` header has the page's address.
"""

from __future__ import annotations

from html import escape

from fastapi import APIRouter
from starlette.responses import Response

from service.api import openapi
from service.api.direct_route import DirectRoute
from service.api.http_errors import PROBLEMS, UnknownRoute
from service.api.state import Request
from service.errors import nearest_hint

router = APIRouter(tags=["operations"], default_response_class=Response, route_class=DirectRoute)


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
    error = PROBLEMS.get(type)
    if error is None:
        raise UnknownRoute(f"no such problem: {type[:80]}{nearest_hint(type[:80], PROBLEMS)}")
    page = _PAGE.format(
        name=type,
        status=error.http_status,
        means=escape(error.meaning),
        mends=escape(error.remedy),
    )
    return Response(page, headers={"Cache-Control": "max-age=3600"}, media_type="text/html")


def markdown() -> str:
    """The table of docs/reference/problems.md."""
    rows = [
        f"| `{name}` | {error.http_status} | {error.meaning} | {error.remedy} |"
        for name, error in PROBLEMS.items()
    ]
    return "\n".join(["| type | status | means | what mends it |", "|---|---|---|---|", *rows])

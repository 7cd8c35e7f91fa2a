"""GET /guide: the documentation, from `service.guide`."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from service import guide
from service.api.routes.pages import sent

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
}


async def index(request: Request) -> Response:
    """The first page, to whose address the links of all pages are relative."""
    return RedirectResponse(f"guide/{guide.INDEX}", HTTPStatus.FOUND)


async def page(request: Request) -> Response:
    """A page, or a file that pages show or name."""
    name = request.path_params["path"]
    if not name:
        return RedirectResponse(guide.INDEX, HTTPStatus.FOUND)
    found = await asyncio.to_thread(guide.page, name) if name in guide.files() else None
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return sent(request, found, _HEADERS)


# Not in openapi.json: these are for browsers.
ROUTES: list[BaseRoute] = [
    Route("/guide", index, include_in_schema=False),
    Route("/guide/{path:path}", page, include_in_schema=False),
]

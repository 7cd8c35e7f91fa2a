"""GET / and GET /docs: the service for people. What they are made of lies in `service.web`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from service.api.header_values import ranges
from service.web import Asset, assets

_ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_PLAYGROUND = {
    **_ALWAYS,
    # Trusted types: not even our own script may turn text into HTML.
    "Content-Security-Policy": (
        f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
}
# Swagger UI's style sheet has its pictures within.
_DOCS = {**_ALWAYS, "Content-Security-Policy": f"{_POLICY}; img-src 'self' data:"}

_HOST = re.compile(r"[\w.-]{1,64}(?::\d{1,5})?|\[[0-9a-f:]{2,39}\](?::\d{1,5})?", re.I | re.A)
_EXAMPLE_HOST = "localhost:8000"


async def front(request: Request) -> Response:
    """The playground for who takes HTML, as browsers say they do; else a quick start, as text."""
    if _takes_html(request.headers):
        return _answer(request, assets()["index.html"], {**_PLAYGROUND, "Vary": "Accept"})
    text = assets()["quick-start.txt"].content.decode()
    headers = {**_ALWAYS, "Vary": "Accept", "Cache-Control": "no-cache"}
    return Response(text.replace(_EXAMPLE_HOST, _address(request)), 200, headers, "text/plain")


async def docs(request: Request) -> Response:
    """Swagger UI over openapi.json."""
    return _answer(request, assets()["docs.html"], _DOCS)


async def asset(request: Request) -> Response:
    """A file of the pages."""
    found = assets().get(request.path_params["path"])
    # A page is served where it has its policy, and nowhere else.
    if found is None or found.media_type.startswith("text/html"):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _answer(request, found, _ALWAYS)


# Not in openapi.json: a program has no use for them.
ROUTES: list[BaseRoute] = [
    Route("/", front, include_in_schema=False),
    Route("/docs", docs, include_in_schema=False),
    Route("/assets/{path:path}", asset, include_in_schema=False),
]


def _answer(request: Request, found: Asset, headers: Mapping[str, str]) -> Response:
    """The file; or 304 where the browser has it. It asks each time, so none outlives an update."""
    headers = {**headers, "ETag": found.etag, "Cache-Control": "no-cache"}
    held = request.headers.get("if-none-match", "")
    if found.etag in (tag.strip().removeprefix("W/") for tag in held.split(",")):
        return Response(None, 304, headers)
    return Response(found.content, 200, headers, found.media_type)


def _takes_html(headers: Headers) -> bool:
    return ranges(headers.get("accept", "")).get("text/html", 0.0) > 0.0


def _address(request: Request) -> str:
    """Where the caller found us, so that the commands can be pasted; no scheme where curl needs
    none."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return _EXAMPLE_HOST
    scheme = "https://" if request.url.scheme == "https" else ""
    return f"{scheme}{host}"

"""GET /, /docs and /assets: the playground and the API docs, from the files of `service.web`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from service.api.head import accepted
from service.web import assets

_ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_PLAYGROUND = {
    **_ALWAYS,
    # Trusted Types: no script may turn text into HTML.
    "Content-Security-Policy": (
        f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
}
# Swagger UI's style sheet has inline images.
_DOCS = {**_ALWAYS, "Content-Security-Policy": f"{_POLICY}; img-src 'self' data:"}

_HOST = re.compile(r"[\w.-]{1,64}(?::\d{1,5})?|\[[0-9a-f:]{2,39}\](?::\d{1,5})?", re.I | re.A)
_EXAMPLE_HOST = "localhost:8000"


class Served(Protocol):
    """A file to answer with."""

    @property
    def content(self) -> bytes: ...
    @property
    def media_type(self) -> str: ...
    @property
    def etag(self) -> str:
        """With quotes (RFC 9110, section 8.8.3)."""
        ...


async def index(request: Request) -> Response:
    """The playground where Accept has text/html, as browsers send; else a quick start as text."""
    if _takes_html(request.headers):
        return sent(request, assets()["index.html"], {**_PLAYGROUND, "Vary": "Accept"})
    text = assets()["quick-start.txt"].content.decode()
    headers = {**_ALWAYS, "Vary": "Accept", "Cache-Control": "no-cache"}
    return Response(text.replace(_EXAMPLE_HOST, _address(request)), 200, headers, "text/plain")


async def docs(request: Request) -> Response:
    """Swagger UI for openapi.json."""
    return sent(request, assets()["docs.html"], _DOCS)


async def asset(request: Request) -> Response:
    """A file of the pages."""
    found = assets().get(request.path_params["path"])
    # HTML is served only at the routes that set its Content-Security-Policy.
    if found is None or found.media_type.startswith("text/html"):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return sent(request, found, _ALWAYS)


# Not in openapi.json: these are for browsers.
ROUTES: list[BaseRoute] = [
    Route("/", index, include_in_schema=False),
    Route("/docs", docs, include_in_schema=False),
    Route("/assets/{path:path}", asset, include_in_schema=False),
]


def sent(request: Request, found: Served, headers: Mapping[str, str]) -> Response:
    """The file, or 304 where the browser has it. `no-cache` makes browsers revalidate each time."""
    headers = {**headers, "ETag": found.etag, "Cache-Control": "no-cache"}
    cached_tags = request.headers.get("if-none-match", "")
    if found.etag in (tag.strip().removeprefix("W/") for tag in cached_tags.split(",")):
        return Response(None, 304, headers)
    return Response(found.content, 200, headers, found.media_type)


def _takes_html(headers: Headers) -> bool:
    return dict(accepted(headers.get("accept", ""))).get("text/html", 0.0) > 0.0


def _address(request: Request) -> str:
    """The address that the caller used, for the example commands; without a scheme for http."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return _EXAMPLE_HOST
    scheme = "https://" if request.url.scheme == "https" else ""
    return f"{scheme}{host}"

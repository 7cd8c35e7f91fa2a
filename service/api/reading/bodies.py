"""The one place that reads a request's body into a schema, whatever its form."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack
from typing import NamedTuple, TypeVar

from starlette.exceptions import HTTPException

from service.api.hanging_up import unless_gone
from service.api.parsing import parse
from service.api.reading import arrival, media_type
from service.api.reading.arrival import LARGE
from service.api.reading.assembling import assemble
from service.api.reading.forms import form_of
from service.api.reading.table import Bounds
from service.api.state import Request
from service.schemas.base import Request as Body

BodyT = TypeVar("BodyT", bound=Body)


async def read(request: Request, schema: type[BodyT]) -> BodyT:
    """The body as `schema`."""
    return (await read_marked(request, schema, mark=False))[0]


async def read_marked(
    request: Request, schema: type[BodyT], *, mark: bool
) -> tuple[BodyT, bytes | None]:
    """The body as `schema`, and with `mark` the SHA-256 of what was sent."""
    head = _head(request)
    with ExitStack() as room:
        if head.is_json:
            return await _read_json(request, schema, room, head.length, mark=mark)
        return await _read_form(request, schema, room, head, mark=mark)


async def _read_json(
    request: Request, schema: type[BodyT], room: ExitStack, length: int, *, mark: bool
) -> tuple[BodyT, bytes | None]:
    body = await arrival.gather(request, room, length)
    if len(body) <= LARGE:
        asked, digest = parse(body, schema), _digest(body) if mark else None
    else:
        digest = await asyncio.to_thread(_digest, body) if mark else None
        asked = await unless_gone(request, request.state["parser"].parse(body, schema))
    columns = len(getattr(asked, "data", None) or ())
    if columns > request.state["settings"].max_columns:
        Bounds.of(request.state["settings"]).check_columns(columns)
    return asked, digest


async def _read_form(
    request: Request, schema: type[BodyT], room: ExitStack, head: _Head, *, mark: bool
) -> tuple[BodyT, bytes | None]:
    kind = media_type.parse(head.content_type)
    form = form_of(kind)
    body = await arrival.gather(request, room, head.length)
    query: bytes = request.scope["query_string"]

    def work() -> tuple[BodyT, bytes | None]:
        table = form.read(body, kind, Bounds.of(request.state["settings"]))
        # What is asked stands in all of these.
        digest = _digest(body, head.content_type.encode(), query) if mark else None
        return assemble(schema, table, query), digest

    # The first body of a form loads what reads it.
    return await asyncio.to_thread(work)


class _Head(NamedTuple):
    """What the headers say of the body."""

    content_type: str
    length: int
    """0 where it is not said."""

    @property
    def is_json(self) -> bool:
        name = self.content_type.partition(";")[0].strip().lower()
        return name == "application/json" or (
            name.startswith("application/") and name.endswith("+json")
        )


def _head(request: Request) -> _Head:
    content_type, encoding, length = "", "", 0
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    if encoding and encoding.lower() != "identity":
        raise HTTPException(415, "the body must not be compressed: send no Content-Encoding")
    return _Head(content_type, length)


def _digest(*parts: bytes | bytearray) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()

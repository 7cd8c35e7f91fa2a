"""The one place that reads a request's body into a schema, whatever its form."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple, TypeVar

from starlette.exceptions import HTTPException
from starlette.types import Scope

from service.api.hanging_up import unless_gone
from service.api.parsing import parse
from service.api.reading import arrival, gzip, media_type
from service.api.reading.arrival import LARGE
from service.api.reading.assembling import assemble
from service.api.reading.csv_lines import Lines
from service.api.reading.forms import form_of
from service.api.reading.options import refuse_options
from service.api.reading.table import Bounds, check_counts, check_nbytes
from service.api.sentences import clip
from service.api.state import Request
from service.errors import Complaint
from service.schemas.base import Request as Body

BodyT = TypeVar("BodyT", bound=Body)

_SMALL = 2**16
"""Bytes of a body that need not wait for the large ones."""
_LINES = "descent.lines"
"""In a request's scope: where the rows of its body stand, if that is known."""
_ROW = re.compile(r"/data/[^/]*/(\d+)")


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
            return await _read_json(request, schema, room, head, mark=mark)
        return await _read_form(request, schema, room, head, mark=mark)


async def _read_json(
    request: Request, schema: type[BodyT], room: ExitStack, head: _Head, *, mark: bool
) -> tuple[BodyT, bytes | None]:
    if request.scope["query_string"]:
        refuse_options(request.scope["query_string"], schema)
    body = await _arrived(request, room, head)
    if len(body) <= LARGE:
        asked, digest = parse(body, schema), _digest(body) if mark else None
    else:
        digest = await asyncio.to_thread(_digest, body) if mark else None
        asked = await unless_gone(request, request.state["parser"].parse(body, schema))
        check_nbytes(asked, request.state["settings"])
    check_counts(asked, request.state["settings"])
    return asked, digest


async def _read_form(
    request: Request, schema: type[BodyT], room: ExitStack, head: _Head, *, mark: bool
) -> tuple[BodyT, bytes | None]:
    kind = media_type.parse(head.content_type)
    form = form_of(kind)
    body = await _arrived(request, room, head)
    query: bytes = request.scope["query_string"]

    def work() -> tuple[BodyT, bytes | None]:
        table = form.read(body, kind, Bounds.of(request.state["settings"]))
        request.scope[_LINES] = table.lines
        # What is asked stands in all of these.
        digest = _digest(body, head.content_type.encode(), query) if mark else None
        asked = assemble(schema, table, query)
        check_counts(asked, request.state["settings"])
        return asked, digest

    if len(body) <= _SMALL:
        return await asyncio.to_thread(work)
    async with request.state["readers"]:
        return await asyncio.to_thread(work)


async def _arrived(request: Request, room: ExitStack, head: _Head) -> bytes | bytearray:
    body = await arrival.gather(request, room, head.length)
    return await arrival.unpack(request, room, body) if head.is_packed else body


def with_lines(scope: Scope, found: Sequence[Complaint]) -> tuple[Complaint, ...]:
    """The complaints, those about a row with its line, where the body has lines."""
    lines: Lines | None = scope.get(_LINES)
    return tuple(
        complaint if lines is None else _with_line(complaint, lines) for complaint in found
    )


def _with_line(complaint: Complaint, lines: Lines) -> Complaint:
    row = _ROW.fullmatch(complaint.pointer)
    if row is None:
        return complaint
    line = lines.of(int(row[1]))
    return Complaint(complaint.pointer, f"{complaint.detail} (line {line} of the body)")


class _Head(NamedTuple):
    """What the headers say of the body."""

    content_type: str
    length: int
    """0 where it is not said."""
    is_packed: bool

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
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", *gzip.ENCODINGS}:
        raise HTTPException(
            415, f"the body's Content-Encoding may be gzip or none, not '{clip(encoding)}'"
        )
    return _Head(content_type, length, encoding in gzip.ENCODINGS)


def _digest(*parts: bytes | bytearray) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()

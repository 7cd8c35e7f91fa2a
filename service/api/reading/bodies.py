"""Reads a request's body, in any format, into a schema; routes call `read`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, nullcontext
from typing import NamedTuple, TypeVar

from starlette.exceptions import HTTPException
from starlette.types import Scope

from service.api.clients import client
from service.api.disconnect import unless_disconnected
from service.api.header_values import media_type
from service.api.parsing import is_quick, parse
from service.api.reading import arrival, gzip, keys
from service.api.reading.assembling import assemble
from service.api.reading.csv_lines import Lines
from service.api.reading.forms import form_of
from service.api.reading.keys import Inexact, Keys
from service.api.reading.options import refuse_options
from service.api.reading.table import Bounds, Table, check_counts, check_nbytes
from service.api.state import Request
from service.api.validation_messages import clip
from service.errors import Complaint
from service.schemas.base import Request as Body
from service.schemas.columns import Data

BodyT = TypeVar("BodyT", bound=Body)
KeysOf = Callable[[BodyT], Awaitable[Sequence[Keys]]]
"""Returns the `group_by` columns of a request, which are read so that its keys stay distinct."""

_SMALL = 2**16
"""Bytes up to which a body does not wait for large ones."""
_LINES = "descent.lines"
"""Key in a request's scope: the lines of its body's rows, if it has lines."""
_ROW = re.compile(r"/data/[^/]*/(\d+)")


async def read(
    request: Request, schema: type[BodyT], keys_of: KeysOf[BodyT] | None = None
) -> BodyT:
    """The body as `schema`. Raises InvalidRequest, HTTPException (400, 408, 413, 415) or
    ClientDisconnect."""
    head = _head(request)
    with ExitStack() as room:
        if not head.is_json:
            return await _read_form(request, schema, room, head, keys_of)
        asked, body = await _read_json(request, schema, room, head)
        for group_keys in () if keys_of is None else await keys_of(asked):
            await _check_keys(request, asked, body, group_keys)
        return asked


async def _read_json(
    request: Request, schema: type[BodyT], room: ExitStack, head: _Head
) -> tuple[BodyT, bytes | bytearray]:
    if request.scope["query_string"]:
        refuse_options(request.scope["query_string"], schema)
    body = await _received(request, room, head)
    if is_quick(body):
        asked = parse(body, schema)
    else:
        parsing = request.state["parser"].parse(body, schema, client(request))
        asked = await unless_disconnected(request, parsing)
        check_nbytes(asked, request.state["settings"])
    check_counts(asked, request.state["settings"])
    return asked, body


async def _check_keys(
    request: Request, asked: Body, body: bytes | bytearray, group_keys: Keys
) -> None:
    """Raises InvalidData where a JSON key was rounded to float64."""
    data: Data = getattr(asked, "data", None) or {}
    if not keys.may_be_inexact(data, group_keys.column):
        return
    if is_quick(body):
        again = parse(body, Inexact)
    else:
        parsing = request.state["parser"].parse_in_process(body, Inexact, client(request))
        again = await unless_disconnected(request, parsing)
    again.check(group_keys.column)


async def _read_form(
    request: Request,
    schema: type[BodyT],
    room: ExitStack,
    head: _Head,
    keys_of: KeysOf[BodyT] | None,
) -> BodyT:
    kind = media_type(head.content_type)
    form = form_of(kind)
    body = await _received(request, room, head)
    query: bytes = request.scope["query_string"]

    def work() -> tuple[Table, BodyT]:
        table = form.read(body, kind, Bounds.of(request.state["settings"]))
        request.scope[_LINES] = table.lines
        asked = assemble(schema, table, query)
        check_counts(asked, request.state["settings"])
        return table, asked

    readers = request.state["readers"].turn(client(request))
    async with nullcontext() if len(body) <= _SMALL else readers:
        table, asked = await asyncio.to_thread(work)
        for group_keys in () if keys_of is None else await keys_of(asked):
            data = getattr(asked, "data", None) or {}
            data = await asyncio.to_thread(table.with_keys, data, group_keys)
            asked = asked.model_copy(update={"data": data})
        return asked


async def _received(request: Request, room: ExitStack, head: _Head) -> bytes | bytearray:
    body = await arrival.receive_body(request, room, head.length)
    return await arrival.unpack(request, room, body) if head.is_packed else body


def with_lines(scope: Scope, found: Sequence[Complaint]) -> tuple[Complaint, ...]:
    """The complaints; those about a row also name its line, where the body has lines."""
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
    """The request headers that describe the body."""

    content_type: str
    length: int
    """The Content-Length; 0 if absent."""
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
            415, f"the body's Content-Encoding must be gzip or absent, not '{clip(encoding)}'"
        )
    return _Head(content_type, length, encoding in gzip.ENCODINGS)

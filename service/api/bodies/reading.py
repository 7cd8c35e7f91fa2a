"""Reads a request's body, in any form, into a schema; routes call `read`.

The bytes are received within the limits of their size, their pauses and the memory of all bodies,
decompressed, and given to the reader of their form.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, nullcontext
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Message

from service import fitting
from service.api.bodies import table
from service.api.bodies.forms import form_of
from service.api.bodies.json import is_quick, parse
from service.api.bodies.options import assemble, reading_options, refuse_options
from service.api.bodies.table import (
    Bounds,
    Inexact,
    Keys,
    Table,
    check_counts,
    check_nbytes,
    keep_filter,
    keep_lines,
)
from service.api.concurrency import unless_disconnected
from service.api.head import Head
from service.api.http_errors import (
    BodyTooLarge,
    MalformedBody,
    RequestTimeout,
)
from service.api.state import Request
from service.jobs import system
from service.schemas.base import Request as Body
from service.schemas.columns import Data

BodyT = TypeVar("BodyT", bound=Body)
KeysOf = Callable[[BodyT], Awaitable[Sequence[Keys]]]
"""Returns the columns of keys of a request, which are read so that its keys stay distinct."""

_FEW_NUMBERS = 10_000
"""Numbers of data up to which a condition on rows is read on the event loop."""
_SMALL = 2**16
"""Bytes up to which a body does not wait for large ones."""


async def read(
    request: Request, head: Head, schema: type[BodyT], keys_of: KeysOf[BodyT] | None = None
) -> BodyT:
    """The body as `schema`. Raises DescentError, such as InvalidRequest, or
    ClientDisconnect."""
    with ExitStack() as room:
        if not head.content.is_json:
            return await _read_form(request, schema, room, head, keys_of)
        asked, body = await _read_json(request, schema, room, head)
        for group_keys in () if keys_of is None else await keys_of(asked):
            await _check_keys(request, head, asked, body, group_keys)
        return await _with_rows(request, asked)


async def _read_json(
    request: Request, schema: type[BodyT], room: ExitStack, head: Head
) -> tuple[BodyT, bytes | bytearray]:
    if head.query:
        refuse_options(head.query, schema)
    body = await _received(request, room, head)
    if is_quick(body):
        asked = parse(body, schema)
    else:
        parsing = request.state["parser"].parse(body, schema, head.client)
        asked = await unless_disconnected(request, parsing)
        check_nbytes(asked, request.state["settings"])
    check_counts(asked, request.state["settings"])
    return asked, body


async def _check_keys(
    request: Request, head: Head, asked: Body, body: bytes | bytearray, group_keys: Keys
) -> None:
    """Raises InvalidData where a JSON key was rounded to float64."""
    data: Data = getattr(asked, "data", None) or {}
    if not table.may_be_inexact(data, group_keys.column):
        return
    if is_quick(body):
        again = parse(body, Inexact)
    else:
        parsing = request.state["parser"].parse_in_process(body, Inexact, head.client)
        again = await unless_disconnected(request, parsing)
    again.check(group_keys.column)


async def _read_form(
    request: Request,
    schema: type[BodyT],
    room: ExitStack,
    head: Head,
    keys_of: KeysOf[BodyT] | None,
) -> BodyT:
    kind = head.content.media_type
    form = form_of(kind)
    body = await _received(request, room, head)

    def work() -> tuple[Table, BodyT]:
        bounds = Bounds.of(request.state["settings"])
        table = form.read(body, kind, bounds, reading_options(head.query))
        keep_lines(request.scope, table.lines)
        asked = assemble(schema, table, head.query)
        check_counts(asked, request.state["settings"])
        return table, asked

    readers = request.state["readers"].turn(head.client)
    async with nullcontext() if len(body) <= _SMALL else readers:
        table, asked = await asyncio.to_thread(work)
        for group_keys in () if keys_of is None else await keys_of(asked):
            data = getattr(asked, "data", None) or {}
            data = await asyncio.to_thread(table.with_keys, data, group_keys)
            asked = asked.model_copy(update={"data": data})
        return await _with_rows(request, asked)


async def _with_rows(request: Request, asked: BodyT) -> BodyT:
    """The request with the rows that its condition `rows` is true of."""
    if getattr(asked, "rows", None) is None:
        return asked
    data: Data = getattr(asked, "data", None) or {}
    numbers = sum(map(len, data.values()))
    if numbers <= _FEW_NUMBERS:
        asked = fitting.with_rows(asked)
    else:
        asked = await asyncio.to_thread(fitting.with_rows, asked)
    keep_filter(request.scope, getattr(asked, "rows", None))
    return asked


async def _received(request: Request, room: ExitStack, head: Head) -> bytes | bytearray:
    body = await receive_body(request, head, room)
    return await unpack(request, head, room, body) if head.content.is_gzip else body


LARGE = 2**20
"""Bytes above which a body reserves memory."""
STALL_S = 30.0
"""The longest pause of a body in seconds."""


async def receive_body(request: Request, head: Head, room: ExitStack) -> bytes | bytearray:
    """The body's bytes. A large body's are reserved until `room` is closed. Raises BodyTooLarge,
    RequestTimeout or ClientDisconnect."""
    limit, declared = request.state["settings"].max_body_bytes, head.content.length
    if declared > limit:
        raise too_large(limit)
    if declared > LARGE:
        hold(request, head, room, declared)
        return await _fill(request, declared)
    body: bytes | bytearray = b""
    held, more = False, True
    while more:
        # The first message has no timeout: nothing is held yet, and the server limits it too.
        message = await (_next(request) if body else request.receive())
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        if not body:
            body = chunk
        elif isinstance(body, bytes):
            body = bytearray(body + chunk)
        else:
            body += chunk
        if len(body) > limit:
            raise too_large(limit)
        if len(body) > LARGE and not held:
            held = True
            hold(request, head, room, limit)
    return body


async def _fill(request: Request, declared: int) -> bytearray:
    """A body of a declared length, which the HTTP server enforces."""
    body, at, more = system.room(declared), 0, True
    while more:
        message = await _next(request)
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        body[at : at + len(chunk)] = chunk
        at += len(chunk)
    del body[at:]
    return body


async def unpack(
    request: Request, head: Head, room: ExitStack, packed: bytes | bytearray
) -> bytearray:
    """The decompressed body of a gzip one, within the same limit."""
    limit = request.state["settings"].max_body_bytes
    body = await asyncio.to_thread(inflate, packed, min(LARGE, limit))
    if body is None and limit > LARGE:
        hold(request, head, room, limit)
        body = await asyncio.to_thread(inflate, packed, limit)
    if body is None:
        raise too_large(limit)
    return body


def hold(request: Request, head: Head, room: ExitStack, size: int) -> None:
    """Reserves `size` bytes until `room` is closed."""
    room.enter_context(request.state["bodies"].hold(head.client, size))


async def _next(request: Request) -> Message:
    try:
        async with asyncio.timeout(STALL_S):
            return await request.receive()
    except TimeoutError:
        raise RequestTimeout(f"the body paused for more than {STALL_S:g} s") from None


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body above the limit."""
    return BodyTooLarge(
        f"the body is larger than {limit:,} bytes, the limit of this server; send fewer rows per "
        "request, or a binary form (.npz, Arrow)",
    )


PIECE = 2**18
"""Bytes that are inflated in one step."""
_GZIP = zlib.MAX_WBITS | 16


def inflate(body: bytes | bytearray, most: int) -> bytearray | None:
    """The decompressed bytes, or None if they are more than `most`. Raises MalformedBody."""
    inflated = bytearray()
    rest = bytes(body)
    try:
        while rest:
            engine = zlib.decompressobj(_GZIP)
            while not engine.eof:
                piece = engine.decompress(rest, PIECE)
                rest = engine.unconsumed_tail
                inflated += piece
                if len(inflated) > most:
                    return None
                if not piece and not rest and not engine.eof:
                    raise MalformedBody("the body's gzip data are truncated")
            rest = engine.unused_data  # a file may have several members
    except zlib.error as error:
        raise MalformedBody(f"the body is not gzip, though its header says so: {error}") from None
    return inflated

"""A body as it arrives: no more bytes than allowed, and no slower than a caller may be."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.api.clients import client
from service.api.reading import gzip
from service.api.state import Request
from service.jobs import memory

LARGE = 2**20
"""Bytes above which a body holds a place."""
STALL_S = 30.0
"""Seconds that a body may pause for."""


async def gather(request: Request, room: ExitStack, said: int) -> bytes | bytearray:
    """The body's bytes, `said` of them if its length was said (else 0), and no more than the limit.
    If there are many, `room` holds a place for them."""
    limit = request.state["settings"].max_body_bytes
    if said > limit:
        raise too_large(limit)
    if said > LARGE:
        hold(request, room, said)
        return await _fill(request, said)
    body: bytes | bytearray = b""
    held, more = False, True
    while more:
        # The first part of a small body holds nothing while it is waited for, and a clock costs.
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
            hold(request, room, limit)
    return body


async def _fill(request: Request, said: int) -> bytearray:
    """A body of a length that was said, which whoever speaks HTTP holds it to."""
    body, at, more = memory.room(said), 0, True
    while more:
        message = await _next(request)
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        body[at : at + len(chunk)] = chunk
        at += len(chunk)
    del body[at:]
    return body


async def unpack(request: Request, room: ExitStack, packed: bytes | bytearray) -> bytearray:
    """A body that came as gzip, no longer than the limit either."""
    limit = request.state["settings"].max_body_bytes
    body = await asyncio.to_thread(gzip.inflate, packed, min(LARGE, limit))
    if body is None and limit > LARGE:
        hold(request, room, limit)
        body = await asyncio.to_thread(gzip.inflate, packed, limit)
    if body is None:
        raise too_large(limit)
    return body


def hold(request: Request, room: ExitStack, size: int) -> None:
    """Holds a place for so many bytes for as long as `room` is open."""
    room.enter_context(request.state["bodies"].hold(client(request), size))


async def _next(request: Request) -> Message:
    try:
        async with asyncio.timeout(STALL_S):
            return await request.receive()
    except TimeoutError:
        raise HTTPException(408, f"the body paused for more than {STALL_S:g} s") from None


def too_large(limit: int) -> HTTPException:
    """The refusal of a body that is."""
    return HTTPException(
        413, f"the body is larger than the {limit} bytes that this server reads in one request"
    )

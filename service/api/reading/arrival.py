"""Receives a body, within the limits of its size, its pauses and the memory of all bodies."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.api.clients import client
from service.api.reading import gzip
from service.api.state import Request
from service.jobs import system

LARGE = 2**20
"""Bytes above which a body reserves memory."""
STALL_S = 30.0
"""The longest pause of a body in seconds."""


async def receive_body(request: Request, room: ExitStack, declared: int) -> bytes | bytearray:
    """The body's bytes. `declared`: its Content-Length, 0 if absent. A large body's bytes are
    reserved until `room` is closed. Raises HTTPException 413 or 408, or ClientDisconnect."""
    limit = request.state["settings"].max_body_bytes
    if declared > limit:
        raise too_large(limit)
    if declared > LARGE:
        hold(request, room, declared)
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
            hold(request, room, limit)
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


async def unpack(request: Request, room: ExitStack, packed: bytes | bytearray) -> bytearray:
    """The decompressed body of a gzip one, within the same limit."""
    limit = request.state["settings"].max_body_bytes
    body = await asyncio.to_thread(gzip.inflate, packed, min(LARGE, limit))
    if body is None and limit > LARGE:
        hold(request, room, limit)
        body = await asyncio.to_thread(gzip.inflate, packed, limit)
    if body is None:
        raise too_large(limit)
    return body


def hold(request: Request, room: ExitStack, size: int) -> None:
    """Reserves `size` bytes until `room` is closed."""
    room.enter_context(request.state["bodies"].hold(client(request), size))


async def _next(request: Request) -> Message:
    try:
        async with asyncio.timeout(STALL_S):
            return await request.receive()
    except TimeoutError:
        raise HTTPException(408, f"the body paused for more than {STALL_S:g} s") from None


def too_large(limit: int) -> HTTPException:
    """The error for a body above the limit."""
    return HTTPException(
        413,
        f"the body is larger than {limit:,} bytes, the limit of this server; send fewer rows per "
        "request, or a binary form (.npz, Arrow)",
    )

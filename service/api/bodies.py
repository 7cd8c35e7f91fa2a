"""The one place that reads a request's body into a schema.

A small body is parsed where it stands. A large one waits for its turn in a process apart, and the
bytes that such bodies hold until then are bounded, in all and by caller.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import ExitStack
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.api.clients import client
from service.api.hanging_up import unless_gone
from service.api.parsing import parse
from service.api.state import Request
from service.schemas.base import Request as Body

LARGE = 2**20
"""Bytes above which a body is parsed apart. So many take 6 ms to parse here, while nobody else is
served, and 11 ms there and back."""
STALL_S = 30.0
"""Seconds that a body may pause for."""

BodyT = TypeVar("BodyT", bound=Body)

_JSON = re.compile(r"application/(?:[\w.!#$&^-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)


async def read(request: Request, schema: type[BodyT]) -> BodyT:
    """The body as `schema`."""
    return (await read_marked(request, schema, mark=False))[0]


async def read_marked(
    request: Request, schema: type[BodyT], *, mark: bool
) -> tuple[BodyT, bytes | None]:
    """The body as `schema`, and with `mark` the SHA-256 of its bytes."""
    with ExitStack() as room:
        body = await _bytes(request, room)
        if len(body) <= LARGE:
            return parse(body, schema), hashlib.sha256(body).digest() if mark else None
        digest = await asyncio.to_thread(_digest, body) if mark else None
        parsing = request.state["parser"].parse(body, schema)
        return await unless_gone(request, parsing), digest


def _digest(body: bytes | bytearray) -> bytes:
    return hashlib.sha256(body).digest()


async def _bytes(request: Request, room: ExitStack) -> bytes | bytearray:
    """The body, which is said to be JSON and is no more than the limit. If it is large, `room`
    holds a place for its bytes."""
    limit = request.state["settings"].max_body_bytes
    said = _check_headers(request, limit)
    if said > LARGE:
        _hold(request, room, said)
    body: bytes | bytearray = b""
    more = True
    while more:
        # The first part of a small body holds nothing while it is waited for, and a clock costs.
        message = await (_next(request) if body or said > LARGE else request.receive())
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
            raise _too_large(limit)
        if len(body) > LARGE >= said:
            said = limit
            _hold(request, room, said)
    return body


def _hold(request: Request, room: ExitStack, size: int) -> None:
    room.enter_context(request.state["bodies"].hold(client(request), size))


async def _next(request: Request) -> Message:
    try:
        async with asyncio.timeout(STALL_S):
            return await request.receive()
    except TimeoutError:
        raise HTTPException(408, f"the body paused for more than {STALL_S:g} s") from None


def _check_headers(request: Request, limit: int) -> int:
    """The body's length, as far as it is said: 0 where it is not."""
    media_type, encoding, length = "", "", 0
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            media_type = value.decode("latin-1")
        elif name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    if length > limit:
        raise _too_large(limit)
    if not _JSON.match(media_type):
        raise HTTPException(415, _not_json(media_type))
    if encoding and encoding.lower() != "identity":
        raise HTTPException(415, "the body must not be compressed: send no Content-Encoding")
    return length


def _not_json(media_type: str) -> str:
    got = f"not '{media_type[:80]}'" if media_type else "and none was sent"
    return (
        f"the body's Content-Type must be application/json, {got}; "
        "with curl, use `curl --json '{...}'` (it sends the header that `curl -d` does not)"
    )


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"the body is larger than the {limit} bytes that this server reads in one request"
    )

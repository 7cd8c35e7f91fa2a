"""HTTP responses: bytes with their media type. Long ones are streamed, with backpressure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack

import anyio
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.concurrency import FairLimiter
from service.jobs.job import Stored
from service.schemas.base import Answer
from service.schemas.problems import Problem

PROBLEM = "descent.problem"
"""Key in a request's scope: the type of the problem that it was answered with."""
_DRAIN_BYTES = 64 * 2**20
_DRAIN_S = 5.0


JSON = "application/json"
PIECE = 2**16
"""Bytes of an answer that are sent in one message."""


class LongAnswer(StreamingResponse):
    """A streamed answer, with the reservations that are released once it has been sent."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        status: int,
        headers: Mapping[str, str] | None,
        media_type: str,
        room: ExitStack | None = None,
    ) -> None:
        super().__init__(pieces, status, headers, media_type)
        self._room = room or ExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._room:
            await super().__call__(scope, receive, send)


def json_answer(
    answer: Answer | Stored, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer, or its JSON; it ends in a newline, for terminals."""
    content = answer.document() if isinstance(answer, Answer) else answer
    return stored((content, b"\n"), status, headers, JSON)


def stored(
    parts: tuple[Stored, ...],
    status: int,
    headers: Mapping[str, str] | None,
    media_type: str,
    room: ExitStack | None = None,
) -> Response:
    """An answer whose bytes are available, in parts; long ones are streamed without being
    joined."""
    length = sum(map(len, parts))
    if length <= PIECE and room is None:
        return Response(b"".join(parts), status, headers, media_type)
    sized = {**(headers or {}), "Content-Length": str(length)}
    return LongAnswer(_sliced(parts), status, sized, media_type, room)


def made_meanwhile(
    pieces: Iterator[bytes],
    turns: FairLimiter,
    caller: str,
    headers: Mapping[str, str] | None = None,
    room: ExitStack | None = None,
) -> Response:
    """The JSON of an answer that is serialized while it is sent, in a thread."""
    return LongAnswer(_written(pieces, turns, caller), 200, headers, JSON, room)


async def _sliced(parts: tuple[Stored, ...]) -> AsyncIterator[bytes]:
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(part), PIECE):
            yield bytes(view[start : start + PIECE])
            await asyncio.sleep(0)  # a fast reader would block the event loop


async def _written(
    pieces: Iterator[bytes], turns: FairLimiter, caller: str
) -> AsyncIterator[bytes]:
    while True:
        async with turns.turn(caller):
            piece = await asyncio.to_thread(_gathered, pieces)
        if not piece:
            break
        yield piece
    yield b"\n"


def _gathered(pieces: Iterator[bytes]) -> bytes:
    """The next pieces, up to PIECE bytes or a little more."""
    some, length = [], 0
    for piece in pieces:
        some.append(piece)
        length += len(piece)
        if length >= PIECE:
            break
    return b"".join(some)


class Health(Answer):
    """The answer of a health check."""

    status: str
    """`ok`."""


class ProblemAnswer(Response):
    """An RFC 9457 problem; members that do not apply are left out, not null."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.document() + b"\n", problem.status, headers)
        help_at = f'</problems/{problem.type}>; rel="help"'
        self.raw_headers.append((b"link", help_at.encode()))
        self._type = problem.type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PROBLEM] = self._type
        await super().__call__(scope, receive, send)


class LastAnswer(ProblemAnswer):
    """A problem after which the connection is closed while the caller is still sending.


    Closing at once would reset the connection, which many clients would report instead of the
    answer. So the answer is sent first, then further input is read and discarded up to a limit,
    then the connection is closed (RFC 9112, section 9.6).
    """

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem, {**(headers or {}), "Connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PROBLEM] = self._type
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(_DRAIN_S):
            await _drain(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    left, more = _DRAIN_BYTES, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)

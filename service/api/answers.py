"""Answers as they leave: bytes that pydantic wrote, with their media type."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.schemas.base import Answer
from service.schemas.problems import Problem

PROBLEM = "descent.problem"
"""Where a request's scope has the type of the problem that it was answered with."""
_DRAIN_BYTES = 64 * 2**20
_DRAIN_S = 5.0


def json_answer(
    answer: Answer | bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer, or the JSON of one; the newline is for whoever reads it in a terminal."""
    content = answer if isinstance(answer, bytes) else answer.document()
    return Response(content + b"\n", status, headers, "application/json")


class Health(Answer):
    """A sign of life."""

    status: str


class ProblemAnswer(Response):
    """An RFC 9457 problem; what does not apply is left out rather than null."""

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
    """A problem that ends its connection while the caller is still sending.

    Closing at once would reset the connection, and many a client would report that in place of the
    answer. So the answer goes out whole, then what still comes in is thrown away, up to bounds,
    and only then the connection closes (RFC 9112, section 9.6).
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

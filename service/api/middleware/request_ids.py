"""X-Request-ID on every answer, so that a caller's log and the server's can be correlated; and W3C
Trace Context: the trace of a request that has a `traceparent` is continued."""

from __future__ import annotations

import re
import secrets
import uuid
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SANE = re.compile(rb"[\w.:/+=@-]{1,128}\Z", re.ASCII)
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = "descent.request_id"


class Span(NamedTuple):
    """The server's span in a caller's trace."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def header(self) -> bytes:
        """The `traceparent` value."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}".encode()


CURRENT_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered, for the log."""
CURRENT_SPAN: ContextVar[Span | None] = ContextVar("trace", default=None)
"""The span of the request that is being answered, for the log."""


class RequestIds:
    """Assigns each request its id, the caller's X-Request-ID where valid, and its span where it has
    a `traceparent`; the answer has both."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = parent = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"traceparent":
                parent = value
        identity = given if _SANE.match(given) else uuid.uuid4().hex.encode()
        scope[_KEY] = identity.decode()
        CURRENT_ID.set(scope[_KEY])
        added = [(b"x-request-id", identity)]
        if parent and (span := child(parent)):
            CURRENT_SPAN.set(span)
            added.append((b"traceparent", span.header))

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self.app(scope, receive, send_with_ids)


def request_id(scope: Scope) -> str | None:
    """The id of the request; None outside of `RequestIds`."""
    identity: str | None = scope.get(_KEY)
    return identity


def child(parent: bytes) -> Span | None:
    """A child of the span that a `traceparent` names; None where it is not valid (section 3.2 of
    the recommendation: version ff, all-zero ids, more fields than version 00 has)."""
    found = _PARENT.fullmatch(parent)
    if found is None or found[1] == b"ff" or (found[1] == b"00" and found[5]):
        return None
    if not found[2].strip(b"0") or not found[3].strip(b"0"):
        return None
    return Span(found[2].decode(), secrets.token_hex(8), found[4].decode())

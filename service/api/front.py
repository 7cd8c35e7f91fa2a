"""The front of every request: its id, its trace, its host; and the headers of every answer.

One plain ASGI layer, since each costs a small prediction some microseconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import request_id, trace
from service.api.error_handlers import refuse
from service.errors import Misdirected

_Pair = tuple[bytes, bytes]

ALWAYS: tuple[_Pair, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: _Pair = (b"cache-control", b"no-store")
"""Where a route says nothing else: nearly all answers are somebody's data."""
NOTHING: _Pair = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For answers that are no page: opened in a browser, they may load and run nothing."""
FRAMELESS: _Pair = (
    b"content-security-policy",
    b"frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
)
"""For a page that brings no policy of its own."""


class Front:
    """Gives each request an id, the one it came with where that is sane; refuses other hosts."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = ()) -> None:
        self.app = app
        self._hosts = Hosts(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given, host, parent = _heads(scope)
        identity = request_id.sane(given) or uuid.uuid4().hex.encode()
        extra = (*ALWAYS, (b"x-request-id", identity))
        request_id.mark(scope, identity.decode())
        if parent and (span := trace.child(parent)):
            trace.mark(scope, span)
            extra = (*extra, (b"traceparent", span.header))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _completed([*message.get("headers", ())], extra)
            await send(message)

        if self._hosts and not self._hosts.know(host):
            await refuse(Misdirected(), scope, receive, send_with_headers)
        elif scope["method"] == "HEAD":
            await _head(self.app, scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)


class Hosts:
    """The names by which the service may be called; `*.example.org` is all below that."""

    def __init__(self, names: Iterable[str]) -> None:
        allowed = {name.strip().lower() for name in names} - {""}
        self._any = not allowed or "*" in allowed
        self._names = frozenset(allowed)
        self._below = tuple(name[1:] for name in allowed if name.startswith("*."))

    def __bool__(self) -> bool:
        return not self._any

    def know(self, host: bytes) -> bool:
        """Whether a Host header, its port apart, is one of them."""
        name = host.decode("latin-1").lower()
        if not name.endswith("]"):
            bare, colon, port = name.rpartition(":")
            name = bare if colon and port.isdigit() else name
        return name in self._names or bool(self._below and name.endswith(self._below))


def _heads(scope: Scope) -> tuple[bytes, bytes, bytes]:
    """X-Request-ID, Host and traceparent."""
    given = host = parent = b""
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"x-request-id":
            given = value
        elif name == b"traceparent":
            parent = value
    return given, host, parent


def _completed(headers: list[_Pair], extra: tuple[_Pair, ...]) -> list[_Pair]:
    """The headers with ours, except where a route has said something else itself."""
    said = dict(headers)
    made = [*headers, *(pair for pair in extra if pair[0] not in said)]
    if b"cache-control" not in said:
        made.append(NO_STORE)
    if b"content-security-policy" not in said:
        page = said.get(b"content-type", b"").startswith(b"text/html")
        made.append(FRAMELESS if page else NOTHING)
    return made


async def _head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """HEAD is GET without its body, and over as soon as the headers are out: a stream has no end
    that is worth waiting for."""
    answered = False

    async def send_head(message: Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start":
            answered = True
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive_until_answered() -> Message:
        return {"type": "http.disconnect"} if answered else await receive()

    inner = {**scope, "method": "GET"}
    await app(inner, receive_until_answered, send_head)
    for key in ("route", "descent.problem"):
        if key in inner:
            scope[key] = inner[key]

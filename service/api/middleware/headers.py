"""The default headers of every answer, and HEAD as GET without its body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.answers import PROBLEM

_Pair = tuple[bytes, bytes]

DEFAULT_HEADERS: tuple[_Pair, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: _Pair = (b"cache-control", b"no-store")
"""The default: nearly all answers hold a caller's data."""
DEFAULT_POLICY: _Pair = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""The policy of answers that are not pages: a browser loads and runs nothing in them."""
PAGE_POLICY: _Pair = (
    b"content-security-policy",
    b"frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
)
"""The policy of a page that sets none."""


class DefaultHeaders:
    """Adds the default headers where the route set none, and answers HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_defaults(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_defaults([*message.get("headers", ())])
            await send(message)

        if scope["method"] == "HEAD":
            await _answer_head(self.app, scope, receive, send_with_defaults)
        else:
            await self.app(scope, receive, send_with_defaults)


def _with_defaults(headers: list[_Pair]) -> list[_Pair]:
    """The response headers with the defaults added where the route set none."""
    present = dict(headers)
    completed = [*headers, *(pair for pair in DEFAULT_HEADERS if pair[0] not in present)]
    if b"cache-control" not in present:
        completed.append(NO_STORE)
    if b"content-security-policy" not in present:
        page = present.get(b"content-type", b"").startswith(b"text/html")
        completed.append(PAGE_POLICY if page else DEFAULT_POLICY)
    return completed


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
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
    for key in ("route", "endpoint", PROBLEM):
        if key in inner:
            scope[key] = inner[key]

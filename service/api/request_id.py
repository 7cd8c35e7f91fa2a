"""X-Request-ID: on every answer, so that a caller's log and ours can be laid side by side."""

from __future__ import annotations

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SANE = re.compile(rb"[\w.:/+=@-]{1,128}\Z", re.ASCII)
_KEY = "descent.request_id"


class RequestId:
    """Gives each request an id: the one it came with, where that is sane, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = _given(scope) or uuid.uuid4().hex.encode()
        scope[_KEY] = identity.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity)]
            await send(message)

        await self.app(scope, receive, send_with_id)


def request_id(scope: Scope) -> str | None:
    """The id of the request with this scope."""
    identity: str | None = scope.get(_KEY)
    return identity


def _given(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value if _SANE.match(value) else None
    return None

"""A line of the log for each request, where DESCENT_ACCESS_LOG is set."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.answers import PROBLEM
from service.api.middleware.api_keys import OWNER
from service.api.middleware.metrics import route_label
from service.api.middleware.request_ids import request_id

log = logging.getLogger("descent.access")


class AccessLog:
    """Logs each request when it has been answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        finally:
            _log(scope, status, 1000 * (perf_counter() - began))


def _log(scope: Scope, status: int, took_ms: float) -> None:
    client = scope["client"][0] if scope.get("client") else None
    # Not decoded: it could contain line breaks that forge log lines.
    path = scope.get("raw_path", b"").decode("latin-1")
    fields = {
        "method": scope["method"],
        "path": path,
        "route": route_label(scope),
        "status": status,
        "duration_ms": round(took_ms, 3),
        "client": client,
        "key": scope.get(OWNER),
        "job_id": scope.get("path_params", {}).get("job_id"),
        "problem": scope.get(PROBLEM),
    }
    present = {name: value for name, value in fields.items() if value is not None}
    named = request_id(scope)
    log.info("%s %s %d %.1f ms [%s]", scope["method"], path, status, took_ms, named, extra=present)

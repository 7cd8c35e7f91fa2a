"""A route that passes the request straight to its endpoint."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(APIRoute):
    """Calls `endpoint(request, **path_params)`.

    Bodies and queries are read by `reading` and `queries`, so FastAPI's dependency resolution,
    which takes longer than a small prediction, is skipped. Exceptions go to the application's
    handlers."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = _direct(endpoint)


def _direct(endpoint: Callable[..., Coroutine[Any, Any, Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send), **scope["path_params"])
        await response(scope, receive, send)

    return app

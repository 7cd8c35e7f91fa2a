"""Unexpected exceptions, answered with a 500 that reveals nothing."""

from __future__ import annotations

import logging
import traceback

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import errors, fitting
from service.api.error_handlers import refuse
from service.api.http_errors import InternalError
from service.api.middleware.request_ids import request_id

log = logging.getLogger("descent.errors")

_DETAIL = "something went wrong here, not in the request; the server's log has the details"


class UnexpectedErrors:
    """Answers an unexpected exception with a 500 that reveals nothing, and logs the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            if fitting.is_out_of_memory(error):
                # The frames' memory is freed first: logging needs memory too.
                traceback.clear_frames(error.__traceback__)
                log.error("out of memory [%s]: %s", request_id(scope), error)
                await refuse(errors.OutOfMemory(), scope, receive, send)
                return
            # Not decoded: it could contain line breaks that forge log lines.
            path = scope.get("raw_path", b"").decode("latin-1")
            log.exception("%s %s [%s]", scope["method"], path, request_id(scope))
            await refuse(InternalError(_DETAIL), scope, receive, send)

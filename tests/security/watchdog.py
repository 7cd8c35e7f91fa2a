"""The longest turn that the event loop takes while something is done to the service: in seconds of
the processor that the loop's own thread used, which no load of the machine adds to."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import thread_time
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from service.app import create_app
from service.settings import Settings

PART = 2**16
"""Bytes of a body that come at once."""
LONGEST_S = 0.025
"""What no turn may take: five times what is promised, for slow processors; the attacks took more
than ten times as much."""


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    """Asks for the longest turn so far."""
    longest, run = 0.0, asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        nonlocal longest
        began = thread_time()
        run(handle)
        longest = max(longest, thread_time() - began)

    gc.collect()
    gc.disable()  # what the tests themselves hold is no matter of the service's
    try:
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.Handle, "_run", timed)
            yield lambda: longest
    finally:
        gc.enable()


class Told(NamedTuple):
    """An answer, as much of it as one looks at."""

    status: int
    length: int
    start: bytes


class Door:
    """Asks the application as a server would, and throws long answers away."""

    def __init__(self, app: FastAPI, state: Any) -> None:
        self._app, self._state = app, state

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        gone: asyncio.Event | None = None,
        **headers: str,
    ) -> Told:
        """An answer; the caller hangs up when it is there, or earlier where `gone` says so."""
        path, _, query = target.partition("?")
        named = {"host": "localhost", "content-type": "application/json", **headers}
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in named.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
            "state": dict(self._state),
        }
        parts = [body[i : i + PART] for i in range(0, len(body), PART)] or [b""]
        told, sent = Told(0, 0, b""), gone or asyncio.Event()

        async def receive() -> Message:
            if not parts:
                await sent.wait()
                return {"type": "http.disconnect"}
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start":
                told = told._replace(status=message["status"])
                return
            part = message.get("body", b"")
            start = told.start + part if len(told.start) < PART else told.start
            told = Told(told.status, told.length + len(part), start)
            if not message.get("more_body", False):
                sent.set()
            await asyncio.sleep(0)

        await self._app(scope, receive, send)
        return told


@asynccontextmanager
async def door(settings: Settings) -> AsyncIterator[Door]:
    """The whole service, workers and all."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        yield Door(app, state)

"""Both clients over a transport that answers from a script."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import httpx

from service.client import AsyncDescent, Descent

Answer = httpx.Response | BaseException


class Script:
    """Answers in turn, or exceptions; the last one is repeated if `repeat` is set."""

    def __init__(self, *answers: Answer, repeat: bool = False) -> None:
        self.answers, self.repeat = list(answers), repeat
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        at = len(self.requests) - 1
        if at >= len(self.answers) and not self.repeat:
            raise AssertionError(f"unexpected {request.method} {request.url.path}")
        answer = self.answers[min(at, len(self.answers) - 1)]
        if isinstance(answer, BaseException):
            raise answer
        # A new one each time, since a response can be read once.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def calls(self) -> list[str]:
        """Such as POST /fit."""
        return [f"{request.method} {request.url.path}" for request in self.requests]


Run = Callable[..., Any]
"""(script, operation of a client, options of the client) -> the operation's result."""


def blocking(script: Script, operation: Callable[[Any], Any], **options: Any) -> Any:
    http = httpx.Client(transport=httpx.MockTransport(script))
    with http, Descent("http://x", http=http, sleep=script.pauses.append, **options) as client:
        return operation(client)


def asynchronous(script: Script, operation: Callable[[Any], Any], **options: Any) -> Any:
    async def sleep(seconds: float) -> None:
        script.pauses.append(seconds)

    async def run() -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(script))
        async with http, AsyncDescent("http://x", http=http, sleep=sleep, **options) as client:
            result = operation(client)
            return await result if inspect.isawaitable(result) else result

    return asyncio.run(run())


CLIENTS: dict[str, Run] = {"blocking": blocking, "asynchronous": asynchronous}

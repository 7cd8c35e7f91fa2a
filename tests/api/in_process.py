"""Ways into the app without a socket."""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, cast

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from service.api.state import new_state
from service.app import create_app
from service.jobs.service import JobService
from service.settings import Settings
from tests.redis_server import RedisServer, needs

BACKENDS = ("memory", "redis")


@asynccontextmanager
async def real(settings: Settings, backend: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The whole service: with memory and workers, or with Redis and a node. Without `backend`, it
    is that of DESCENT_TEST_BACKEND."""
    async with AsyncExitStack() as stack:
        if (backend or os.environ.get("DESCENT_TEST_BACKEND", "memory")) == "redis":
            settings = settings.model_copy(
                update={"redis_url": own_redis().url, "redis_cell": secrets.token_hex(8)}
            )
            from service.jobs.redis.node import Node

            node = Node(settings)
            await node.start()
            stack.push_async_callback(node.stop)
        app = create_app(settings)
        state = await stack.enter_async_context(app.router.lifespan_context(app))
        yield await stack.enter_async_context(door(app, state))


@cache
def own_redis() -> RedisServer:
    """A Redis for the tests of this process, ended with it."""
    needs("redis-server")
    server = RedisServer()
    server.start()
    atexit.register(server.close)
    return server


@asynccontextmanager
async def fake(jobs: object, settings: Settings | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The API alone, above `jobs`."""
    settings = settings or Settings()
    state = new_state(settings, cast(JobService, jobs))
    async with door(create_app(settings), state) as client:
        yield client


@asynccontextmanager
async def door(app: FastAPI, state: Any) -> AsyncIterator[httpx.AsyncClient]:
    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    transport = httpx.ASGITransport(app=with_state)
    async with httpx.AsyncClient(transport=transport, base_url="http://descent") as client:
        yield client

"""Ways into the app without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from service.api.state import new_state
from service.app import create_app
from service.jobs.service import JobService
from service.settings import Settings


@asynccontextmanager
async def real(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The whole service, workers and all."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state, door(app, state) as client:
        yield client


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

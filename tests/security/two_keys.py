"""The whole service with two keys, and a caller for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI
from starlette.routing import Route

from service.api.middleware.api_keys import new_key
from service.app import create_app
from service.settings import Settings
from tests.api.in_process import door

LINE: dict[str, Any] = {"data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}
ENDLESS: dict[str, Any] = {
    "model": "y = a * exp(-b * x) + c",
    "data": {"x": [0, 1, 2, 3, 4], "y": [5.1, 3.4, 2.4, 1.8, 1.4]},
    "params": {"a": 3.0, "b": 0.3, "c": 0.5},
    "optimizer": "adam",
    "epochs": 10**8,
    "record_every": 10**6,
    "background": True,
}


class Two(NamedTuple):
    """Two callers with a key each, and one with none."""

    app: FastAPI
    alice: httpx.AsyncClient
    mallory: httpx.AsyncClient
    nobody: httpx.AsyncClient


@asynccontextmanager
async def two_keys(**settings: object) -> AsyncIterator[Two]:
    (alice, first), (mallory, second) = new_key("alice"), new_key("mallory")
    made = Settings.model_validate({"keys": f"{first},{second}", "workers": 1, **settings})
    app = create_app(made)
    async with (
        app.router.lifespan_context(app) as state,
        door(app, state) as one,
        door(app, state) as two,
        door(app, state) as three,
    ):
        one.headers["authorization"] = f"Bearer {alice}"
        two.headers["authorization"] = f"Bearer {mallory}"
        yield Two(app, one, two, three)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers, whoever added it."""
    for route in app.routes:
        if isinstance(route, Route):
            for method in sorted(route.methods or {"GET"}):
                yield method, route.path

"""The stores that keep the contract, by name: each test gets an empty one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.jobs.memory_store import MemoryStore
from service.jobs.store import JobStore
from service.settings import Settings

STORES = ("memory", "redis")


def shared(request: pytest.FixtureRequest, settings: Settings, **more: Any) -> Settings:
    """The settings with a cell of the test's own in the session's Redis."""
    url = request.getfixturevalue("redis_server").url
    given = {"redis_url": url, "redis_cell": secrets.token_hex(8), **more}
    return settings.model_copy(update=given)


@asynccontextmanager
async def open_store(
    request: pytest.FixtureRequest, settings: Settings, clock: Any = None
) -> AsyncIterator[JobStore]:
    """The store named by the test's parameter."""
    if request.param == "memory":
        yield MemoryStore(settings, clock)
        return
    settings = shared(request, settings)
    from service.jobs.redis.store import RedisStore

    store = RedisStore(settings, clock)
    try:
        yield store
    finally:
        await store.close()

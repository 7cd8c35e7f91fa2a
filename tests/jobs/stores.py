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


async def advance(store: JobStore, clock: Any, seconds: float) -> None:
    """Lets time pass; for the jobs that wait in Redis, whose clock is not ours, their beginning is
    put back."""
    clock.advance(seconds)
    if isinstance(store, MemoryStore):
        return
    client, prefix, ms = store.client, store.prefix, -int(1000 * seconds)  # type: ignore[attr-defined]
    for job_id in await client.zrange(f"{prefix}waiting", 0, -1):
        await client.zincrby(f"{prefix}waiting", ms, job_id)
        await client.hincrby(f"{prefix}job:{job_id.decode()}", "queued_ms", ms)


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

    store = RedisStore(settings)
    try:
        yield store
    finally:
        await store.close()

"""Chooses the store and the executor by the settings: of this process, or of many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import NamedTuple

from service.jobs.executor import Executor, Observer
from service.jobs.local_executor import LocalExecutor
from service.jobs.memory_store import MemoryStore
from service.jobs.store import JobStore
from service.jobs.timing import Clock
from service.settings import Settings


class NoScale(RuntimeError):
    """DESCENT_REDIS_URL needs two more packages: pip install '.[server,scale]'."""

    def __str__(self) -> str:
        return self.__doc__ or ""


class Backend(NamedTuple):
    """Where jobs are kept and run."""

    store: JobStore
    executor: Executor
    close: Callable[[], Awaitable[None]]
    """Ends the store's connections."""


class BadRedis(RuntimeError):
    """A setting names no Redis."""


def check(settings: Settings) -> None:
    """Raises NoScale where the packages of the extra `scale` are missing, or BadRedis."""
    if not settings.redis_url:
        return
    if find_spec("redis") is None or find_spec("dramatiq") is None:
        raise NoScale
    from service.jobs.redis.connection import BadUrl, check_url

    try:
        check_url("DESCENT_REDIS_URL", settings.redis_url)
        if settings.broker_url:
            check_url("DESCENT_BROKER_URL", settings.broker_url)
    except BadUrl as error:
        raise BadRedis(str(error)) from None


def backend(settings: Settings, clock: Clock, observer: Observer) -> Backend:
    """Memory and local workers; with `redis_url`, Redis and worker nodes."""
    if settings.redis_url:
        from service.jobs.redis.executor import RedisExecutor
        from service.jobs.redis.store import RedisStore

        shared = RedisStore(settings, observer)
        return Backend(shared, RedisExecutor(settings, shared, clock), shared.close)
    store = MemoryStore(settings, clock, observer)
    return Backend(store, LocalExecutor(settings, store, clock, observer=observer), _nothing)


async def _nothing() -> None:
    pass

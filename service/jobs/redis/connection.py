"""Connections to Redis: short time limits, no retries, and its errors as the service's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.errors import StoreUnavailable

_CONNECTIONS = 64
_SCRIPTS = (
    *("create", "find", "record", "change", "claim", "cancel", "delete", "position"),
    *("beat", "stats"),
)

_AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    OSError,
)


def connect(url: str, timeout_s: float) -> Redis:
    """A client of the Redis at `url`. No command is sent twice: a script that was not answered may
    have run."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        health_check_interval=10,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


@contextmanager
def translated() -> Iterator[None]:
    """Raises StoreUnavailable where Redis is away, slow or full."""
    try:
        yield
    except exceptions.OutOfMemoryError as error:
        raise StoreUnavailable("The job store is full; try again later.") from error
    except _AWAY as error:
        raise StoreUnavailable from error
    except exceptions.ResponseError as error:
        if "OOM" not in str(error):
            raise
        raise StoreUnavailable("The job store is full; try again later.") from error


class Scripts:
    """The Lua scripts beside this module, each one atomic step, for the keys of a prefix."""

    def __init__(self, client: Redis, prefix: str) -> None:
        folder = files(__package__)
        shared = folder.joinpath("functions.lua").read_text("utf-8")
        self._prefix = prefix
        self._scripts = {
            name: client.register_script(
                f"{shared}\n{folder.joinpath(f'{name}.lua').read_text('utf-8')}"
            )
            for name in _SCRIPTS
        }

    async def run(self, name: str, *args: Any) -> Any:
        """The reply of a script. Raises StoreUnavailable."""
        with translated():
            return await self._scripts[name](keys=[self._prefix], args=args)

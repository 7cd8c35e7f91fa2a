"""Connections to Redis: short time limits, no retries, and its errors as the service's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.errors import StoreUnavailable

_CONNECTIONS = 64
_SCRIPTS = (
    *("create", "find", "record", "change", "claim", "cancel", "delete", "positions"),
    *("beat", "stats"),
)

_AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.NoPermissionError,
    exceptions.AskError,  # and MovedError
    OSError,
)
_NOT_NOW = (
    *("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "UNBLOCKED"),
    *("DB index", "invalid DB index", "SELECT is not allowed"),
    *("The user executing the script can't", "ACL failure"),
)
"""How the other errors begin that say that this server cannot keep the jobs, or not now."""
_URL = (
    "a URL is expected such as redis://host:6379/0, rediss://user:password@host:6379/0 (TLS) or "
    "unix:///path?db=0, with what a password has of :/?#[]@ percent-encoded"
)


class BadUrl(ValueError):
    """A URL that is not one of a Redis."""


def check_url(name: str, url: str) -> None:
    """Raises BadUrl, which repeats nothing of the URL but the name of an unknown option."""
    try:
        parts = urlsplit(url)
        numbers = [parts.path.strip("/")] if parts.scheme != "unix" else []
        numbers += parse_qs(parts.query).get("db", [])
        if not all(number.isdecimal() for number in filter(None, numbers)):
            raise ValueError
        if parts.scheme != "unix" and not parts.hostname:
            raise ValueError
        BlockingConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except TypeError as error:
        raise BadUrl(f"{name}: {_URL}; {str(error).rpartition('() ')[2]}") from None
    except (ValueError, AttributeError, exceptions.RedisError):
        raise BadUrl(f"{name}: {_URL}") from None


def _pool(url: str, timeout_s: float) -> BlockingConnectionPool:
    """Connections to the Redis at `url`. No command is sent twice: a script that was not answered
    may have run."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        health_check_interval=10,
        retry=Retry(NoBackoff(), 0),
    )


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
        if "OOM" in str(error):
            raise StoreUnavailable("The job store is full; try again later.") from error
        if not str(error).startswith(_NOT_NOW):
            raise
        raise StoreUnavailable from error


def reason(error: Exception) -> str:
    """Why Redis is not available, for the log: callers are not told."""
    cause = error.__cause__
    return str(error) if cause is None else f"{type(cause).__name__}: {cause}"


class Scripts:
    """The Lua scripts beside this module, each one atomic step, for the keys of a prefix; and the
    client that they are run by."""

    def __init__(self, url: str, timeout_s: float, prefix: str) -> None:
        folder = files(__package__)
        shared = folder.joinpath("functions.lua").read_text("utf-8")
        self._prefix, self._new_pool = prefix, partial(_pool, url, timeout_s)
        self.client = Redis.from_pool(self._new_pool())
        self._named = self._address()
        self._scripts = {
            name: self.client.register_script(
                f"{shared}\n{folder.joinpath(f'{name}.lua').read_text('utf-8')}"
            )
            for name in _SCRIPTS
        }

    async def run(self, name: str, *args: Any) -> Any:
        """The reply of a script. Raises StoreUnavailable."""
        async with self.reached():
            try:
                return await self._scripts[name](keys=[self._prefix], args=args)
            except exceptions.MovedError as error:  # it has not run
                await self._turn(error)
                return await self._scripts[name](keys=[self._prefix], args=args)

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[None]:
        """For commands of the client: as `translated`, and the next ones go to another server where
        this one no longer has the cell."""
        with translated():
            try:
                yield
            except _AWAY as error:
                await self._turn(error)
                raise

    def _address(self) -> dict[str, Any]:
        given = self.client.connection_pool.connection_kwargs
        return {name: given[name] for name in ("host", "port") if name in given}

    async def _turn(self, error: Exception) -> None:
        """Connects elsewhere from now on: to the server of a cluster that has the cell, or to the
        one of the URL, whose name may mean another by now."""
        there = self._named
        if isinstance(error, exceptions.MovedError) and there:  # there is none of a socket
            there = {"host": error.host or self._address().get("host"), "port": error.port}
        if there != self._address() or isinstance(error, exceptions.ReadOnlyError):
            earlier, later = self.client.connection_pool, self._new_pool()
            later.connection_kwargs.update(there)
            self.client.connection_pool = later
            await earlier.disconnect()  # what waits on it goes to the new one from now on

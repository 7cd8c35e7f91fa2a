"""The one subscription of a process: what it waits for, published by other processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

log = logging.getLogger("descent.store")

_RETRY_S = 0.5
_POLL_S = 1.0
_ALWAYS = "replica"
"""A channel that is always subscribed to: a connection without one cannot be read."""


class Subscription:
    """Listens on one connection, to the changes of jobs while somebody waits for them, and to
    `channels` for as long as it is open. A message may be lost while Redis is away: who waits reads
    again after a while."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._pubsub: PubSub | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._heard: dict[str, Callable[[str], None]] = {}
        self._lock = asyncio.Lock()

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Calls `heard` with each message on a channel."""
        self._heard[channel] = heard
        await self._subscribe(channel)

    async def register(self, job_id: str, event: asyncio.Event) -> None:
        """Sets the event at each change of the job."""
        waiting = self._waiting.setdefault(job_id, set())
        waiting.add(event)
        if len(waiting) == 1:
            await self._subscribe(f"changed:{job_id}")

    async def unregister(self, job_id: str, event: asyncio.Event) -> None:
        """Ends `register`."""
        waiting = self._waiting.get(job_id, set())
        waiting.discard(event)
        if not waiting and self._waiting.pop(job_id, None) is not None and self._pubsub is not None:
            with suppress(RedisError, OSError):
                async with self._lock:
                    await self._pubsub.unsubscribe(f"{self._prefix}changed:{job_id}")

    async def close(self) -> None:
        """Ends the connection."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._pubsub is not None:
            with suppress(RedisError, OSError):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _subscribe(self, channel: str) -> None:
        with suppress(RedisError, OSError):  # the reader subscribes again
            async with self._lock:
                if self._pubsub is None:
                    self._pubsub = self._client.pubsub()
                await self._pubsub.subscribe(f"{self._prefix}{_ALWAYS}", f"{self._prefix}{channel}")
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            try:
                await self._next()
            except Exception as error:
                if not isinstance(error, RedisError | OSError):
                    log.exception("a message could not be read")
                self._wake_all()
                await asyncio.sleep(_RETRY_S)
                await self._renew()

    async def _next(self) -> None:
        assert self._pubsub is not None
        if self._pubsub.connection is None:  # Redis was away when it was subscribed to
            raise ConnectionError("the subscription has no connection")
        message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
        if message is None:
            return
        channel = message["channel"].decode().removeprefix(self._prefix)
        if channel in self._heard:
            self._heard[channel](message["data"].decode())
        for event in self._waiting.get(channel.removeprefix("changed:"), ()):
            event.set()

    async def _renew(self) -> None:
        """Subscribes again to everything, on a new connection."""
        channels = [_ALWAYS, *self._heard, *(f"changed:{job_id}" for job_id in self._waiting)]
        with suppress(RedisError, OSError):
            async with self._lock:
                if self._pubsub is not None:
                    await self._pubsub.aclose()  # type: ignore[no-untyped-call]
                self._pubsub = self._client.pubsub()
                await self._pubsub.subscribe(*(f"{self._prefix}{each}" for each in channels))
            self._wake_all()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()

"""Limits on what is in use at the same time, in total and by caller; and work that ends where its
caller disconnects."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from service.errors import QueueFull
from service.jobs.fair_queue import FairQueue


class ConcurrencyLimit:
    """A limit on units in use, in total (`most`) and by caller (`share`)."""

    def __init__(
        self, most: int, share: int, full: type[QueueFull], retry_after_s: int, unit: str = ""
    ) -> None:
        self._most, self._share, self._full = most, share, full
        self._retry_after_s = retry_after_s
        self._unit = unit or full.type.removeprefix("too-many-")
        self._held: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    @contextmanager
    def hold(self, client: str, count: int = 1) -> Iterator[None]:
        """Reserves `count` units while the block runs. Raises `full` where they are not
        available."""
        if self._held[client] + count > self._share:
            raise self._full(
                f"This caller uses {self._held[client]:,} of the {self._share:,} "
                f"{self._unit} allowed per caller; try again later.",
                retry_after_s=self._retry_after_s,
            )
        if self._total + count > self._most:
            raise self._full(retry_after_s=self._retry_after_s)
        self._held[client] += count
        self._total += count
        try:
            yield
        finally:
            self._held[client] -= count
            self._total -= count
            if not self._held[client]:
                del self._held[client]


class FairLimiter:
    """At most `count` at a time; waiting callers are served round-robin."""

    def __init__(self, count: int = 1) -> None:
        self._free = count
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue(sys.maxsize)

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Waits for one of the `count` places and holds it while the block runs."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, caller: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(caller, mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._waiting.remove(caller, mine)
            else:
                self._release()
            raise

    def _release(self) -> None:
        if len(self._waiting):
            self._waiting.pop().set_result(None)
        else:
            self._free += 1


T = TypeVar("T")


async def unless_disconnected(request: Request[Any], work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. If the caller disconnects first, `work` is cancelled and
    ClientDisconnect raised. The request's body must have been read."""
    task = asyncio.create_task(work)
    disconnect = asyncio.create_task(_disconnected(request.receive))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        task.cancel()
        disconnect.cancel()
        await asyncio.gather(task, disconnect, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

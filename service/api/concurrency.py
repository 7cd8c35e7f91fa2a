"""Limits on what is in use at the same time, in total and by caller."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from service.errors import QueueFull
from service.jobs.fair_queue import FairQueue


class TooManyStreams(QueueFull):
    """No room for another event stream just now; try again later."""

    type = "too-many-streams"


class TooManyBytes(QueueFull):
    """No room for another large body just now; try again later."""

    type = "too-many-bytes"


class TooManyAnswers(QueueFull):
    """No room for another long answer just now; try again later."""

    type = "too-many-answers"


class TooManyPictures(QueueFull):
    """No room for another picture or long table just now; try again later."""

    type = "too-many-pictures"


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

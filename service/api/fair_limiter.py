"""A limit on work that runs at the same time, granted to waiting callers in turn, so that one
caller's backlog does not delay the others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.jobs.fair_queue import FairQueue


class FairLimiter:
    """So many at once; who waits is served round-robin by caller."""

    def __init__(self, count: int = 1) -> None:
        self._free = count
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue(sys.maxsize)

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Waits for a turn, and has it for as long as it lasts."""
        if self._free:
            self._free -= 1
        else:
            await self._called(caller)
        try:
            yield
        finally:
            self._pass_on()

    async def _called(self, caller: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(caller, mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._waiting.remove(caller, mine)
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        if len(self._waiting):
            self._waiting.pop().set_result(None)
        else:
            self._free += 1

"""Idempotency keys: the same key and body give the same job, however often they come."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.errors import IdempotencyConflict


@dataclass(slots=True)
class Claim:
    """A key in use: for which request, and for which job once there is one."""

    fingerprint: bytes | None
    job_id: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Keys:
    """The last `room` keys, by owner."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._claims: OrderedDict[tuple[str, str], Claim] = OrderedDict()

    @asynccontextmanager
    async def claim(self, owner: str, key: str, fingerprint: bytes | None) -> AsyncIterator[Claim]:
        """The key's claim, held alone: who comes meanwhile with the same key waits.

        IdempotencyConflict where it was used for another request. A claim that is left without a
        job (the request was refused) is forgotten.
        """
        claim = self._claims.setdefault((owner, key), Claim(fingerprint))
        if claim.fingerprint != fingerprint:
            raise IdempotencyConflict
        async with claim.lock:
            # Whoever held it before may have been refused, and have dropped it.
            self._claims[owner, key] = claim
            try:
                yield claim
            finally:
                if claim.job_id is None and self._claims.get((owner, key)) is claim:
                    del self._claims[owner, key]
        while len(self._claims) > self._room:
            self._claims.popitem(last=False)

"""Idempotency keys: the same key and body give the same job, however often they come."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
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
    """The last `room` keys of each owner: nobody's push out another's."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._owners: defaultdict[str, OrderedDict[str, Claim]] = defaultdict(OrderedDict)

    @asynccontextmanager
    async def claim(self, owner: str, key: str, fingerprint: bytes | None) -> AsyncIterator[Claim]:
        """The key's claim, held alone: who comes meanwhile with the same key waits.

        IdempotencyConflict where it was used for another request. A claim that is left without a
        job (the request was refused) is forgotten.
        """
        claims = self._owners[owner]
        claim = claims.setdefault(key, Claim(fingerprint))
        if claim.fingerprint != fingerprint:
            raise IdempotencyConflict
        async with claim.lock:
            # Whoever held it before may have been refused, and have dropped it.
            claims[key] = claim
            try:
                yield claim
            finally:
                if claim.job_id is None and claims.get(key) is claim:
                    del claims[key]
        while len(claims) > self._room:
            claims.popitem(last=False)

"""Idempotency keys: the same key and request give the same job, however often they are sent."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.errors import IdempotencyConflict


@dataclass(slots=True)
class Claim:
    """A key in use: the fingerprint of its request, and its job once it exists."""

    fingerprint: bytes | None
    job_id: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class IdempotencyKeys:
    """The last `room` keys of each owner."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._owners: defaultdict[str, OrderedDict[str, Claim]] = defaultdict(OrderedDict)

    @asynccontextmanager
    async def claim(self, owner: str, key: str, fingerprint: bytes | None) -> AsyncIterator[Claim]:
        """The key's claim, locked: a concurrent request with the same key waits.

        Raises IdempotencyConflict where the key was used for another request. A claim without a job
        at the end (its request was refused) is removed.
        """
        claims = self._owners[owner]
        claim = claims.setdefault(key, Claim(fingerprint))
        if claim.fingerprint != fingerprint:
            raise IdempotencyConflict
        async with claim.lock:
            # The request that held it before may have been refused, and have removed it.
            claims[key] = claim
            try:
                yield claim
            finally:
                if claim.job_id is None and claims.get(key) is claim:
                    del claims[key]
        while len(claims) > self._room:
            claims.popitem(last=False)

"""What is read from Redis: records, documents, histories, and changes that are waited for."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from service.errors import StoreUnavailable, UnknownJob
from service.fitting.packing import unpack
from service.jobs.executor import NULL_OBSERVER, Observer
from service.jobs.fair_queue import SHARE
from service.jobs.history import Rows
from service.jobs.job import Job, Stored, UnreadableRequest
from service.jobs.redis import documents
from service.jobs.redis.connection import Scripts
from service.jobs.redis.documents import DamagedRecord, fields_of, job_of
from service.jobs.redis.subscription import Subscription
from service.jobs.store import Answer, StoreStats
from service.schemas.names import Status
from service.schemas.requests import JobRequest
from service.settings import Settings

log = logging.getLogger("descent.store")

PIECE = 2**18
"""Bytes of a piece of a document: a longer command would hold up everyone else's."""
_STAGED_S = 600
"""Seconds that the pieces of a document are kept that nobody puts in place."""
_REREAD_S = 2.0
"""Seconds after which a job that is waited for is read again, since messages may be lost."""
_PAGE = 1000
"""Jobs of a list that are looked at in one step."""


class Reader:
    """The part of a store that changes nothing but documents that are not in place yet."""

    def __init__(self, settings: Settings, observer: Observer = NULL_OBSERVER) -> None:
        self._settings, self._observer = settings, observer
        self.prefix = f"descent:{{{settings.redis_cell}}}:"
        self.scripts = Scripts(settings.redis_url, settings.redis_timeout_s, self.prefix)
        self.client: Any = self.scripts.client
        self.subscription = Subscription(self.client, self.prefix)
        self.age_ms = int(settings.max_job_age_s * 1000)
        self.limits = json.dumps(
            {
                "unfinished": settings.max_jobs_per_key,
                "queued": settings.max_queued_jobs,
                "share": SHARE,
                "jobs": settings.max_jobs,
                "bytes": settings.max_store_bytes,
                "age": self.age_ms,
            }
        )

    async def close(self) -> None:
        """Ends the connections."""
        await self.subscription.close()
        await self.client.aclose()

    # --- documents --------------------------------------------------------------------------------

    async def stage(self, document: Stored | None) -> tuple[str, Stored]:
        """Writes all pieces of a document but the last. Returns their token, which begins with
        their number, and the last piece."""
        if document is None or len(document) <= PIECE:
            return "", b"" if document is None else document
        view, count = memoryview(document), (len(document) - 1) // PIECE
        token = f"{count}-{secrets.token_urlsafe(12)}"
        name = f"{self.prefix}staged:{token}"
        try:
            async with self.scripts.reached():
                for at in range(0, count * PIECE, PIECE):
                    async with self.client.pipeline(transaction=False) as pipe:
                        pipe.rpush(name, bytes(view[at : at + PIECE]))
                        pipe.expire(name, _STAGED_S)
                        await pipe.execute()
        except StoreUnavailable:
            await self.unstage(token)
            raise
        return token, bytes(view[count * PIECE :])

    async def unstage(self, *tokens: str) -> None:
        """Removes what is staged, as far as Redis answers; the rest expires."""
        names = [f"{self.prefix}staged:{token}" for token in tokens if token]
        if names:
            with suppress(StoreUnavailable):
                async with self.scripts.reached():
                    await self.client.unlink(*names)

    async def document(self, name: str) -> bytes:
        """A document, piece by piece; empty where there is none, or none any more."""
        key, pieces = f"{self.prefix}{name}", []
        async with self.scripts.reached():
            async with self.client.pipeline(transaction=False) as pipe:
                count, pieces = await pipe.llen(key).lrange(key, 0, 0).execute()
            while len(pieces) < count:
                found = await self.client.lrange(key, len(pieces), len(pieces))
                if not found:  # it expired, or gave way
                    return b""
                pieces += found
        return b"".join(pieces)

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        async with self.scripts.reached():
            reply = await self.client.hgetall(f"{self.prefix}job:{job_id}")
        job = job_of(job_id, fields_of(reply)) if reply else None
        if job is None or owner not in (None, job.owner):
            raise UnknownJob(await self.why_unknown(job_id, owner))
        return job

    async def request(self, job_id: str) -> JobRequest:
        document = await self.document(f"request:{job_id}")
        if not document:
            await self.get(job_id)
            raise UnreadableRequest("The request of this job was lost; send it again.")
        request: JobRequest = await _off_the_loop(document, documents.unpack_request)
        return request

    async def answer(self, job_id: str) -> Answer | None:
        if not (await self.get(job_id)).answered:
            return None
        curve = await self.document(f"curve:{job_id}")  # first: both expire at once
        result = await self.document(f"result:{job_id}")
        if not result:
            raise UnknownJob(await self.why_unknown(job_id, None))
        return Answer(result, _curve(job_id, curve) if curve else None)

    async def list(
        self, *, owner: str | None, status: Status | None, limit: int, after: str | None
    ) -> tuple[Sequence[Job], bool]:
        below: str | int = "+inf" if after is None else f"({await self._number(after, owner)}"
        name = f"{self.prefix}all" if owner is None else f"{self.prefix}of:{owner}"
        found: list[Job] = []
        wanted = None if status is None else status.encode()
        async with self.scripts.reached():
            while True:
                # By number: places would shift with each new job.
                page = await self.client.zrevrangebyscore(name, below, "-inf", 0, _PAGE, True)
                if not page:
                    return found, False
                below = f"({int(page[-1][1])}"
                if status is not None:
                    kept = await self._each("hget", [job_id for job_id, _ in page], "status")
                    page = [each for each, one in zip(page, kept, strict=True) if one == wanted]
                if len(page) > (most := limit - len(found) + 1):
                    page = page[:most]
                    below = f"({int(page[-1][1])}"
                ids = [job_id for job_id, _ in page]
                for job_id, record in zip(ids, await self._each("hgetall", ids), strict=True):
                    job = _listed(job_id.decode(), record)
                    if job is None or status not in (None, job.status):
                        continue
                    if len(found) == limit:
                        return found, True
                    found.append(job)

    async def _each(self, command: str, ids: Sequence[bytes], *args: str) -> Sequence[Any]:
        """The replies of a command for each record; an exception where it fails."""
        async with self.client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                getattr(pipe, command)(f"{self.prefix}job:{job_id.decode()}", *args)
            replies: Sequence[Any] = await pipe.execute(raise_on_error=False) if ids else []
        return replies

    async def _number(self, job_id: str, owner: str | None) -> int:
        async with self.scripts.reached():
            size = await self.client.hget(f"{self.prefix}sizes", job_id)
        if size is not None:
            _, number, of, *_ = json.loads(size)
            if owner in (None, of):
                return int(number)
        tombstone = await self._tombstone(job_id, owner)
        if tombstone is None:
            raise UnknownJob(await self.why_unknown(job_id, owner))
        return int(tombstone[1])

    async def _tombstone(self, job_id: str, owner: str | None) -> tuple[str, int, str] | None:
        async with self.scripts.reached():
            found = await self.client.get(f"{self.prefix}gone:{job_id}")
        if found is None:
            return None
        of, number, why = json.loads(found)
        return (of, number, why) if owner in (None, of) else None

    async def why_unknown(self, job_id: str, owner: str | None) -> str:
        """The message of UnknownJob."""
        shown = job_id if len(job_id) <= 40 else job_id[:40] + "…"
        tombstone = await self._tombstone(job_id, owner)
        if tombstone is None:
            return f"There is no job '{shown}': it is unknown, or it expired long ago."
        if tombstone[2] == "deleted":
            return f"There is no job '{shown}' any more: it was deleted."
        if tombstone[2] == "damaged":
            return f"There is no job '{shown}' any more: its record was damaged."
        return (
            f"There is no job '{shown}' any more: it expired, to make room or because of its age."
        )

    async def history(
        self,
        job_id: str,
        *,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> Rows:
        first = "-" if after_epoch is None else f"({after_epoch}-1"
        async with self.scripts.reached():
            entries = await self.client.xrange(f"{self.prefix}history:{job_id}", first)
        if not entries:
            await self.get(job_id)
        rows = documents.joined([documents.unpack_rows(entry[b"rows"]) for _, entry in entries])
        rows = rows.after(after_epoch)
        rows = rows if limit is None else rows[:limit]
        return rows if max_points is None else rows.thin(max_points)

    async def changed(self, job_id: str, version: int) -> Job:
        event = asyncio.Event()
        try:
            await self.subscription.register(job_id, event)
            while True:
                event.clear()
                job = await self.get(job_id)
                if job.version > version:
                    return job
                with suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), _REREAD_S)
        finally:
            await self.subscription.unregister(job_id, event)

    async def stats(self) -> StoreStats:
        counts, nbytes, queued, waited_ms, *_ = await self.scripts.run("stats", self.age_ms)
        return StoreStats(
            jobs={status: int(count) for status, count in fields_of(counts).items()},
            nbytes=nbytes,
            queued=queued,
            oldest_wait_s=waited_ms / 1000,
        )

    async def nodes(self) -> Nodes:
        """The nodes that are alive."""
        *_, alive, mean_s = await self.scripts.run("stats", self.age_ms)
        return Nodes.of(alive, mean_s)

    async def places(self, job_ids: Sequence[str]) -> tuple[Sequence[int | None], Nodes]:
        """The number of jobs before each, None where it is not in the queue; and the nodes."""
        positions, *nodes = await self.scripts.run("positions", *job_ids)
        return positions, Nodes.of(*nodes)


class Nodes(NamedTuple):
    """The nodes of a cell."""

    slots: int
    mean_s: float
    """Mean duration of recent jobs."""

    @classmethod
    def of(cls, alive: Sequence[bytes], mean_s: bytes) -> Nodes:
        """The nodes of a script's answer, which have their slots behind their names."""
        return cls(sum(int(node.rpartition(b":")[2]) for node in alive), float(mean_s))


def _listed(job_id: str, record: Any) -> Job | None:
    """The job of a list; None where its record is gone, or cannot be read."""
    if not record:
        return None
    try:
        if isinstance(record, Exception):
            raise DamagedRecord(f"the record of {job_id} cannot be read: {record}")
        return job_of(job_id, fields_of(record))
    except DamagedRecord as error:
        log.error("left out of a list: %s", error)
        return None


def _curve(job_id: str, document: bytes) -> Any:
    """The curve of a job; None where another version wrote it that has other curves."""
    try:
        return unpack(document, any_version=True)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        log.exception("the curve of %s cannot be read", job_id)
        return None


async def _off_the_loop(document: bytes, read: Any) -> Any:
    """Long documents are read in a thread."""
    return read(document) if len(document) <= PIECE else await asyncio.to_thread(read, document)

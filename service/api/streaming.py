"""A job's updates as they go over the wire: server-sent events, or JSON lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api import views
from service.api.concurrency import ConcurrencyLimit
from service.api.histories import Histories
from service.errors import UnknownJob
from service.jobs.history import Rows
from service.jobs.job import Job
from service.jobs.service import JobService

EVENTS, LINES = "text/event-stream", "application/jsonl"

PACE_S = 0.1
"""Seconds between two events of one job, at least, unless it ends: as live as an eye can tell."""
RETRY_MS = 2_000
"""After how long a browser that lost its connection comes again."""
NEVER_MS = 3_600_000
"""The same once the job has ended, for those that come again although there is no more."""
EVENT_NUMBERS = 8_192
"""Numbers of history in one event; more rows make more events, so that none takes long to write."""


class News(NamedTuple):
    """An event."""

    kind: Literal["progress", "done"]
    document: bytes
    """Its JSON."""
    last_epoch: int | None
    quiet: bool = False
    """Whether it says no more than that the stream is alive."""


Encode = Callable[[News], bytes]


class Stream(StreamingResponse):
    """An answer that goes on until the job ends, and holds one of the places meanwhile."""

    def __init__(
        self, chunks: AsyncIterator[bytes], media_type: str, streams: ConcurrencyLimit, client: str
    ) -> None:
        # Proxies that buffer answers (nginx by default) let these through as they come.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._streams, self._client = streams, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.hold(self._client):
            await super().__call__(scope, receive, send)


async def news(
    service: JobService,
    watched: Job,
    after_epoch: int | None,
    keep_alive_s: float,
    histories: Histories,
    caller: str = "",
) -> AsyncIterator[News]:
    """What happens to a job. Nothing is kept for the reader: however late it asks for the next
    event, that has all that is new."""
    last, seen = after_epoch, -1
    async for update in service.watch(
        watched.id, watched.owner, after_epoch, keep_alive_s=keep_alive_s
    ):
        job = update.job
        quiet, seen = job.version == seen, job.version
        for rows in _parts(update.rows):
            last = int(rows.epoch[-1]) if len(rows) else last
            if len(rows) or not job.finished:
                written = await histories.written(job, rows, caller)
                yield News("progress", views.progress(job, written, last, service), last, quiet)
        if job.finished:
            yield News("done", views.done(job, last, service), last)
            return
        with suppress(UnknownJob):
            await service.wait(watched.id, PACE_S)


async def chunks(
    told: AsyncIterator[News], encode: Encode, greeting: bytes = b""
) -> AsyncIterator[bytes]:
    """The bytes to send, piece by piece."""
    if greeting:
        yield greeting
    async for one in told:
        yield encode(one)
        await asyncio.sleep(0)  # a long history is many events, and others have theirs to send


def as_events(told: News) -> bytes:
    """As a server-sent event whose id is the epoch; a sign of life is a comment."""
    if told.quiet:
        return b": still here\n\n"
    lines = [b"event: %b" % told.kind.encode(), b"data: " + told.document]
    if told.last_epoch is not None:
        lines.append(b"id: %d" % told.last_epoch)
    if told.kind == "done":
        lines.append(b"retry: %d" % NEVER_MS)
    return b"\n".join(lines) + b"\n\n"


def as_lines(told: News) -> bytes:
    """As a line of JSON; a sign of life is a `progress` without rows."""
    return told.document + b"\n"


def _parts(rows: Rows) -> Iterator[Rows]:
    """The rows, so many at a time; none are one part too."""
    size = max(1, EVENT_NUMBERS // (2 + 2 * rows.params.shape[1]))
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size]

"""A job's updates as they go over the wire: server-sent events, or JSON lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api import views
from service.api.places import Places
from service.errors import UnknownJob
from service.jobs.history import Rows
from service.jobs.job import Job
from service.jobs.service import JobService
from service.schemas.jobs import DoneEvent, ProgressEvent

Event = ProgressEvent | DoneEvent
Encode = Callable[[Event], bytes]

EVENTS, LINES = "text/event-stream", "application/jsonl"

PACE_S = 0.1
"""Seconds between two events of one job, at least: as live as an eye can tell."""
RETRY_MS = 2_000
"""After how long a reader that lost its connection comes again."""
NEVER_MS = 3_600_000
"""The same once the job has ended: a browser that does not close its EventSource comes again."""

_EVENT_NUMBERS = 8_192
"""Numbers of history in one event; more rows make more events, so that none takes long to write."""


class Stream(StreamingResponse):
    """An answer that goes on until the job ends, and holds one of the places meanwhile."""

    def __init__(
        self, updates: AsyncIterator[bytes], media_type: str, streams: Places, client: str
    ) -> None:
        # Proxies that buffer answers (nginx by default) let these through as they come.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
        super().__init__(updates, headers=headers, media_type=media_type)
        self._streams, self._client = streams, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.hold(self._client):
            await super().__call__(scope, receive, send)


async def updates(
    service: JobService, job_id: str, after_epoch: int | None, keep_alive_s: float
) -> AsyncIterator[Event | None]:
    """What happens to a job, as events; None where nothing has happened for a while.

    Nothing is kept for the reader: however late it asks for the next one, that has all that is new.
    """
    last, seen = after_epoch, -1
    watched = service.watch(job_id, "", after_epoch, keep_alive_s=keep_alive_s)
    async for update in watched:
        job = update.job
        if job.version == seen and not job.finished:
            yield None
            continue
        seen = job.version
        for rows in _parts(update.rows):
            last = int(rows.epoch[-1]) if len(rows) else last
            if len(rows) or not job.finished:
                yield views.progress_event(job, rows, last, service)
        if job.finished:
            yield views.done_event(job, last, service)
        elif not await _rest(service, job_id):
            return


def as_events(event: Event) -> bytes:
    """As a server-sent event, with the epoch as its id."""
    done = isinstance(event, DoneEvent)
    return format_sse_event(
        data_str=event.model_dump_json(),
        event=event.event,
        id=None if event.last_epoch is None else str(event.last_epoch),
        retry=NEVER_MS if done else None,
    )


def as_lines(event: Event) -> bytes:
    """As a line of JSON."""
    return event.model_dump_json().encode() + b"\n"


async def written(
    events: AsyncIterator[Event | None], encode: Encode, greeting: bytes, keep_alive: bytes
) -> AsyncIterator[bytes]:
    """Bytes to send, piece by piece."""
    if greeting:
        yield greeting
    async for event in events:
        yield keep_alive if event is None else encode(event)
        await asyncio.sleep(0)  # a long history is many events, and others have theirs to send

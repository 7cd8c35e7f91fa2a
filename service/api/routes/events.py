"""GET /jobs/{job_id}/events: a job's updates as server-sent events or JSON lines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter
from fastapi.sse import format_sse_event
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api import head as heads
from service.api import openapi, queries, views
from service.api.concurrency import ConcurrencyLimit
from service.api.direct_route import DirectRoute
from service.api.queries import EventsQuery
from service.api.state import Request
from service.api.views import Histories
from service.errors import InvalidRequest, UnknownJob
from service.jobs.history import Rows
from service.jobs.job import Job
from service.jobs.service import JobService

router = APIRouter(tags=["jobs"], default_response_class=Response, route_class=DirectRoute)

EVENTS, LINES = "text/event-stream", "application/jsonl"

PACE_S = 0.1
"""The least seconds between two events of one job, except its last."""
RETRY_MS = 2_000
"""Milliseconds after which a browser reconnects."""
NEVER_MS = 3_600_000
"""The same once the job has ended, for clients that reconnect although nothing follows."""
EVENT_NUMBERS = 8_192
"""Numbers of history in one event; more rows are split into several events."""
_EPOCH = re.compile(r"\d{1,18}", re.ASCII)
_LINES = (LINES, "application/x-ndjson", "application/jsonlines", "application/ndjson")
_HEADERS = [
    openapi.header(
        "Last-Event-ID",
        "The last epoch received: the stream continues after it. A browser's EventSource "
        "sends it when it reconnects; it overrides `after_epoch`.",
        pattern="^[0-9]{0,18}$",
    ),
    openapi.header(
        "Accept",
        "`application/jsonl` for JSON lines; server-sent events otherwise.",
        "text/event-stream",
    ),
]
_DESCRIBED: dict[str, Any] = {
    "parameters": [*openapi.query(EventsQuery)["parameters"], *_HEADERS],
}


@router.get(
    "/jobs/{job_id}/events",
    operation_id="watch_job",
    summary="Watch a job live",
    responses={
        200: openapi.stream("The job's events, until it ends"),
        **openapi.refusals(404, 422, 429, 500),
    },
    openapi_extra=_DESCRIBED,
)
async def watch_job(request: Request, job_id: str) -> Response:
    """Server-sent events: `progress` with the rows recorded since the last one, at most ten a
    second, then `done` with the job, and the stream ends. Each event's `id` is the epoch of the
    last row sent. The fit itself is at `GET /jobs/{job_id}`: `done` does not repeat the rows that
    `progress` had. With `Accept: application/jsonl` the same events are lines of JSON."""
    after_epoch = queries.read(request, EventsQuery).after_epoch
    head = heads.read(request, forms={})
    if head.last_event_id:
        after_epoch = _epoch(head.last_event_id)
    service, settings = request.state["jobs"], request.state["settings"]
    job = await service.get(job_id, head.owner)
    histories, caller = request.state["histories"], head.client
    news = events(service, job, after_epoch, settings.keep_alive_s, histories, caller)
    if _prefers_lines(head.accept):
        media_type, sent = LINES, chunks(news, as_lines)
    else:
        greeting = format_sse_event(retry=RETRY_MS)
        media_type = EVENTS
        sent = chunks(news, as_events, greeting)
    return Stream(sent, media_type, request.state["streams"], caller)


def _epoch(event_id: str) -> int:
    if not _EPOCH.fullmatch(event_id):
        raise InvalidRequest("header 'Last-Event-ID' must be an epoch: the id of an event")
    return int(event_id)


def _prefers_lines(accept: str) -> bool:
    """Whether Accept ranks JSON lines before server-sent events (RFC 9110, section 12.5.1)."""
    ranks = dict(heads.accepted(accept))
    lines = max(ranks.get(kind, 0.0) for kind in _LINES)
    return lines > ranks.get(EVENTS, 0.0)


class Event(NamedTuple):
    """One event of a job."""

    kind: Literal["progress", "done"]
    document: bytes
    """Its JSON."""
    last_epoch: int | None
    keep_alive: bool = False
    """Whether it is only a keep-alive."""


Encode = Callable[[Event], bytes]


class Stream(StreamingResponse):
    """An answer that lasts until the job ends, and counts against the limit of streams."""

    def __init__(
        self, chunks: AsyncIterator[bytes], media_type: str, streams: ConcurrencyLimit, client: str
    ) -> None:
        # nginx buffers answers by default; X-Accel-Buffering turns that off.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._streams, self._client = streams, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.hold(self._client):
            await super().__call__(scope, receive, send)


async def events(
    service: JobService,
    watched: Job,
    after_epoch: int | None,
    keep_alive_s: float,
    histories: Histories,
    caller: str = "",
) -> AsyncIterator[Event]:
    """The events of a job. Nothing is buffered for a slow reader: its next event has all rows
    recorded since the last."""
    last, seen = after_epoch, -1
    async for update in service.watch(
        watched.id, watched.owner, after_epoch, keep_alive_s=keep_alive_s
    ):
        job = update.job
        keep_alive, seen = job.version == seen, job.version
        for rows in _parts(update.rows):
            last = int(rows.epoch[-1]) if len(rows) else last
            if len(rows) or not job.finished:
                written = await histories.written(job, rows, caller)
                shown = views.progress(job, written, last, await service.place(job))
                yield Event("progress", shown, last, keep_alive)
        if job.finished:
            yield Event("done", views.done(job, last), last)
            return
        with suppress(UnknownJob):
            await service.wait(watched.id, PACE_S)


async def chunks(
    events: AsyncIterator[Event], encode: Encode, greeting: bytes = b""
) -> AsyncIterator[bytes]:
    """The bytes to send, event by event."""
    if greeting:
        yield greeting
    async for one in events:
        yield encode(one)
        await asyncio.sleep(0)  # a long history must not block the event loop


def as_events(events: Event) -> bytes:
    """A server-sent event whose id is the epoch; a keep-alive is a comment."""
    if events.keep_alive:
        return b": still here\n\n"
    lines = [b"event: %b" % events.kind.encode(), b"data: " + events.document]
    if events.last_epoch is not None:
        lines.append(b"id: %d" % events.last_epoch)
    if events.kind == "done":
        lines.append(b"retry: %d" % NEVER_MS)
    return b"\n".join(lines) + b"\n\n"


def as_lines(events: Event) -> bytes:
    """A line of JSON; a keep-alive is a `progress` without rows."""
    return events.document + b"\n"


def _parts(rows: Rows) -> Iterator[Rows]:
    """The rows in parts of at most EVENT_NUMBERS numbers; at least one part, if only an empty
    one."""
    size = max(1, EVENT_NUMBERS // (2 + 2 * rows.params.shape[1]))
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size]

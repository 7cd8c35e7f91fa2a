"""GET /jobs/{job_id}/events: a job's progress as a stream."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter
from fastapi.sse import format_sse_event
from starlette.datastructures import Headers
from starlette.responses import Response

from service.api import header_values, openapi, queries, streaming
from service.api.clients import client, owner
from service.api.direct_route import DirectRoute
from service.api.queries import EventsQuery
from service.api.state import Request
from service.errors import InvalidRequest

router = APIRouter(tags=["jobs"], default_response_class=Response, route_class=DirectRoute)

_EPOCH = re.compile(r"\d{1,18}", re.ASCII)
_LINES = (streaming.LINES, "application/x-ndjson", "application/jsonlines", "application/ndjson")
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
    last_seen = _last_event_id(request.headers)
    if last_seen is not None:
        after_epoch = last_seen
    service, settings = request.state["jobs"], request.state["settings"]
    job = await service.get(job_id, owner(request))
    histories, caller = request.state["histories"], client(request)
    news = streaming.events(service, job, after_epoch, settings.keep_alive_s, histories, caller)
    if _prefers_lines(request.headers):
        media_type, chunks = streaming.LINES, streaming.chunks(news, streaming.as_lines)
    else:
        greeting = format_sse_event(retry=streaming.RETRY_MS)
        media_type = streaming.EVENTS
        chunks = streaming.chunks(news, streaming.as_events, greeting)
    return streaming.Stream(chunks, media_type, request.state["streams"], caller)


def _last_event_id(headers: Headers) -> int | None:
    given = headers.get("last-event-id")
    if not given:
        return None
    if not _EPOCH.fullmatch(given):
        raise InvalidRequest("header 'Last-Event-ID' must be an epoch: the id of an event")
    return int(given)


def _prefers_lines(headers: Headers) -> bool:
    """Whether Accept ranks JSON lines before server-sent events (RFC 9110, section 12.5.1)."""
    ranks = header_values.ranges(",".join(headers.getlist("accept")))
    lines = max(ranks.get(kind, 0.0) for kind in _LINES)
    return lines > ranks.get(streaming.EVENTS, 0.0)

"""The format of an answer: `?format=`, else `Accept` (RFC 9110, section 12.5.1); and writing it.


JSON is the default and the fast path: a request that accepts JSON or anything is recognized without
parsing its headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from pickle import PickleBuffer
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Scope

from service.api import head, writing
from service.api.answers import stored
from service.api.concurrency import unless_disconnected
from service.api.head import client
from service.api.http_errors import NotAcceptable
from service.api.state import Request
from service.errors import UnknownName
from service.jobs.history import Rows
from service.jobs.job import Job, Stored
from service.schemas.base import Answer
from service.schemas.columns import Data
from service.schemas.jobs import JobRequest
from service.schemas.names import AnswerFormat

MEDIA: Mapping[AnswerFormat, str] = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8; header=present",
    "oneline": "text/plain; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The media type of each format; the first that matches a media range is chosen."""

VARY = {"Vary": "Accept"}
LONG = 2_000
"""Numbers above which an answer is written in the render process,"""
LONG_DOCUMENT = 20_000
"""and bytes of a fit's JSON above which a fit is."""

_ANYTHING = frozenset({b"", b"*/*", b"application/json"})

FormT = TypeVar("FormT", bound=str)


def form(request: Request) -> AnswerFormat:
    """The requested format. Raises NotAcceptable, or UnknownName for an unknown `format`."""
    scope = request.scope
    asked = accepted(scope)
    if not scope["query_string"] and asked in _ANYTHING:
        return "json"
    return _named(scope, MEDIA) or choose(asked, MEDIA)


def accepted(scope: Scope) -> bytes:
    """The value of Accept, its lines joined by commas; b"" where absent."""
    found = b""
    for name, value in scope["headers"]:
        if name == b"accept":
            found = found + b"," + value if found else value
    return found


def choose(asked: bytes, media: Mapping[FormT, str]) -> FormT:
    """The format of the highest quality in Accept, the earliest of equals; the first if Accept is
    empty.


    The most specific matching range gives a type's quality; 0 excludes it. Raises NotAcceptable.
    """
    ranges = head.ranges(asked.decode("latin-1"))
    if not ranges:
        return next(iter(media))
    best = max(media, key=lambda name: _quality(media[name], ranges))
    if _quality(media[best], ranges) <= 0.0:
        choices = ", ".join(dict.fromkeys(kind.partition(";")[0] for kind in media.values()))
        raise NotAcceptable(
            f"this is available as {choices}, and Accept allows none of them; or set `format`: "
            f"{', '.join(media)}"
        )
    return best


def _quality(media_type: str, ranges: Mapping[str, float]) -> float:
    kind = media_type.partition(";")[0]
    for candidate in (kind, kind.partition("/")[0] + "/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0


def _named(scope: Scope, media: Mapping[FormT, str]) -> FormT | None:
    """The format named in the query string, or None."""
    for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        if key == "format":
            found = next((name for name in media if name == value), None)
            if found is None:
                raise UnknownName("format", value, media)
            return found
    return None


async def answer(
    request: Request,
    chosen: AnswerFormat,
    made: Answer,
    *,
    size: int = 0,
    data: Data | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    room: ExitStack | None = None,
) -> Response:
    """An answer in a format other than JSON. `size` is its approximate count of numbers; `room` is
    released when it has been sent."""
    if size <= LONG and chosen != "arrow":
        content: Stored = await asyncio.to_thread(writing.write, chosen, made, None, data)
    else:
        content = await in_render_process(request, "write", chosen, made, None, data)
    return _response(content, chosen, status, headers, room)


async def fit_answer(
    request: Request,
    chosen: AnswerFormat,
    fit: Stored,
    asked: JobRequest,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A fit or a comparison, given as JSON, in another format."""
    rows = len(next(iter(asked.data.values()), ()))
    if max(len(fit), rows) <= LONG_DOCUMENT and chosen != "arrow":
        content: Stored = await asyncio.to_thread(writing.write_fit, chosen, fit, asked)
    else:
        content = await in_render_process(request, "write_fit", chosen, PickleBuffer(fit), asked)
    return _response(content, chosen, 200, headers)


async def history_answer(
    request: Request, chosen: AnswerFormat, job: Job, rows: Rows, room: ExitStack
) -> Response:
    """Rows of a job's history in a format other than JSON."""
    known = (chosen, job.params, rows, job.progress.epoch)
    if len(rows) * (2 + 2 * len(job.params)) <= LONG and chosen != "arrow":
        content: Stored = await asyncio.to_thread(writing.write_history, *known)
    else:
        content = await in_render_process(request, "write_history", *known)
    return _response(content, chosen, 200, None, room)


async def in_render_process(request: Request, name: str, *arguments: Any) -> Stored:
    """The result of that function of the render process. It counts against the limit of pictures,
    and is cancelled if the caller disconnects."""
    caller = client(request)
    with request.state["pictures"].hold(caller):
        # One queue per function: a picture does not wait for all the long tables of its caller.
        queue = f"{name} {caller}"
        working = request.state["renderer"].call(name, *arguments, caller=queue)
        return await unless_disconnected(request, working)


def _response(
    content: Stored,
    chosen: AnswerFormat,
    status: int,
    headers: Mapping[str, str] | None,
    room: ExitStack | None = None,
) -> Response:
    return stored((content,), status, {**VARY, **(headers or {})}, MEDIA[chosen], room)

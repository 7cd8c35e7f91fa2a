"""In which form an answer goes out: `?format=`, else `Accept` (RFC 9110, section 12.5.1).

JSON is the rule: a request that names no form, or asks for JSON or for anything, is told apart by a
look at its headers, and nothing more is done for it.
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

from service.api import header_values, writing
from service.api.answers import stored
from service.api.clients import client
from service.api.hanging_up import unless_gone
from service.api.state import Request
from service.errors import DescentError, UnknownName
from service.jobs.history import Rows
from service.jobs.job import Job, Stored
from service.schemas.base import Answer
from service.schemas.columns import Data
from service.schemas.fit import FitRequest
from service.schemas.names import AnswerFormat

MEDIA: Mapping[AnswerFormat, str] = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8; header=present",
    "oneline": "text/plain; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The forms, and the media type of each. The first that suits a range is taken."""

VARY = {"Vary": "Accept"}
LONG = 2_000
"""Numbers above which an answer is written in a process apart,"""
LONG_DOCUMENT = 20_000
"""and bytes of a fit's JSON."""

_ANYTHING = frozenset({b"", b"*/*", b"application/json"})

FormT = TypeVar("FormT", bound=str)


class NotAcceptable(DescentError):
    """None of the media types that the request accepts can be had."""

    type = "not-acceptable"


class UnknownPicture(UnknownName):
    """There is no such picture of a job."""

    type = "unknown-picture"


def form(request: Request) -> AnswerFormat:
    """The form that is asked for; raises NotAcceptable, or UnknownName for a format unheard of."""
    scope = request.scope
    asked = accepted(scope)
    if not scope["query_string"] and asked in _ANYTHING:
        return "json"
    return _named(scope, MEDIA) or choose(asked, MEDIA)


def accepted(scope: Scope) -> bytes:
    """What Accept says, all its lines together; nothing where there is none."""
    found = b""
    for name, value in scope["headers"]:
        if name == b"accept":
            found = found + b"," + value if found else value
    return found


def choose(asked: bytes, media: Mapping[FormT, str]) -> FormT:
    """The form that Accept likes best, the earliest of equals; the first where it says nothing.

    Of the ranges that match a type the most specific tells its quality, and 0 rules it out.
    """
    ranges = header_values.ranges(asked.decode("latin-1"))
    if not ranges:
        return next(iter(media))
    best = max(media, key=lambda name: _quality(media[name], ranges))
    if _quality(media[best], ranges) <= 0.0:
        choices = ", ".join(dict.fromkeys(kind.partition(";")[0] for kind in media.values()))
        raise NotAcceptable(
            f"this can be had as {choices}, and Accept asks for none of them; or name a `format`: "
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
    """The form that the query string names, if it does."""
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
    """An answer in a form that is not JSON; `size` is about how many numbers it has. `room` is held
    until it is sent."""
    if size <= LONG and chosen != "arrow":
        content: Stored = await asyncio.to_thread(writing.write, chosen, made, None, data)
    else:
        content = await apart(request, "write", chosen, made, None, data)
    return _response(content, chosen, status, headers, room)


async def fit_answer(
    request: Request,
    chosen: AnswerFormat,
    fit: Stored,
    asked: FitRequest,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A fit, of which there is the JSON, in a form that is not."""
    rows = len(next(iter(asked.data.values()), ()))
    if max(len(fit), rows) <= LONG_DOCUMENT and chosen != "arrow":
        content: Stored = await asyncio.to_thread(writing.write_fit, chosen, fit, asked)
    else:
        content = await apart(request, "write_fit", chosen, PickleBuffer(fit), asked)
    return _response(content, chosen, 200, headers)


async def history_answer(
    request: Request, chosen: AnswerFormat, job: Job, rows: Rows, room: ExitStack
) -> Response:
    """Rows of a job's history in a form that is not JSON."""
    known = (chosen, job.params, rows, job.progress.epoch)
    if len(rows) * (2 + 2 * len(job.params)) <= LONG and chosen != "arrow":
        content: Stored = await asyncio.to_thread(writing.write_history, *known)
    else:
        content = await apart(request, "write_history", *known)
    return _response(content, chosen, 200, None, room)


async def apart(request: Request, name: str, *arguments: Any) -> Stored:
    """What that function of the draughtsman makes, while a place is held; who hangs up meanwhile
    takes it along."""
    caller = client(request)
    with request.state["pictures"].hold(caller):
        # A picture does not wait for all the long tables of its own caller either.
        lane = f"{name} {caller}"
        working = request.state["draughtsman"].call(name, *arguments, caller=lane)
        return await unless_gone(request, working)


def _response(
    content: Stored,
    chosen: AnswerFormat,
    status: int,
    headers: Mapping[str, str] | None,
    room: ExitStack | None = None,
) -> Response:
    return stored((content,), status, {**VARY, **(headers or {})}, MEDIA[chosen], room)

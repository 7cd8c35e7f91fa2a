"""In which form an answer goes out: `?format=`, else `Accept` (RFC 9110, section 12.5.1).

JSON is the rule: a request that names no form, or asks for JSON or for anything, is told apart by a
look at its headers, and nothing more is done for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Scope

from service.api import header_values, writing
from service.api.state import Request
from service.errors import DescentError, UnknownName
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
LONG = 20_000
"""Numbers (or bytes of JSON) above which an answer is written in a process apart."""

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
) -> Response:
    """An answer in a form that is not JSON; `size` is about how many numbers it has."""
    if size <= LONG and chosen != "arrow":
        return _response(writing.write(chosen, made, None, data), chosen, status, headers)
    content = await _apart(request, "write", chosen, made, None, data)
    return _response(content, chosen, status, headers)


async def fit_answer(
    request: Request,
    chosen: AnswerFormat,
    fit: bytes,
    asked: FitRequest,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A fit, of which there is the JSON, in a form that is not."""
    rows = len(next(iter(asked.data.values()), ()))
    if max(len(fit), rows) <= LONG and chosen != "arrow":
        return _response(writing.write_fit(chosen, fit, asked), chosen, 200, headers)
    content = await _apart(request, "write_fit", chosen, fit, asked)
    return _response(content, chosen, 200, headers)


async def _apart(request: Request, name: str, *arguments: Any) -> bytes:
    made: bytes = await request.state["draughtsman"].call(name, *arguments)
    return made


def _response(
    content: bytes, chosen: AnswerFormat, status: int, headers: Mapping[str, str] | None
) -> Response:
    return Response(content, status, {**VARY, **(headers or {})}, MEDIA[chosen])

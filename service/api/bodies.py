"""The one place that reads a request's body into a schema.

The bytes go to pydantic as they are: one pass, no dictionaries in between. What is wrong with a
body that is no JSON is 400 (RFC 9110: the syntax is malformed); with one that is, but asks for what
cannot be had, 422.
"""

from __future__ import annotations

import re
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.api.complaints import complaints
from service.api.state import Request
from service.errors import InvalidRequest
from service.schemas.base import Request as Body

_COUNTABLE = 10_000
"""Errors that pydantic is asked for; a million would take it seconds and a gigabyte."""

BodyT = TypeVar("BodyT", bound=Body)

_JSON = re.compile(r"application/(?:[\w.!#$&^-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)


async def read(request: Request, schema: type[BodyT]) -> BodyT:
    """The body as `schema`."""
    return parse(await read_json(request), schema)


async def read_json(request: Request) -> bytes:
    """The body's bytes, which are said to be JSON and are no more than the limit."""
    limit = request.state["settings"].max_body_bytes
    _check_headers(request, limit)
    message = await request.receive()
    chunks: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return chunk if not chunks else b"".join([*chunks, chunk])
        chunks.append(chunk)
        message = await request.receive()
    raise ClientDisconnect


def parse(body: bytes, schema: type[BodyT]) -> BodyT:
    """The body as `schema`; errors point into the body and say how to mend it."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        if error.error_count() > _COUNTABLE:
            raise InvalidRequest(
                f"{error.error_count()} things are wrong with the body, too many to list; "
                "send a small part of it to be told which"
            ) from None
        if error.error_count() == 1 and (slip := error.errors()[0])["type"] == "json_invalid":
            raise _malformed(body, slip["ctx"]["error"]) from None
        found = complaints(error.errors(include_url=False), from_json(body), schema)
        raise InvalidRequest.of(found) from None


def _check_headers(request: Request, limit: int) -> None:
    media_type, encoding = "", ""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            media_type = value.decode("latin-1")
        elif name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    if not _JSON.match(media_type):
        raise HTTPException(415, _not_json(media_type))
    if encoding and encoding.lower() != "identity":
        raise HTTPException(415, "the body must not be compressed: send no Content-Encoding")


def _not_json(media_type: str) -> str:
    got = f"not '{media_type[:80]}'" if media_type else "and none was sent"
    return (
        f"the body's Content-Type must be application/json, {got}; "
        "with curl, use `curl --json '{...}'` (it sends the header that `curl -d` does not)"
    )


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"the body is larger than the {limit} bytes that this server reads in one request"
    )


def _malformed(body: bytes, reason: str) -> HTTPException:
    if not body.strip():
        return HTTPException(
            400, 'the body is empty; send JSON, such as {"data": {"x": [1, 2], "y": [3, 4]}}'
        )
    return HTTPException(400, f"the body is not JSON: {reason}")

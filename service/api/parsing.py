"""JSON bytes -> schema, and each way in which that can fail. Independent of HTTP: the parser
process calls it for large bodies.


Pydantic parses the bytes in one pass, without dictionaries in between. A body that is not JSON is
400 (RFC 9110: malformed syntax); JSON that does not validate is 422.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from service.api.duplicate_keys import refuse_repeats
from service.api.validation_errors import validation_errors
from service.errors import InvalidRequest
from service.schemas.base import Request as Body

_COUNTABLE = 10_000
"""The most errors that are read from pydantic; a million would take seconds and a gigabyte."""

QUICK = 2**17
"""Bytes that are parsed in a millisecond or two,"""
FLAT = 1_000
"""if they have at most this number of lists, objects and strings. A body of nested lists, or of
names alone, takes a hundred times as long."""

BodyT = TypeVar("BodyT", bound=Body)


def is_quick(body: bytes | bytearray) -> bool:
    """Whether a body is parsed, and its errors explained, fast enough for the event loop."""
    return len(body) <= QUICK and is_flat(body, FLAT)


def is_flat(body: bytes | bytearray, most: int) -> bool:
    """Whether it has at most `most` lists, objects and quotes (two a string)."""
    return sum(map(body.count, (b"[", b"{", b'"'))) <= most


def parse(body: bytes | bytearray, schema: type[BodyT]) -> BodyT:
    """The body as `schema`. Raises InvalidRequest, whose errors point into the body and say what to
    write instead, or HTTPException 400 for what is not JSON."""
    try:
        request = schema.model_validate_json(body)
    except ValidationError as error:
        if error.error_count() > _COUNTABLE:
            raise InvalidRequest(
                f"the body has {error.error_count()} errors, too many to list; "
                "send a small part of it to see which"
            ) from None
        if (
            error.error_count() == 1
            and (found_error := error.errors()[0])["type"] == "json_invalid"
        ):
            raise _malformed(body, found_error["ctx"]["error"]) from None
        found = validation_errors(error.errors(include_url=False), from_json(body), schema)
        raise InvalidRequest.of(found) from None
    refuse_repeats(body)
    return request


def _malformed(body: bytes | bytearray, reason: str) -> HTTPException:
    if not body.strip():
        return HTTPException(
            400, 'the body is empty; send JSON, such as {"data": {"x": [1, 2], "y": [3, 4]}}'
        )
    return HTTPException(400, f"the body is not JSON: {reason}")

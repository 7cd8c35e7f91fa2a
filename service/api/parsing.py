"""Bytes -> schema, and every way in which that can fail. It knows no connection: a process apart
does the same for large bodies (`parser`).

The bytes go to pydantic as they are: one pass, no dictionaries in between. What is wrong with a
body that is no JSON is 400 (RFC 9110: the syntax is malformed); with one that is, but asks for what
cannot be had, 422.
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
"""Errors that pydantic is asked for; a million would take it seconds and a gigabyte."""

QUICK = 2**17
"""Bytes that are parsed in a millisecond or two,"""
FLAT = 1_000
"""if there are at most so many lists, objects and texts among them. A body of nested lists, or of
nothing but names, takes a hundred times as long."""

BodyT = TypeVar("BodyT", bound=Body)


def is_quick(body: bytes | bytearray) -> bool:
    """Whether a body is parsed, and its slips are explained, in no time that others notice."""
    return len(body) <= QUICK and is_flat(body, FLAT)


def is_flat(body: bytes | bytearray, most: int) -> bool:
    """Whether it has at most so many lists, objects and texts, of which names have two quotes."""
    return sum(map(body.count, (b"[", b"{", b'"'))) <= most


def parse(body: bytes | bytearray, schema: type[BodyT]) -> BodyT:
    """The body as `schema`; errors point into the body and say how to mend it."""
    try:
        asked = schema.model_validate_json(body)
    except ValidationError as error:
        if error.error_count() > _COUNTABLE:
            raise InvalidRequest(
                f"{error.error_count()} things are wrong with the body, too many to list; "
                "send a small part of it to be told which"
            ) from None
        if error.error_count() == 1 and (slip := error.errors()[0])["type"] == "json_invalid":
            raise _malformed(body, slip["ctx"]["error"]) from None
        found = validation_errors(error.errors(include_url=False), from_json(body), schema)
        raise InvalidRequest.of(found) from None
    refuse_repeats(body)
    return asked


def _malformed(body: bytes | bytearray, reason: str) -> HTTPException:
    if not body.strip():
        return HTTPException(
            400, 'the body is empty; send JSON, such as {"data": {"x": [1, 2], "y": [3, 4]}}'
        )
    return HTTPException(400, f"the body is not JSON: {reason}")

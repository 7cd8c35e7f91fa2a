"""JSON bytes -> schema, and each way in which that can fail. Independent of HTTP: the parser
process calls it for large bodies.


Pydantic parses the bytes in one pass, without dictionaries in between. A body that is not JSON is
400 (RFC 9110: malformed syntax); JSON that does not validate is 422.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from service.api.http_errors import MalformedJson
from service.api.validation_errors import clip, pointer, validation_errors
from service.errors import InvalidRequest
from service.schemas.base import Request as Body

_COUNTABLE = 10_000
"""The most errors that are read from pydantic; a million would take seconds and a gigabyte."""

QUICK = 2**17
"""Bytes that are parsed in a millisecond or two,"""
FLAT = 1_000
"""if they have at most this number of lists, objects and strings. A body of nested lists, or of
names alone, takes a hundred times as long."""

_MOST_CELLS = 4_000_000
"""The most cells of a table that is sent as rows, each perhaps with names of its own."""

BodyT = TypeVar("BodyT", bound=Body)


def is_quick(body: bytes | bytearray) -> bool:
    """Whether a body is parsed, and its errors explained, fast enough for the event loop."""
    return len(body) <= QUICK and is_flat(body, FLAT)


def is_flat(body: bytes | bytearray, most: int) -> bool:
    """Whether it has at most `most` lists, objects and quotes (two a string)."""
    return sum(map(body.count, (b"[", b"{", b'"'))) <= most


def parse(body: bytes | bytearray, schema: type[BodyT]) -> BodyT:
    """The body as `schema`. Raises InvalidRequest, whose errors point into the body and say what to
    write instead, or MalformedJson for what is not JSON."""
    body = _columns_of_rows(body)
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


_ROWS = re.compile(rb'"data"\s*+:\s*+\[\s*+\{')
"""Where a body may have its data as a list of rows."""


def _columns_of_rows(body: bytes | bytearray) -> bytes | bytearray:
    """The body with columns for `data` where that is a list of rows; a name that a row lacks is a
    missing value. Raises InvalidRequest where a row is no object."""
    if not _ROWS.search(body):
        return body
    try:
        whole = from_json(body)
    except ValueError:
        return body  # which the schema reports
    rows = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(rows, list):
        return body
    refuse_repeats(body)
    columns: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidRequest(
                'a row must be an object, such as {"x": 1, "y": 2}', pointer=f"/data/{number}"
            )
        for name in row.keys() - columns.keys():
            if (len(columns) + 1) * len(rows) > _MOST_CELLS:
                raise InvalidRequest(
                    f"the rows make more than {_MOST_CELLS:,} cells; send columns", pointer="/data"
                )
            columns[name] = [None] * len(rows)
        for name, value in row.items():
            columns[name][number] = value
    ordered = {name: columns[name] for row in rows[:1] for name in row} | columns
    return to_json({**whole, "data": ordered})


def _malformed(body: bytes | bytearray, reason: str) -> MalformedJson:
    if not body.strip():
        return MalformedJson(
            'the body is empty; send JSON, such as {"data": {"x": [1, 2], "y": [3, 4]}}'
        )
    return MalformedJson(f"the body is not JSON: {reason}")


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"\s*:?|[{}]', re.DOTALL)
"""Strings, names (those with a colon), and the braces of objects."""
_PLAIN = re.compile(rb'"([^"]*)"(\s*:)?')
"""Strings of a body without escapes, and the colons of those that are names."""


def refuse_repeats(body: bytes | bytearray) -> None:
    """Raises InvalidRequest where an object has a name twice, after NFKC folding."""
    names = [text for text, colon in _PLAIN.findall(body) if colon]
    if len(set(names)) == len(names) and b"\\" not in body and body.isascii():
        return  # no name is there twice, in whatever object
    seen: list[set[str]] = []
    path: list[str] = []
    for found in _TOKEN.finditer(body):
        token = found[0]
        if token == b"{":
            seen.append(set())
            path.append("")
        elif token == b"}":
            seen.pop()
            path.pop()
        elif token.endswith(b":"):
            path[-1] = name = _name(token[:-1].rstrip())
            if name in seen[-1]:
                raise InvalidRequest(
                    f"'{clip(name)}' occurs twice; give each its own name",
                    pointer=pointer(tuple(path)),
                )
            seen[-1].add(name)


def _name(text: bytes) -> str:
    name: str = json.loads(text) if b"\\" in text else text[1:-1].decode()
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


OTHERS = 5000
"""The most members that are lists without being columns: the params of a network, and some more."""
_MEMBER = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"(\s*+:\s*+\[)?|\\?\Z)', re.DOTALL)
"""A string, and `: [` where it names a list. An unterminated string is matched to the end."""


def excess_columns(body: bytes, most: int) -> int:
    """The count of members that are lists, if more than `most` of them must be columns; else 0."""
    if body.count(b"[") <= most + OTHERS:
        return 0
    lists = sum(found[1] is not None for found in _MEMBER.finditer(body))
    return lists if lists > most + OTHERS else 0

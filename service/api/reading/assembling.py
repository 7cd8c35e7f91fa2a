"""Joins columns of the body and options to a request, validated like a JSON body."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from service.api.duplicate_keys import refuse_repeats
from service.api.parsing import is_flat
from service.api.reading.options import Tree, read_options
from service.api.reading.table import MalformedBody, Table, check_names, fold
from service.api.validation_errors import validation_errors
from service.errors import Complaint, InvalidRequest
from service.schemas.base import Request as Body

LONGEST_REQUEST = 2**20
"""The most bytes of a multipart body's `request`,"""
MOST_PARTS = 10_000
"""and the most lists, objects and quotes in it: pydantic holds the GIL while it parses them."""

BodyT = TypeVar("BodyT", bound=Body)


def assemble(schema: type[BodyT], table: Table, query: bytes) -> BodyT:
    """The request of a body's columns and a query string's options, which override options in the
    body. Raises InvalidRequest, InvalidData or MalformedBody.
    """
    check_names(table.columns)
    options = _merged(_body_options(table.request), read_options(query, schema))
    _split_columns(options, table)
    if table.units and "units" in schema.model_fields:
        options["units"] = {**table.units, **options.get("units", {})}
    options["data"] = {}
    noun = "field" if table.request else "query parameter"
    asked = _validated(schema, options, noun)
    columns = {fold(name): column for name, column in table.columns.items()}
    return asked.model_copy(update={"data": columns})


def _split_columns(options: Tree, table: Table) -> None:
    """`group_by=plate,well` names two columns, unless one has that name."""
    asked = options.get("group_by")
    text = asked.get("column") if isinstance(asked, dict) else asked
    known = set(map(fold, table.columns))
    if not isinstance(text, str) or "," not in text or fold(text) in known:
        return
    parts = [fold(part.strip()) for part in text.split(",")]
    options["group_by"] = {**(asked if isinstance(asked, dict) else {}), "column": parts}


def _body_options(request: bytes) -> Tree:
    """The options in the body."""
    if not request:
        return {}
    if len(request) > LONGEST_REQUEST or not is_flat(request, MOST_PARTS):
        raise InvalidRequest(
            f"the request within the body is longer than {LONGEST_REQUEST:,} bytes, or has more "
            f"than {MOST_PARTS:,} brackets and quotes: send it as JSON, with its data in it"
        )
    try:
        options: Any = from_json(request)
    except ValueError as error:
        raise MalformedBody(f"the request within the body is not JSON: {error}") from None
    if not isinstance(options, dict):
        raise InvalidRequest("the request within the body must be an object")
    if "data" in options:
        raise InvalidRequest(
            "the data belong in the part `data`, not in the request", pointer="/data"
        )
    refuse_repeats(request)
    return options


def _merged(below: Tree, above: Tree) -> Tree:
    """Both, merged object by object; elsewhere `above` overrides `below`."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[key] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _validated(schema: type[BodyT], options: Tree, noun: str) -> BodyT:
    try:
        return schema.model_validate_json(json.dumps(options))
    except ValidationError as error:
        found = validation_errors(error.errors(include_url=False), options, schema, noun)
        raise InvalidRequest.of(found if noun == "field" else _without_pointers(found)) from None


def _without_pointers(found: Iterable[Complaint]) -> list[Complaint]:
    """The complaints without pointers, for options that are not in the body."""
    return [Complaint("", complaint.detail) for complaint in found]

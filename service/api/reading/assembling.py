"""Columns from the body and options from elsewhere -> the request, validated as JSON would be."""

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
"""Bytes of what stands beside the data,"""
MOST_PARTS = 10_000
"""and lists, objects and texts in it: they are read in a thread that keeps the others waiting."""

BodyT = TypeVar("BodyT", bound=Body)


def assemble(schema: type[BodyT], table: Table, query: bytes) -> BodyT:
    """The request of a body's columns and a query's options. Raises InvalidRequest.

    Where the body has options too, the query's go before them.
    """
    check_names(table.columns)
    options = _merged(_told(table.request), read_options(query, schema))
    if table.units and "units" in schema.model_fields:
        options["units"] = {**table.units, **options.get("units", {})}
    options["data"] = {}
    noun = "field" if table.request else "query parameter"
    asked = _validated(schema, options, noun)
    columns = {fold(name): column for name, column in table.columns.items()}
    return asked.model_copy(update={"data": columns})


def _told(request: bytes) -> Tree:
    """The options that stand in the body."""
    if not request:
        return {}
    if len(request) > LONGEST_REQUEST or not is_flat(request, MOST_PARTS):
        raise InvalidRequest(
            f"the request within the body is longer than {LONGEST_REQUEST:,} bytes, or has more "
            f"than {MOST_PARTS:,} brackets and quotes: send it as JSON, with its data in it"
        )
    try:
        told: Any = from_json(request)
    except ValueError as error:
        raise MalformedBody(f"the request within the body is not JSON: {error}") from None
    if not isinstance(told, dict):
        raise InvalidRequest("the request within the body must be an object")
    if "data" in told:
        raise InvalidRequest("the data stand beside this request, not in it", pointer="/data")
    refuse_repeats(request)
    return told


def _merged(below: Tree, above: Tree) -> Tree:
    """Both, object by object; what only one can say, `above` says."""
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
        raise InvalidRequest.of(found if noun == "field" else _unplaced(found)) from None


def _unplaced(found: Iterable[Complaint]) -> list[Complaint]:
    """Complaints about what is not in the body, where no pointer leads."""
    return [Complaint("", complaint.detail) for complaint in found]

"""The options of a request in its query string: `?model=y~a*x+b&optimizer.learning_rate=0.01`.

They have the names of the JSON body; a dot addresses a field of an object. A text is converted to a
type that the schema accepts there: a number, `true`, a list (`16,16`), an object (`w:1,b:0`), or
any of these as JSON. Other text is left as it is, for the schema to refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from service.api.bodies.json import is_flat, refuse_repeats
from service.api.bodies.table import Table, check_names, fold
from service.api.http_errors import MalformedBody
from service.api.schema_walk import Path, SchemaWalk
from service.api.validation_errors import clip, validation_errors
from service.errors import FieldError, InvalidRequest, nearest_hint
from service.schemas.base import Request as Body
from service.schemas.keys import LONGEST_NUMBER
from service.schemas.readable import Readable
from service.schemas.reading import ReadingOptions

ANSWER_PARAMETERS = frozenset({"format"})
"""Query parameters that concern the answer's format, not the request."""
MAX_PARAMETERS = 1000
READING = frozenset(ReadingOptions.model_fields)
"""The options of how a CSV is read, which are beside those of the request."""

_SHORT = {
    "gradient": "method", "interval": "kind", "group_by": "column", "outliers": "method",
}  # fmt: skip
"""The field that a bare text gives where an object is accepted too; for others `name`."""
_NAMED = {"model", "optimizer", "loss", "schedule"}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_SPACES = re.compile(r"%2B|\+(?:[*/~=)<>]|%2A|%2F|%7E|%3D|%29|%3C|%3E)", re.IGNORECASE)
"""Matches where `+` means a space: as a plus it would precede an operator, or be beside an escaped
plus."""
_WORDS = re.compile(rb"\+(?:and|or|not)\+|^not\+")
"""Matches where `+` means a space in a condition on rows."""

Tree = dict[str, Any]


def read_options(query: bytes, schema: type[BaseModel]) -> Tree:
    """The options, converted to the types of `schema`. Raises InvalidRequest."""
    tree = _nested(_pairs(query))
    if "data" in tree:
        raise InvalidRequest("query parameter 'data' is not allowed: send the data in the body")
    of_reading = schema is ReadingOptions
    tree = {name: given for name, given in tree.items() if (name in READING) == of_reading}
    walk = SchemaWalk(schema, tree)
    typed: Tree = _typed_tree(tree, (), walk)
    return typed


def reading_options(query: bytes, request: bytes = b"") -> ReadingOptions:
    """How a CSV is to be read: by the query string, which overrides the JSON in the body. Raises
    InvalidRequest or MalformedBody."""
    inside = {name: given for name, given in _body_options(request).items() if name in READING}
    stated = _merged(inside, read_options(query, ReadingOptions))
    return _validated(ReadingOptions, stated, "field" if request else "query parameter")


def refuse_options(query: bytes, schema: type[BaseModel]) -> None:
    """Raises InvalidRequest where the query string of a JSON request has options, which would be
    ignored."""
    for path in _pairs(query):
        name = clip(".".join(path))
        if path[0] in schema.model_fields:
            raise InvalidRequest(
                f"query parameter '{name}': with a JSON body, send the options in the body"
            )
        if path[0] in READING:
            raise InvalidRequest(f"query parameter '{name}': it is for CSV, and the body is JSON")
        hint = nearest_hint(name, ANSWER_PARAMETERS)
        raise InvalidRequest(f"unknown query parameter '{name}'{hint}")


def _pairs(query: bytes) -> dict[tuple[str, ...], str]:
    """Each parameter's path and text. `+` is a plus, as in a formula, unless `_SPACES` matches."""
    found: dict[tuple[str, ...], str] = {}
    parts = [part for part in query.split(b"&") if part]
    if len(parts) > MAX_PARAMETERS:
        raise InvalidRequest(f"more than {MAX_PARAMETERS} query parameters")
    for part in parts:
        key, _, value = part.partition(b"=")
        name = _decoded(key)
        if name in ANSWER_PARAMETERS:
            continue
        path = tuple(name.split("."))
        if path in found:
            raise InvalidRequest(f"query parameter '{clip(name)}' is given twice")
        if path == ("rows",) and _WORDS.search(value):
            value = value.replace(b"+", b" ")
        found[path] = _decoded(value)
    return found


def _decoded(raw: bytes) -> str:
    text = raw.decode("latin-1")
    if "+" in text and _SPACES.search(text):
        raw = raw.replace(b"+", b" ")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the query string is not UTF-8 at '{clip(text)}'") from None


def _nested(pairs: Mapping[tuple[str, ...], str]) -> Tree:
    """The paths as nested objects, the texts unconverted."""
    tree: Tree = {}
    for path in sorted(pairs, key=len):
        node = tree
        for part in path[:-1]:
            below = node.setdefault(part, {})
            if isinstance(below, str):
                below = node[part] = _as_object(below, part)
            node = below
        node[path[-1]] = pairs[path]
    return tree


def _as_object(text: str, name: str) -> Tree:
    """The object that a text stands for: `optimizer=adam&optimizer.learning_rate=0.1`."""
    if text.startswith("{"):
        return dict(_json(text, name))
    if name in _SHORT or name in _NAMED:
        return {_SHORT.get(name, "name"): text}
    return _pairs_in(text)


def _pairs_in(text: str) -> Tree:
    """`w:1,b:0` as an object of texts."""
    pairs = (part.partition(":") for part in text.split(","))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _typed_tree(node: Any, path: Path, walk: SchemaWalk) -> Any:
    if isinstance(node, dict):
        return {key: _typed_tree(below, (*path, key), walk) for key, below in node.items()}
    if isinstance(node, str):
        return _typed(node, path, walk.at(path), walk)
    return node


def _typed(text: str, path: Path, schemas: list[Tree], walk: SchemaWalk) -> Any:
    """The text converted to a type that one of `schemas` accepts; else the text."""
    kinds = {schema.get("type") for schema in schemas}
    if text[:1] in "{[" and text and kinds & {"object", "array"}:
        return _json(text, ".".join(map(str, path)))
    if "boolean" in kinds and text in {"true", "false", ""}:
        return text != "false"
    is_short = len(text) <= LONGEST_NUMBER
    if kinds & {"number", "integer"} and is_short and _NUMBER.fullmatch(text):
        return _number(text, whole="number" not in kinds)
    if "array" in kinds and ("string" not in kinds or "," in text):
        items = [item for schema in schemas for item in walk.items(schema)]
        values = [_typed(part.strip(), path, items, walk) for part in text.split(",")]
        if "string" not in kinds or not any(isinstance(value, str) for value in values):
            return values
    if "object" in kinds and "string" not in kinds and ":" in text:
        return {
            key: _typed(value, (*path, key), walk.at((*path, key)), walk)
            for key, value in _pairs_in(text).items()
        }
    return text


def _number(text: str, *, whole: bool) -> int | float:
    if re.fullmatch(r"[+-]?\d{1,19}", text):
        return int(text)
    value = float(text)
    return int(value) if whole and value.is_integer() and abs(value) < 2**63 else value


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"query parameter '{clip(name)}' is not JSON: {error}") from None


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
    inside = {k: given for k, given in _body_options(table.request).items() if k not in READING}
    options = _merged(inside, read_options(query, schema))
    _split_columns(options, table)
    if table.units and "units" in schema.model_fields:
        options["units"] = {**table.units, **options.get("units", {})}
    options["data"] = {}
    noun = "field" if table.request else "query parameter"
    asked = _validated(schema, options, noun)
    columns = {fold(name): column for name, column in table.columns.items()}
    if isinstance(asked, Readable):
        asked = asked.with_reading(table.reading)
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


def _without_pointers(found: Iterable[FieldError]) -> list[FieldError]:
    """The errors without pointers, for options that are not in the body."""
    return [FieldError("", error.detail) for error in found]

"""Pydantic's errors as messages for the caller: where in the body, what is wrong, what to write
instead.

Pydantic's `loc` mixes the names of union alternatives with the body's keys, and there is an error
for each alternative. Here the body decides which parts are its keys, so that the pointer is a JSON
Pointer (RFC 6901), and a union gives one error.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from service.api.schema_walk import Path, SchemaWalk
from service.errors import FieldError, nearest_hint, token
from service.synonyms import advice

LONGEST = 80
"""The most characters of a caller's input that a message repeats."""

KINDS = {
    "string_type": "a string",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "",
}
"""Type errors: the type expected. A literal's is in the error itself."""

_QUOTED = re.compile(r"'([^']*)'")
_SHOULD = re.compile(r"^(?:Input|Value|String|List|Dictionary) should\b")
_LIMITS = {
    "gt": ("exclusiveMinimum", "above"),
    "ge": ("minimum", "at least"),
    "lt": ("exclusiveMaximum", "below"),
    "le": ("maximum", "at most"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an error is, and what the schema allows there."""

    noun: str
    """The kind of place: `field` or `query parameter`."""
    path: str
    """The path as text: `optimizer.learning_rate`."""
    name: str
    """Its last name: `learning_rate`."""
    fields: Sequence[str]
    """The names that the enclosing object may have."""
    limits: Mapping[str, float]
    """JSON Schema's `minimum` and so on of the number there."""
    names: Sequence[str]
    """The `name`s that the object there may have: `{"name": "sgd"}`."""
    takes_name: bool
    """Whether a bare name is accepted for that object."""
    row: str = ""
    """The value of the data it is, if one: `column 'x', row 3`."""

    @property
    def in_body(self) -> bool:
        """Whether it is in the JSON body, where strings differ from numbers."""
        return self.noun == "field"

    @property
    def subject(self) -> str:
        """The subject of a message."""
        return self.path if self.in_body else f"{self.noun} '{self.path}'"

    def shown(self, value: object) -> str:
        """A value as shown in a message."""
        return shown(value) if self.in_body else f"'{clip(str(value))}'"


def message_of(error: ErrorDetails, place: Place) -> str:
    """What is wrong, and what to write instead."""
    match error["type"]:
        case "missing":
            return f"{place.subject} is required"
        case "extra_forbidden":
            written = advice(place.name, place.fields)
            hint = f"; {written}" if written else nearest_hint(clip(place.name), place.fields)
            return f"unknown {place.noun} '{place.path}'{hint}"
        case "literal_error" if place.in_body and isinstance(error["input"], str):
            return _unknown(error["input"], error["ctx"]["expected"], place)
        case "union_tag_invalid":
            return _unknown(error["ctx"]["tag"], error["ctx"]["expected_tags"], place)
        case "union_tag_not_found":
            return f"{place.subject} needs a 'name'{nearest_hint('', place.names)}"
        case "finite_number" if place.row:
            what = "infinite" if error["input"] == error["input"] else "not a number"
            return f"{place.row} is {what}; values must be finite (null is a missing one)"
        case "finite_number":
            return f"{place.subject} must be a finite number; got {place.shown(error['input'])}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return _out_of_range(error, place)
        case kind if kind in KINDS:
            return type_message([error], place)
        case _:
            message = error["msg"].removeprefix("Value error, ").replace(" after validation", "")
            message = _SHOULD.sub("must", message)
            return f"{place.subject}{' ' if message.startswith('must') else ': '}{message}"


def type_message(errors: Sequence[ErrorDetails], place: Place) -> str:
    """Says which types are accepted there: those of all the errors."""
    wanted = [KINDS[e["type"]] or e["ctx"]["expected"] for e in errors if e["type"] in KINDS]
    if place.takes_name and wanted == ["an object"]:
        wanted = ["a name", "an object"]
    value = errors[0]["input"]
    quoted = place.in_body and _is_quoted_number(value, wanted)
    mend = "; write it without quotes" if quoted else ""
    if place.path == "params" and isinstance(value, list):
        mend = f"; {advice('p0', ['params'])}"
    if place.path == "sigma_x":
        mend = '; name the input that it is of, as in sigma_x.x=0.1 or {"x": "x_sd"}'
    comma = "," if any(" or " in choice for choice in wanted) else ""
    choices = f"{comma} or ".join(dict.fromkeys(wanted))
    return f"{place.subject} must be {choices}; got {place.shown(value)}{mend}"


def shown(value: object) -> str:
    """A value as shown in a message: short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string '{clip(value)}'"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return clip(str(value))


def clip(text: str) -> str:
    """`text`, cut to LONGEST characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _unknown(name: str, expected: str, place: Place) -> str:
    known = _QUOTED.findall(expected)
    what = place.subject.removesuffix(".name")
    return f"unknown {what} '{clip(name)}'{nearest_hint(clip(name), known)}"


def _is_quoted_number(value: object, wanted: Sequence[str]) -> bool:
    if not isinstance(value, str) or not any("number" in kind for kind in wanted):
        return False
    try:
        return math.isfinite(float(value[:LONGEST]))
    except ValueError:
        return False


def _out_of_range(error: ErrorDetails, place: Place) -> str:
    limits = place.limits or {_LIMITS[k][0]: v for k, v in error["ctx"].items() if k in _LIMITS}
    if limits.keys() == {"minimum", "maximum"}:
        allowed = f"from {_plain(limits['minimum'])} to {_plain(limits['maximum'])}"
    else:
        words = dict(_LIMITS.values())
        allowed = " and ".join(f"{words[name]} {_plain(v)}" for name, v in limits.items())
    return f"{place.subject} must be {allowed}; got {place.shown(error['input'])}"


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.12g}"


MOST = 20
"""The most errors listed in one answer."""
_READ = 300


@dataclass(frozen=True, slots=True)
class _Located:
    """One of pydantic's errors, with its place in the body."""

    error: ErrorDetails
    path: Path
    branches: list[tuple[Path, str]] = field(default_factory=list)
    """The unions on the way: their paths, and the alternative taken."""

    def misses_kind(self, at: Path) -> bool:
        """Whether the value at `at` is of another type than the alternative accepts, such as a list
        for a number. A string counts as the type of a literal, if not its value."""
        literal = self.error["type"] == "literal_error" and isinstance(self.error["input"], str)
        return self.path == at and self.error["type"] in KINDS and not literal


def validation_errors(
    errors: Sequence[ErrorDetails], body: object, schema: type[BaseModel], noun: str = "field"
) -> list[FieldError]:
    """What is wrong with `body`, which did not validate as `schema`."""
    walk = SchemaWalk(schema, body)

    def place(path: Path) -> Place:
        return Place(
            noun=noun,
            path=dotted(path),
            name=str(path[-1]) if path else "",
            fields=walk.fields(path[:-1]),
            limits=walk.limits(path),
            names=walk.names(path),
            takes_name=walk.takes_string(path),
            row=_row(path),
        )

    located = [_locate(error, body) for error in errors[:_READ]]
    found: list[FieldError] = []
    for union, group in _by_union(located):
        found.extend(_explain(union, group, place))
        if len(found) >= MOST:
            break
    return found[:MOST]


def dotted(path: Path) -> str:
    """A path as text: `data.x[3]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return clip(text.removeprefix(".")) or "the body"


def _row(path: Path) -> str:
    """The column and the row (counted from 1) of a value of the data; else ""."""
    match path:
        case ("data", column, int(row)):
            return f"column '{clip(str(column))}', row {row + 1}"
        case _:
            return ""


def pointer(path: Path) -> str:
    """The JSON Pointer (RFC 6901) of a path; very long names are cut."""
    return "".join("/" + token(clip(str(part))) for part in path)


def _locate(error: ErrorDetails, body: object) -> _Located:
    node = body
    path: Path = ()
    branches: list[tuple[Path, str]] = []
    loc = error["loc"]
    for depth, part in enumerate(loc):
        if _holds(node, part):
            path, node = (*path, part), node[part]  # type: ignore[index]
        elif error["type"] == "missing" and depth == len(loc) - 1:
            path = (*path, part)
        else:
            branches.append((path, str(part)))
    if error["type"] == "union_tag_invalid" and _holds(node, "name"):
        path = (*path, "name")
    return _Located(error, path, branches)


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _by_union(located: Sequence[_Located]) -> list[tuple[Path | None, list[_Located]]]:
    """The errors in order, those of one union's alternatives grouped, with the union's path."""
    alternatives: dict[Path, set[str]] = defaultdict(set)
    for located_error in located:
        for at, tag in located_error.branches:
            alternatives[at].add(tag)
    unions: dict[Path, list[_Located]] = {}
    groups: list[tuple[Path | None, list[_Located]]] = []
    for located_error in located:
        union = next((at for at, _ in located_error.branches if len(alternatives[at]) > 1), None)
        if union is None:
            groups.append((None, [located_error]))
        elif union in unions:
            unions[union].append(located_error)
        else:
            unions[union] = [located_error]
            groups.append((union, unions[union]))
    return groups


def _explain(
    union: Path | None, group: list[_Located], place: Callable[[Path], Place]
) -> list[FieldError]:
    if union is not None:
        meant = _meant(group, union)
        if not meant:
            text = type_message([located_error.error for located_error in group], place(union))
            return [FieldError(pointer(union), text)]
        group = meant
    return [FieldError(pointer(s.path), message_of(s.error, place(s.path))) for s in group]


def _meant(group: list[_Located], at: Path) -> list[_Located]:
    """The errors of the alternative that the caller most likely meant: of those that accept this
    kind of value, the one with the fewest errors. Empty if none accepts it."""
    by_tag: dict[Any, list[_Located]] = defaultdict(list)
    for located_error in group:
        tag = next(tag for place, tag in located_error.branches if place == at)
        by_tag[tag].append(located_error)
    fitting = [
        errors for errors in by_tag.values() if not any(each.misses_kind(at) for each in errors)
    ]
    return min(fitting, key=len, default=[])

"""Messages for pydantic's errors: what is wrong and what to write; `validation_errors` adds
where."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from service.errors import nearest_hint

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
            hint = nearest_hint(clip(place.name), place.fields)
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
    return str(number) if isinstance(number, int) else f"{number:g}"

"""Pydantic's errors as messages for the caller: where in the body, what is wrong, what to write
instead.

Pydantic's `loc` mixes the names of union alternatives with the body's keys, and there is an error
for each alternative. Here the body decides which parts are its keys, so that the pointer is a JSON
Pointer (RFC 6901), and a union gives one complaint.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from service.api.schema_walk import Path, SchemaWalk
from service.api.validation_messages import KINDS, Place, clip, message_of, type_message
from service.errors import Complaint

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
) -> list[Complaint]:
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
    found: list[Complaint] = []
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
    return "".join("/" + clip(str(part)).replace("~", "~0").replace("/", "~1") for part in path)


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
) -> list[Complaint]:
    if union is not None:
        meant = _meant(group, union)
        if not meant:
            text = type_message([located_error.error for located_error in group], place(union))
            return [Complaint(pointer(union), text)]
        group = meant
    return [Complaint(pointer(s.path), message_of(s.error, place(s.path))) for s in group]


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

"""Pydantic's errors in a caller's words: where in the body, what is wrong, and what would mend it.

Pydantic's `loc` names the alternatives of a union beside the body's own keys, and reports each
alternative that did not fit. Here the body itself tells which are its keys, so that the pointer is
a true JSON Pointer (RFC 6901), and a union makes one complaint.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from service.api.schema_walk import Path, SchemaWalk
from service.api.validation_messages import KINDS, Place, clip, kind_sentence, sentence
from service.errors import Complaint

MOST = 20
"""Complaints in one answer; who has more is helped by the first few."""
_READ = 300


@dataclass(frozen=True, slots=True)
class _Slip:
    """One of pydantic's errors, with its place in the body."""

    error: ErrorDetails
    path: Path
    branches: list[tuple[Path, str]] = field(default_factory=list)
    """The unions that were entered: where, and by which alternative."""

    def misses_kind(self, at: Path) -> bool:
        """Whether the value at `at` is of another kind than the alternative takes: a list for a
        number. A string is of the kind of a literal, if not the right one."""
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

    slips = [_locate(error, body) for error in errors[:_READ]]
    found: list[Complaint] = []
    for union, group in _by_union(slips):
        found.extend(_explain(union, group, place))
        if len(found) >= MOST:
            break
    return found[:MOST]


def dotted(path: Path) -> str:
    """A path as a person writes it: `data.x[3]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return clip(text.removeprefix(".")) or "the body"


def _row(path: Path) -> str:
    """The column and the row of a value of the data, counted as a person does."""
    match path:
        case ("data", column, int(row)):
            return f"column '{clip(str(column))}', row {row + 1}"
        case _:
            return ""


def pointer(path: Path) -> str:
    """The JSON Pointer of a path; a very long name is cut."""
    return "".join("/" + clip(str(part)).replace("~", "~0").replace("/", "~1") for part in path)


def _locate(error: ErrorDetails, body: object) -> _Slip:
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
    return _Slip(error, path, branches)


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _by_union(slips: Sequence[_Slip]) -> list[tuple[Path | None, list[_Slip]]]:
    """The slips, those of one union's alternatives together, with the union's place."""
    alternatives: dict[Path, set[str]] = defaultdict(set)
    for slip in slips:
        for at, tag in slip.branches:
            alternatives[at].add(tag)
    unions: dict[Path, list[_Slip]] = {}
    groups: list[tuple[Path | None, list[_Slip]]] = []
    for slip in slips:
        union = next((at for at, _ in slip.branches if len(alternatives[at]) > 1), None)
        if union is None:
            groups.append((None, [slip]))
        elif union in unions:
            unions[union].append(slip)
        else:
            unions[union] = [slip]
            groups.append((union, unions[union]))
    return groups


def _explain(
    union: Path | None, group: list[_Slip], place: Callable[[Path], Place]
) -> list[Complaint]:
    if union is not None:
        meant = _meant(group, union)
        if not meant:
            text = kind_sentence([slip.error for slip in group], place(union))
            return [Complaint(pointer(union), text)]
        group = meant
    return [Complaint(pointer(s.path), sentence(s.error, place(s.path))) for s in group]


def _meant(group: list[_Slip], at: Path) -> list[_Slip]:
    """The slips of the alternative that the caller meant: of those that take this kind of value,
    the one with the fewest slips. None, where none takes it."""
    by_tag: dict[Any, list[_Slip]] = defaultdict(list)
    for slip in group:
        by_tag[next(tag for place, tag in slip.branches if place == at)].append(slip)
    fitting = [
        slips for slips in by_tag.values() if not any(slip.misses_kind(at) for slip in slips)
    ]
    return min(fitting, key=len, default=[])

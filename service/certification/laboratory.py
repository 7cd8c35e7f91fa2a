"""Cases of laboratories, with published figures: the files of `data/cases`, one a subject, over the
data of `data/laboratory`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.certification.case import DATA, Case, Figure, Source


def laboratory_cases() -> list[Case]:
    """Every case, in the order of the files' names."""
    files = sorted((DATA / "cases").glob("*.json"))
    return [_case(each) for path in files for each in json.loads(path.read_text(encoding="utf-8"))]


def _case(entry: Mapping[str, Any]) -> Case:
    return Case(
        name=entry["name"],
        title=entry["title"],
        source=Source(**entry["source"]),
        route=entry["route"],
        body=entry["body"],
        certified=tuple(_figure(at, given) for at, given in entry["certified"].items()),
        curve=entry.get("curve"),
        note=entry.get("note"),
    )


def _figure(at: str, given: str | Mapping[str, Any]) -> Figure:
    """A figure's text, or an object with the digits that must agree."""
    return Figure(at, given) if isinstance(given, str) else Figure(at, **given)

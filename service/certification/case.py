"""A certified case: a request, and the figures that its answer must have."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Route = Literal["/fit", "/compare", "/invert", "/predict", "/loss", "/gradient"]
Body = Mapping[str, Any]

DATA = Path(__file__).parent / "data"
LABORATORY = DATA / "laboratory"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the figures were published."""

    citation: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the answer."""

    at: str
    """Its JSON pointer."""
    text: str
    """As it is printed. Words, and counts without a decimal point, are compared as they are; `null`
    is the value."""
    needed: float | None = None
    """How many of its digits must agree; None: all but one unit of the last."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request with its certified figures."""

    name: str
    title: str
    source: Source
    route: Route
    body: Body
    certified: tuple[Figure, ...]
    curve: Body | None = None
    """A fit that precedes the request, whose `predict` is part of the request's body."""
    note: str | None = None


def with_data(body: Body) -> Body:
    """The body with the columns of the file that its `data` name; `indicators` are further columns
    by labels: 1 where the named column has that label, else 0."""
    named = body.get("data")
    if isinstance(named, str):
        return {**body, "data": columns(named)}
    if not isinstance(named, Mapping) or "file" not in named:
        return body
    found = columns(named["file"])
    flags = {
        label: [float(cell == label) for cell in found[of]]
        for label, of in named["indicators"].items()
    }
    used = {name: column for name, column in found.items() if isinstance(column[0], float)}
    return {**body, "data": {**used, **flags}}


@cache
def columns(name: str) -> dict[str, list[Any]]:
    """The columns of a file of `data/laboratory`: numbers, or labels where a cell is no number."""
    with (LABORATORY / name).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return {title: _numbers([row[i] for row in rows]) for i, title in enumerate(head)}


def _numbers(cells: list[str]) -> list[Any]:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return cells


def read(name: str) -> Any:
    """A JSON file of `data`, with its numbers as they are printed."""
    text = (DATA / name).read_text(encoding="utf-8")
    return json.loads(text, parse_float=str, parse_int=str)

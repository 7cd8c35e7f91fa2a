"""Columns from a file or stdin: CSV and similar tables, or JSON.


The file is read here rather than sent, so that `predict` can write the columns beside its
predictions.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from service.schemas import headers
from service.schemas.keys import are_numbers, is_infinite, is_plain

Value = float | str | None
Columns = dict[str, list[Value]]

_DELIMITERS = ",;\t|"
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}


class Unreadable(Exception):
    """The text is not a table; the message says where."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The `group_by` column, if there is one."""

    column: str | None = None
    are_text: bool | None = None
    """Whether the keys of an earlier fit are text; None: numbers, if no keys become equal by
    that."""


def read(path: str, keys: Keys = Keys()) -> Columns:
    """The columns of a file; `-` is stdin. Raises Unreadable and OSError."""
    raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is not UTF-8 at byte {error.start}") from None
    return json_columns(text) if text.lstrip()[:1] == "{" else table(text, keys)


def table(text: str, keys: Keys = Keys()) -> Columns:
    """The columns of a table as text.

    The delimiter is a comma, semicolon, tab, bar or spaces, whichever the first line has; lines
    that begin with # are comments. A unit in brackets is not part of a name: `time [s]` is `time`.
    Without a header, columns are x and y, or x1, x2, …, y.
    """
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    if not lines:
        raise Unreadable("it is empty")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    if delimiter in lines[0]:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    else:
        rows = [line.split() for line in lines]
    comma = delimiter == ";"
    headed = not all(_is_number(cell, comma) for cell in rows[0])
    names = headers.of_header(rows.pop(0))[0] if headed else headers.unnamed(len(rows[0]))
    _check(names, rows, headed)
    columns = {}
    for i, name in enumerate(names):
        cells = [row[i] for row in rows]
        as_text = name == keys.column and _are_text(cells, comma, keys)
        columns[name] = _texts(cells) if as_text else _column(cells, comma)
    return columns


def _check(names: list[str], rows: list[list[str]], headed: bool) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Unreadable(f"two columns are called '{twice}'")
    if not all(names):
        raise Unreadable("a column has no name; the first line names all or none")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise Unreadable(f"row {number} has {len(row)} cells, not {len(names)}")
    if headed and not rows:
        raise Unreadable("it has a header and no rows")


def _column(cells: list[str], comma: bool) -> list[Value]:
    """Numbers if all values that are not missing are numbers, else text."""
    if all(_is_number(cell, comma) for cell in cells):
        return [_number(cell, comma) for cell in cells]
    return _texts(cells)


def _texts(cells: list[str]) -> list[Value]:
    return [None if cell.lower() in _MISSING else cell for cell in cells]


def _are_text(cells: list[str], comma: bool, keys: Keys) -> bool:
    """Whether keys are text: else 001 and 1, or the wells 1E5 and 10E4, would be one group."""
    if keys.are_text:
        return True
    known = {cell for cell in cells if cell.lower() not in _MISSING}
    if any(map(is_infinite, known)):
        return False  # refused by the service, as every infinite key is
    points = {key.replace(",", ".") for key in known} if comma else known
    return not (are_numbers(points) if keys.are_text is None else all(map(is_plain, points)))


def _is_number(cell: str, comma: bool) -> bool:
    try:
        _number(cell, comma)
    except ValueError:
        return False
    return True


def _number(cell: str, comma: bool) -> float | None:
    """A number, or None for a missing one. In a table that semicolons divide, a comma may stand for
    the point."""
    if cell.lower() in _MISSING:
        return None
    return float(cell.replace(",", ".") if comma and cell.count(",") == 1 else cell)


def json_columns(text: str) -> Columns:
    """`{"x": [...], "y": [...]}`, or a request that has this as its data."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"it is not JSON: {error}") from None
    found = found["data"] if isinstance(found.get("data"), dict) else found
    if not all(isinstance(column, list) for column in found.values()):
        raise Unreadable("its JSON is not an object of columns: {'x': [1, 2], 'y': [3, 4]}")
    columns: Columns = found
    return columns

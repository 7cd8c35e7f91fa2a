"""A text's records of cells, and the separator and decimal sign that read them best."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from service.api.bodies.csv_cells import is_value
from service.api.http_errors import MalformedBody

SEPARATORS = "\t;|, "
"""In the order tried: a comma may be a decimal sign, and text rarely contains a tab. Spaces
separate where none of the others does it nearly as well."""

_SCORED = 12
"""The last lines, by which separator and decimal sign are chosen."""
_SEPARATES = 0.5
"""What it counts for a separator that lines have more than one cell."""
_SPACES_LESS = 0.25
"""By how much spaces must be the better separator."""


class Record(NamedTuple):
    """The cells of a line, or of several if a quoted cell has line breaks."""

    cells: tuple[str, ...]
    line: int
    """Its first line, from 0."""
    end: int


class Signs(NamedTuple):
    """The characters between values and before decimals."""

    separator: str
    decimal: str


def records_of(shown: str, separator: str) -> Iterator[Record]:
    """The records of a text. Raises MalformedBody."""
    if separator == " ":
        for number, line in enumerate(shown.splitlines()):
            yield Record(tuple(line.split()), number, number + 1)
        return
    reader = csv.reader(io.StringIO(shown, newline=""), delimiter=separator, skipinitialspace=True)
    began = 0
    try:
        for cells in reader:
            yield Record(tuple(cells), began, reader.line_num)
            began = reader.line_num
    except csv.Error as error:
        raise MalformedBody(f"line {reader.line_num}: {error}") from None


def signs_of(shown: str, separator: str, decimal: str | None, most: int) -> Signs:
    """The separator and decimal sign that read most of the last lines as values."""
    lines = shown.splitlines()[:most]
    scored = "\n".join(lines[max(0, len(lines) - _SCORED) :])
    best, top = Signs(separator or ",", decimal or "."), (-1.0, 0)
    for sign in separator or SEPARATORS:
        for mark in decimal or (".,"[: 1 if sign == "," else 2]):
            score, values = _score(scored, sign, mark)
            score -= _SPACES_LESS if sign == " " else 0.0
            if (score, values) > top:
                best, top = Signs(sign, mark), (score, values)
    return best


def _score(scored: str, separator: str, decimal: str) -> tuple[float, int]:
    """How well a text is read: of lines with the same number of cells, the part of the cells that
    are values times the part of the lines, and a half if there is more than one in a line; and the
    number of values. The best of all numbers of cells."""
    try:
        rows = [record.cells for record in records_of(scored, separator)]
    except MalformedBody:
        return (-1.0, 0)
    scores = [(-1.0, 0)]
    for width in {len(row) for row in rows}:
        same = [row for row in rows if len(row) == width]
        cells = [cell for row in same for cell in row if cell.strip()]
        values = sum(is_value(cell, decimal) for cell in cells)
        part = values / max(1, len(cells)) * len(same) / len(rows)
        scores.append((round(part + _SEPARATES * (width > 1), 3), values))
    return max(scores)

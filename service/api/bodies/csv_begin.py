"""Where the values of a table begin: below its header, its units and lines of settings that have as
many cells as it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.api.bodies.csv_cells import is_date, is_measured, is_value
from service.api.bodies.csv_signs import Record
from service.schemas.reading import ReadingOptions

HEADER_ROWS = 3
"""Rows that a header whose names are numbers must have below it."""


class Values(NamedTuple):
    """The rows and columns of a table in a block of records."""

    first: int
    """The first row of values in the block."""
    columns: tuple[int, ...]
    measured: tuple[int, ...] = ()
    """Those of them that have numbers or dates."""


def values(block: Sequence[Record], decimal: str, options: ReadingOptions) -> Values:
    """Where the values begin, and in which columns."""
    width = len(block[0].cells) if block else 0
    everything = tuple(range(width))
    begins = {}
    for column in everything:
        cells = [record.cells[column] for record in block]
        start = _begin(cells, decimal)
        if _is_dense(cells[start:], decimal) and 2 * (len(cells) - start) >= len(cells) - 2:
            begins[column] = start
    if not begins:
        begins = _late(block, decimal)
    if options.header is not None and not begins:
        return Values(int(options.header), everything)
    if not begins:
        bare = [cell.strip() for cell in block[0].cells] if block else []
        return Values(int(any(bare) and not any(is_value(c) for c in bare if c)), everything)
    first = min(begins.values())
    if options.header is not None:
        return Values(max(first, int(options.header)), everything, tuple(begins))
    late = max(begins.values())
    if first == 0 and len(block) > HEADER_ROWS and _are_names(block, late):
        first = 1
    if first == 0:
        beside = [c for c in everything if c not in begins and _is_beside(block, c, decimal)]
        return Values(0, tuple(c for c in everything if c not in beside), tuple(begins))
    return Values(first, everything, tuple(begins))


def _begin(cells: Sequence[str], decimal: str) -> int:
    """The row from which on all cells of a column are values."""
    start = len(cells)
    while start and is_value(cells[start - 1], decimal):
        start -= 1
    while start < len(cells) and not cells[start].strip():
        start += 1
    return start


def _is_dense(cells: Sequence[str], decimal: str) -> bool:
    """Whether half of the cells are numbers or dates."""
    return 2 * sum(is_measured(cell, decimal) for cell in cells) >= max(1, len(cells))


def _late(block: Sequence[Record], decimal: str) -> dict[int, int]:
    """Where the columns of a few rows of values begin below many lines of settings, of the same
    number of cells."""
    begins = {}
    for column in range(len(block[0].cells) if block else 0):
        cells = [record.cells[column] for record in block]
        start = _begin(cells, decimal)
        if len(cells) - start >= HEADER_ROWS and _is_dense(cells[start:], decimal):
            begins[column] = start
    first = max(begins.values(), default=0)
    return {column: first for column in begins if first > 0}


def _are_names(block: Sequence[Record], late: int) -> bool:
    """Whether the cells of the first record, some of which are numbers, may be names: all differ,
    and none is missing but those of empty columns and the corner above the names of the rows."""
    bare = [cell.strip() for cell in block[0].cells]
    below = [[record.cells[i].strip() for record in block[1:]] for i in range(len(bare))]
    is_corner = not bare[0] and all(below[0]) and not any(map(is_value, below[0]))
    named = [cell for i, cell in enumerate(bare) if any(below[i]) and (i or not is_corner)]
    is_above = any(
        cell and not is_value(cell) and any(column) and all(map(is_value, column))
        for cell, column in zip(bare, below, strict=True)
    )
    are_distinct = len(set(named)) == len(named) > 0 and all(named)
    return are_distinct and (late == 1 or is_corner or is_above)


def _is_beside(block: Sequence[Record], column: int, decimal: str) -> bool:
    """Whether a column stands beside the table rather than in it: it is mostly empty, with text in
    it, or has nothing in it at all."""
    cells = [record.cells[column].strip() for record in block]
    filled = [cell for cell in cells if cell]
    return (
        len(block) > HEADER_ROWS
        and 4 * len(filled) < 3 * len(cells)
        and (not filled or not all(is_date(cell) for cell in filled))
    )

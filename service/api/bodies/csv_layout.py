"""Where the table is in a text: its separator and decimal sign, the lines before and after it, the
names and units of its columns.

Instruments write a preamble above the table, a row of units below its header, a record of settings
beside it, a footer under it. The table is the run of lines with the same number of cells that has
most numbers; a column of numbers begins where all that follows in it is a number, a date or a
missing value, and the lines above are its header, its units, and what is left out. The answer
states what was understood, and options of the request say otherwise where the guess is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from service.api.bodies.csv_cells import is_date, is_measured, is_number, is_value
from service.api.bodies.csv_signs import Record, Signs, records_of, signs_of
from service.schemas import headers
from service.schemas.reading import ReadingOptions
from service.schemas.units import is_unit

_SAMPLE_BYTES, _FEW, _MANY = 2**16, 40, 1000
_SEPARATOR_LINE = re.compile(rb"sep=(.)\r?\n", re.IGNORECASE)
"""A first line that names the separator, as spreadsheets write it."""
_MOST_FOOTERS = 40
_HEADER_ROWS = 3
"""Rows that a header whose names are numbers must have below it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What is needed to parse a table."""

    separator: str
    decimal: str
    header: tuple[str, ...] | None
    """Its cells; None without a header."""
    units: tuple[str, ...] | None
    """The cells of the row of units."""
    first: int
    """Lines before the first row of values."""
    width: int
    """The number of cells in a row."""
    columns: tuple[int, ...]
    """The columns of the table; others stand beside it."""
    header_line: int | None = None
    """The line of the header, from 0."""
    units_line: int | None = None
    all_measured: bool = False
    """Whether all columns of the table have numbers or dates."""
    left_out: tuple[int, ...] = ()
    """Lines before the first row, from 0, that are neither header nor units."""


class Ragged(Exception):
    """A line of values has another number of cells than the table."""

    def __init__(self, line: int, cells: int, width: int, separator: str) -> None:
        self.line, self.cells, self.width, self.separator = line, cells, width, separator
        super().__init__(line)


def detect(text: bytes | bytearray, options: ReadingOptions, comment: str = "") -> Layout:
    """The layout of a text without comments and blank lines; `comment` is the last comment above
    its first line, which may be its header. Raises MalformedBody."""
    skipped, separator = 0, options.separator or ""
    if stated := _SEPARATOR_LINE.match(text):
        skipped, separator = 1, separator or stated[1].decode("latin-1")
        text = text[stated.end() :]
    if options.skip_rows:
        at = _after_lines(text, options.skip_rows)
        skipped, text = skipped + options.skip_rows, text[at:]
    head = bytes(text[:_SAMPLE_BYTES])
    if len(head) < len(text) and b"\n" in head:
        head = head[: head.rindex(b"\n") + 1]
    shown = head.decode(errors="replace")
    for most in (_FEW, _MANY):
        separator_, decimal = signs_of(shown, separator, options.decimal, most)
        records = list(islice(records_of(shown, separator_), most))
        block = _block(records, decimal)
        if 2 * (block.stop - block.start) > len(records) or len(records) < most:
            break
    block = _without_footer(records, block, decimal)
    found = _table(records[block], decimal, options)
    return _layout(records, block, found, Signs(separator_, decimal), options, comment, skipped)


def _after_lines(text: bytes | bytearray, lines: int) -> int:
    at = 0
    for _ in range(lines):
        at = text.find(b"\n", at) + 1 or len(text)
    return at


def _block(records: Sequence[Record], decimal: str) -> slice:
    """The run of records with the same number of cells that has most numbers and dates; of several,
    the longest, and the first of these. A record alone below rows of values is not one."""
    best, most, start = slice(0, 0), (0, 0), 0
    for i in range(1, len(records) + 1):
        if i == len(records) or len(records[i].cells) != len(records[start].cells):
            run = records[start:i]
            count = sum(is_measured(cell, decimal) for each in run for cell in each.cells)
            is_more = (count, len(run)) > most
            if is_more and not (len(run) == 1 and any(_are_values(r.cells) for r in records[best])):
                best, most = slice(start, i), (count, len(run))
            start = i
    return best


def _without_footer(records: Sequence[Record], block: slice, decimal: str) -> slice:
    """The block without the records of text at its end."""
    stop = block.stop
    while stop > max(block.start, block.stop - _MOST_FOOTERS):
        cells = [cell for cell in records[stop - 1].cells if cell.strip()]
        if not cells or any(is_value(cell, decimal) for cell in cells):
            return slice(block.start, stop)
        stop -= 1
    return block


class _Table(NamedTuple):
    first: int
    """The first row of values in the block."""
    columns: tuple[int, ...]
    measured: tuple[int, ...] = ()
    """Those of them that have numbers or dates."""


def _table(block: Sequence[Record], decimal: str, options: ReadingOptions) -> _Table:
    """Where the values begin, and in which columns."""
    width = len(block[0].cells) if block else 0
    everything = tuple(range(width))
    begins = {}
    for column in everything:
        cells = [record.cells[column] for record in block]
        start = len(cells)
        while start and is_value(cells[start - 1], decimal):
            start -= 1
        while start < len(cells) and not cells[start].strip():
            start += 1
        dense = sum(is_measured(cell, decimal) for cell in cells[start:])
        if 2 * dense >= max(1, len(cells) - start) and 2 * (len(cells) - start) >= len(cells) - 2:
            begins[column] = start
    if options.header is not None and not begins:
        return _Table(int(options.header), everything)
    if not begins:
        bare = [cell.strip() for cell in block[0].cells] if block else []
        return _Table(int(any(bare) and not any(is_value(c) for c in bare if c)), everything)
    first = min(begins.values())
    if options.header is not None:
        return _Table(max(first, int(options.header)), everything, tuple(begins))
    late = max(begins.values())
    if first == 0 and late == 1 and len(block) > _HEADER_ROWS and _are_names(block[0].cells):
        first = 1
    if first == 0:
        beside = [c for c in everything if c not in begins and _is_beside(block, c, decimal)]
        return _Table(0, tuple(c for c in everything if c not in beside), tuple(begins))
    return _Table(first, everything, tuple(begins))


def _are_names(cells: Sequence[str]) -> bool:
    """Whether cells, some of which are numbers, may be names: all differ and none is missing."""
    bare = [cell.strip() for cell in cells]
    return len(set(bare)) == len(bare) and all(bare)


def _is_beside(block: Sequence[Record], column: int, decimal: str) -> bool:
    """Whether a column stands beside the table rather than in it: it is mostly empty, with text in
    it, or has nothing in it at all."""
    cells = [record.cells[column].strip() for record in block]
    filled = [cell for cell in cells if cell]
    return (
        len(block) > _HEADER_ROWS
        and 4 * len(filled) < 3 * len(cells)
        and (not filled or not all(is_date(cell) for cell in filled))
    )


def _layout(
    records: Sequence[Record],
    block: slice,
    found: _Table,
    signs: Signs,
    options: ReadingOptions,
    comment: str,
    skipped: int,
) -> Layout:
    """The header and the units above the first row of values."""
    rows = records[block]
    width = len(rows[0].cells) if rows else 0
    above = [*records[: block.start], *rows[: found.first]]
    header = units = None
    if options.header is not False:
        header, units = _head(above, width, found.measured, options)
    if header is not None and len(header.cells) < width and not _are_indexed(rows[found.first :]):
        header, units = None, None
    if header is not None and len(header.cells) < width:
        header = _completed(header, [row.cells for row in rows[found.first :]], signs, skipped)
    used = [each.line for each in (header, units) if each is not None]
    _refuse_ragged(above, used, width, signs, skipped)
    names = header.cells if header is not None else None
    if names is None and options.header is None and not found.first and block.start == 0:
        names = _in_comment(comment, signs, width)
    first = rows[found.first].line if found.first < len(rows) else (rows[-1].end if rows else 0)
    left_out = [
        line + skipped
        for each in above
        if each.line not in used
        for line in range(each.line, each.end)
    ]
    return Layout(
        signs.separator,
        signs.decimal,
        names,
        units.cells if units is not None else None,
        first + skipped,
        width,
        found.columns,
        header.line + skipped if header is not None else None,
        units.line + skipped if units is not None else None,
        set(found.columns) <= set(found.measured),
        tuple(left_out),
    )


def _head(
    above: Sequence[Record], width: int, measured: Sequence[int], options: ReadingOptions
) -> tuple[Record | None, Record | None]:
    """The header and the row of units among the records above the values."""
    if not above:
        return None, None
    if len(above) > 1 and _is_partly_named(above[-1], width) and _is_named(above[-2], width):
        above = above[:-1]  # what is below the names, such as how the values were averaged
    last, stated = above[-1], options.units_row
    if len(above) > 1 and stated is not False:
        units = [last.cells[i] for i in measured if i < len(last.cells)]
        before = _cut(above[-2], width)
        if stated or (are_units(units) and _fits(before, width)):
            return before, _cut(last, width)
    last = _cut(last, width)
    if _fits(last, width) and (options.header or not _are_values(last.cells)):
        return last, None
    return None, None


def _is_named(record: Record, width: int) -> bool:
    """Whether a record has text for each column."""
    cells = [cell.strip() for cell in record.cells]
    return len(cells) == width and all(cells) and not any(map(is_value, cells))


def _is_partly_named(record: Record, width: int) -> bool:
    """Whether a record of the table's width has text for some columns, which is no unit."""
    cells = [cell.strip() for cell in record.cells]
    return len(cells) == width and not all(cells) and any(cells) and not are_units(cells)


def _are_indexed(rows: Sequence[Record]) -> bool:
    """Whether all rows have a value in the first column, which may lack a name."""
    return all(row.cells and row.cells[0].strip() for row in rows)


def _completed(
    header: Record, rows: Sequence[tuple[str, ...]], signs: Signs, skipped: int
) -> Record:
    """A header with a name for the first column, where it lacks just that one, as R writes it.
    Raises Ragged where it lacks others that are not empty."""
    width, named = len(rows[0]) if rows else 0, len(header.cells)
    if not any(cell.strip() for row in rows for cell in row[named:]):
        return header
    if width == named + 1 and all(cell.strip() for cell in header.cells):
        return header._replace(cells=("index", *header.cells))
    raise Ragged(header.end + skipped, width, named, signs.separator)


def _are_values(cells: Sequence[str]) -> bool:
    """Whether all cells are values, and one a number or a date."""
    return all(map(is_value, cells)) and any(map(is_measured, cells))


def _refuse_ragged(
    above: Sequence[Record], used: Sequence[int], width: int, signs: Signs, skipped: int
) -> None:
    """Raises MalformedBody where a line of values alone is above the table."""
    for record in above:
        if record.line not in used and len(record.cells) > 1 and _are_values(record.cells):
            raise Ragged(record.line + skipped, len(record.cells), width, signs.separator)


def _cut(record: Record, width: int) -> Record:
    """A record that goes on beyond the table, cut to its width where it has names for all of it."""
    return record._replace(cells=record.cells[:width])


def _fits(record: Record, width: int) -> bool:
    """Whether a record may be the header of a table: it names most of its columns, and a title of
    one cell names none of several."""
    cells = len(record.cells)
    named = sum(bool(cell.strip()) for cell in record.cells)
    return min(width, 2) <= cells <= width and named > 0 and 2 * named >= width


def are_units(cells: Sequence[str]) -> bool:
    """Whether the cells of a row are units, some perhaps empty: (ms), V, second."""
    bare = [cell.strip() for cell in cells]
    filled = [cell for cell in bare if cell]
    return bool(filled) and all(
        (cell[0] in "([" and cell[-1] in ")]") or is_unit(cell) for cell in filled
    )


def _in_comment(comment: str, signs: Signs, width: int) -> tuple[str, ...] | None:
    """The header in a comment, as `numpy.savetxt` and COMSOL write it."""
    if not comment:
        return None
    for separator in (signs.separator, " "):
        cells = next(records_of(comment, separator)).cells if comment.strip() else ()
        names = headers.of_header(cells)[0]
        if len(cells) == width and all(names) and not any(is_number(c.strip()) for c in cells):
            return cells
    return None


def footer(text: bytes | bytearray, layout: Layout) -> int:
    """The number of lines at the end of a text that are not rows of its table: they have another
    number of cells, or text where the table has numbers, and no number."""
    tail = bytes(text[-_SAMPLE_BYTES:])
    if len(tail) < len(text):
        tail = tail[tail.find(b"\n") + 1 :]
    lines = tail.decode(errors="replace").splitlines()
    if not lines or '"' in lines[-1]:
        return 0
    count = 0
    for line in reversed(lines[-_MOST_FOOTERS:]):
        cells = next(records_of(line, layout.separator)).cells if line.strip() else ()
        if not _is_footer(cells, layout):
            break
        count += 1
    return count if count < len(lines) else 0


def _is_footer(cells: Sequence[str], layout: Layout) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    if any(is_value(cell, layout.decimal) for cell in filled):
        return False
    return bool(filled) and (layout.all_measured or len(filled) < max(2, layout.width))

"""Where the table is in a text: its separator and decimal sign, the lines before and after it, the
names and units of its columns.

Instruments write a preamble above the table, a row of units below its header, a record of settings
beside it, a footer under it. The table is the run of lines with the same number of cells that has
most numbers;
a column of numbers begins where all that follows in it is a number, a date or a missing value, and
the lines above are its header, its units, and what is left out. The answer states what was
understood, and options of the request say otherwise where the guess is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from service.api.reading.csv_cells import is_date, is_measured, is_number, is_value
from service.api.reading.table import MalformedBody
from service.schemas import headers
from service.schemas.reading import ReadingOptions
from service.schemas.units import is_unit

SEPARATORS = "\t;, "
"""In the order tried: a comma may be a decimal sign, and text rarely contains a tab. Spaces
separate where none of the others does it nearly as well."""

_SAMPLE_BYTES, _FEW, _MANY, _SCORED = 2**16, 40, 1000, 12
_SEPARATOR_LINE = re.compile(rb"sep=(.)\r?\n", re.IGNORECASE)
"""A first line that names the separator, as spreadsheets write it."""
_MOST_FOOTERS = 40
_SEPARATES = 0.5
"""What it counts for a separator that lines have more than one cell."""
_SPACES_LESS = 0.25
"""By how much spaces must be the better separator."""
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
    left_out: tuple[int, ...] = ()
    """Lines before the first row, from 0, that are neither header nor units."""


class Ragged(Exception):
    """A line of values has another number of cells than the table."""

    def __init__(self, line: int, cells: int, width: int, separator: str) -> None:
        self.line, self.cells, self.width, self.separator = line, cells, width, separator
        super().__init__(line)


class _Record(NamedTuple):
    cells: tuple[str, ...]
    line: int
    """Its first line, from 0."""
    end: int


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
        separator_, decimal = _signs(shown, separator, options.decimal, most)
        records = list(islice(_records(shown, separator_), most))
        block = _block(records, decimal)
        if 2 * (block.stop - block.start) > len(records) or len(records) < most:
            break
    found = _table(records[block], decimal, options)
    return _layout(records, block, found, _Signs(separator_, decimal), options, comment, skipped)


class _Signs(NamedTuple):
    separator: str
    decimal: str


def _after_lines(text: bytes | bytearray, lines: int) -> int:
    at = 0
    for _ in range(lines):
        at = text.find(b"\n", at) + 1 or len(text)
    return at


def _records(shown: str, separator: str) -> Iterator[_Record]:
    """The records of a text. Raises MalformedBody."""
    if separator == " ":
        for number, line in enumerate(shown.splitlines()):
            yield _Record(tuple(line.split()), number, number + 1)
        return
    reader = csv.reader(io.StringIO(shown, newline=""), delimiter=separator, skipinitialspace=True)
    line = 0
    try:
        for cells in reader:
            yield _Record(tuple(cells), line, reader.line_num)
            line = reader.line_num
    except csv.Error as error:
        raise MalformedBody(f"line {reader.line_num}: {error}") from None


def _signs(shown: str, separator: str, decimal: str | None, most: int) -> _Signs:
    """The separator and decimal sign that read most of the last lines as values."""
    lines = shown.splitlines()[:most]
    scored = "\n".join(lines[max(0, len(lines) - _SCORED) :])
    best, top = _Signs(separator or ",", decimal or "."), (-1.0, 0)
    for sign in separator or SEPARATORS:
        for mark in decimal or (".,"[: 1 if sign == "," else 2]):
            score, values = _score(scored, sign, mark)
            score -= _SPACES_LESS if sign == " " else 0.0
            if (score, values) > top:
                best, top = _Signs(sign, mark), (score, values)
    return best


def _score(scored: str, separator: str, decimal: str) -> tuple[float, int]:
    """How well a text is read: of lines with the same number of cells, the part of the cells that
    are values times the part of the lines, and a half if there is more than one in a line; and the
    number of values. The best of all numbers of cells."""
    try:
        rows = [record.cells for record in _records(scored, separator)]
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


def _block(records: Sequence[_Record], decimal: str) -> slice:
    """The run of records with the same number of cells that has most numbers and dates; of several,
    the longest, and the last of these."""
    best, most, start = slice(0, 0), (0, 0), 0
    for i in range(1, len(records) + 1):
        if i == len(records) or len(records[i].cells) != len(records[start].cells):
            run = records[start:i]
            count = sum(is_measured(cell, decimal) for each in run for cell in each.cells)
            if (count, len(run)) >= most:
                best, most = slice(start, i), (count, len(run))
            start = i
    return best


class _Table(NamedTuple):
    first: int
    """The first row of values in the block."""
    columns: tuple[int, ...]
    measured: tuple[int, ...] = ()
    """Those of them that have numbers or dates."""


def _table(block: Sequence[_Record], decimal: str, options: ReadingOptions) -> _Table:
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


def _is_beside(block: Sequence[_Record], column: int, decimal: str) -> bool:
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
    records: Sequence[_Record],
    block: slice,
    found: _Table,
    signs: _Signs,
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
        tuple(left_out),
    )


def _head(
    above: Sequence[_Record], width: int, measured: Sequence[int], options: ReadingOptions
) -> tuple[_Record | None, _Record | None]:
    """The header and the row of units among the records above the values."""
    if not above:
        return None, None
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


def _completed(
    header: _Record, rows: Sequence[tuple[str, ...]], signs: _Signs, skipped: int
) -> _Record:
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
    above: Sequence[_Record], used: Sequence[int], width: int, signs: _Signs, skipped: int
) -> None:
    """Raises MalformedBody where a line of values alone is above the table."""
    for record in above:
        if record.line not in used and len(record.cells) > 1 and _are_values(record.cells):
            raise Ragged(record.line + skipped, len(record.cells), width, signs.separator)


def _cut(record: _Record, width: int) -> _Record:
    """A record that goes on beyond the table, cut to its width where it has names for all of it."""
    return record._replace(cells=record.cells[:width])


def _fits(record: _Record, width: int) -> bool:
    """Whether a record may be the header of a table: it names all columns but trailing ones."""
    named = len([cell for cell in record.cells if cell.strip()])
    return len(record.cells) <= width and named > 0 and 2 * named >= width


def are_units(cells: Sequence[str]) -> bool:
    """Whether the cells of a row are units, some perhaps empty: (ms), V, second."""
    bare = [cell.strip() for cell in cells]
    filled = [cell for cell in bare if cell]
    return bool(filled) and all(
        (cell[0] in "([" and cell[-1] in ")]") or is_unit(cell) for cell in filled
    )


def _in_comment(comment: str, signs: _Signs, width: int) -> tuple[str, ...] | None:
    """The header in a comment, as `numpy.savetxt` and COMSOL write it."""
    if not comment:
        return None
    for separator in (signs.separator, " "):
        cells = next(_records(comment, separator)).cells if comment.strip() else ()
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
        cells = next(_records(line, layout.separator)).cells if line.strip() else ()
        if not _is_footer(cells, layout):
            break
        count += 1
    return count if count < len(lines) else 0


def _is_footer(cells: Sequence[str], layout: Layout) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    if any(is_value(cell, layout.decimal) for cell in filled):
        return False
    return bool(filled) and len(filled) < max(2, layout.width)

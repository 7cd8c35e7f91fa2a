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

from service.api.bodies.csv_begin import Values, values
from service.api.bodies.csv_cells import is_measured, is_number, is_value
from service.api.bodies.csv_signs import Record, Signs, records_of, signs_of
from service.schemas import headers
from service.schemas.reading import ReadingOptions
from service.schemas.units import is_unit

_SAMPLE_BYTES, _FEW, _MANY = 2**16, 40, 1000
_SEPARATOR_LINE = re.compile(rb"sep=(.)\r?\n", re.IGNORECASE)
"""A first line that names the separator, as spreadsheets write it."""
_MOST_FOOTERS = 40


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
    measured: tuple[int, ...] = ()
    """The columns that have numbers or dates."""
    left_out: tuple[int, ...] = ()
    """Lines before the first row, from 0, that are neither header nor units."""


class Ragged(Exception):
    """A line of values has another number of cells than the table."""

    def __init__(self, line: int, cells: int, width: int, separator: str) -> None:
        self.line, self.cells, self.width, self.separator = line, cells, width, separator
        super().__init__(line)


class Interrupted(Exception):
    """A line of text stands between rows of values that have as many cells."""

    def __init__(self, above: Sequence[Record], width: int, skipped: int) -> None:
        rows = [len(record.cells) == width and _are_values(record.cells) for record in above]
        first = rows.index(True)
        self.rows = rows.index(False, first) - first if False in rows[first:] else len(rows) - first
        self.line, self.end = above[first].line + self.rows + skipped, above[-1].end + skipped
        """The line of text, from 0, and the end of the last that is above the table."""
        super().__init__(self.line)


def detect(text: bytes | bytearray, options: ReadingOptions, comment: str = "") -> Layout:
    """The layout of a text without comments and blank lines; `comment` is the last comment above
    its first line, which may be its header. Raises MalformedBody."""
    skipped, separator = 0, options.separator or ""
    if stated := _SEPARATOR_LINE.match(text):
        skipped, separator = 1, separator or stated[1].decode("latin-1")
        text = text[stated.end() :]
    if options.skip_rows:
        at = after_lines(text, options.skip_rows)
        skipped, text = skipped + options.skip_rows, text[at:]
    head = bytes(text[:_SAMPLE_BYTES])
    if len(head) < len(text) and b"\n" in head:
        head = head[: head.rindex(b"\n") + 1]
    shown = head.decode(errors="replace")
    for most in (_FEW, _MANY):
        separator_, decimal = signs_of(shown, separator, options.decimal, most)
        records = list(islice(records_of(shown, separator_), most))
        block = _block(records, decimal, options.max_rows)
        if 2 * (block.stop - block.start) > len(records) or len(records) < most:
            break
    block = _without_footer(records, block, decimal)
    found = values(records[block], decimal, options)
    return _layout(records, block, found, Signs(separator_, decimal), options, comment, skipped)


def after_lines(text: bytes | bytearray, lines: int, at: int = 0) -> int:
    """The place after that many lines."""
    for _ in range(lines):
        at = text.find(b"\n", at) + 1 or len(text)
    return at


def _block(records: Sequence[Record], decimal: str, least: int | None) -> slice:
    """The run of records with the same number of cells that has most numbers and dates; of several,
    the longest, and the first of these. A record alone below rows of values is not one. Where the
    most rows to read are stated, it is the first that has as many."""
    best, most, start = slice(0, 0), (0, 0), 0
    for i in range(1, len(records) + 1):
        if i == len(records) or len(records[i].cells) != len(records[start].cells):
            run = records[start:i]
            if least and sum(_are_values(record.cells) for record in run) >= least:
                return slice(start, i)
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


def _layout(
    records: Sequence[Record],
    block: slice,
    found: Values,
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
        if signs.separator == " ":
            above = [_with_brackets(record, width) for record in above]
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
        found.measured,
        tuple(left_out),
    )


def _head(
    above: Sequence[Record], width: int, measured: Sequence[int], options: ReadingOptions
) -> tuple[Record | None, Record | None]:
    """The header and the row of units among the records above the values."""
    if not above:
        return None, None
    is_between = _is_partly_named(above[-1], width) or len(above[-1].cells) == 1 < width
    if len(above) > 1 and is_between and _is_named(above[-2], width):
        above = above[:-1]  # how the values were averaged, or the step that they are of
    last, stated = above[-1], options.units_row
    if len(above) > 1 and stated is not False:
        units = [last.cells[i] for i in measured if i < len(last.cells)]
        before = _cut(above[-2], width)
        if stated or (are_units(units) and _fits(before, width)):
            return before, _cut(last, width)
    last = _cut(last, width)
    may_be = options.header or not _are_values(last.cells) or _has_corner(last, measured)
    if may_be and _fits(last, width):
        return last, None
    return None, None


def _has_corner(record: Record, measured: Sequence[int]) -> bool:
    """Whether a record has the names of all columns but the first, where no numbers stand."""
    return 0 not in measured and not record.cells[0].strip() and all(record.cells[1:])


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
    if width == named + 1 and not header.cells[0].strip():
        return header  # the names of a plate's rows before its columns, and a remark after them
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
            if len(record.cells) == width:
                raise Interrupted(above, width, skipped)
            raise Ragged(record.line + skipped, len(record.cells), width, signs.separator)


def _with_brackets(record: Record, width: int) -> Record:
    """A record of words between spaces: a unit in brackets belongs to the word before it. One that
    has more words than the table has columns has none of its names."""
    cells: list[str] = []
    for word in record.cells:
        if cells and word[:1] in {"(", "["}:
            cells[-1] += f" {word}"
        else:
            cells.append(word)
    return record._replace(cells=tuple(cells) if len(cells) <= width else (" ".join(cells),))


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

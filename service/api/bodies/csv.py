"""CSV, parsed by pyarrow once its separator, header and lines have been determined."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from service.api.bodies import (
    csv_charset,
    csv_columns,
    csv_end,
    csv_layout,
    csv_lines,
    csv_stack,
    table,
)  # fmt: skip
from service.api.bodies.arrow import labels, load
from service.api.bodies.csv_cells import NULLS
from service.api.bodies.csv_layout import Layout
from service.api.bodies.table import Bounds, Keys, Lines, Table, check_names
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip
from service.errors import InvalidData, InvalidRequest
from service.schemas import headers
from service.schemas.columns import Labels, Numbers
from service.schemas.reading import Dates, Reading, ReadingOptions

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULTS = ReadingOptions()
_NULLS = [null for bare in NULLS for null in (bare, f" {bare}", f"{bare} ")]


def read(
    body: bytes | bytearray,
    media_type: MediaType,
    bounds: Bounds,
    options: ReadingOptions = DEFAULTS,
) -> Table:
    """The columns of a CSV. Raises MalformedBody or InvalidData, which name the line."""
    load()
    import pyarrow as pa

    whole, charset = csv_charset.to_utf8(body, media_type)
    bounds.check_nbytes(8 * whole.count(b"\n"))
    stripped = csv_lines.strip(whole)
    text, kept = stripped.text, stripped.kept
    if not text.strip():
        raise MalformedBody("the body is empty; send lines of values, such as `x,y` and `1,2`")
    options = _stated(options, media_type)
    try:
        layout = csv_layout.detect(text, options, stripped.comment)
    except csv_layout.Ragged as error:
        raise _ragged(error, csv_lines.numbered(kept, error.line + 1), "") from None
    except csv_layout.Interrupted as error:
        line = csv_lines.numbered(kept, error.line + 1)
        raise csv_end.interrupted(f"{line}", error.rows, error.end) from None
    bounds.check_columns(layout.width)
    bounds.check_nbytes(8 * layout.width * (text.count(b"\n") - layout.first))
    if text.count(b'"') % 2:
        _check_quotes(text, layout, kept)
    rows, below = _rows(text, layout, options.max_rows)
    names, units = _names(layout)
    try:
        parsed = _parse(rows, layout, kept)
    except csv_end.End as end:
        rows, below = rows.slice(0, end.size), below + end.lines
        parsed = _parse(rows, layout, kept)
    bounds.check_rows(parsed.num_rows)
    is_one_a_row = b'"' not in text
    lines = csv_lines.after(kept, layout.first, parsed.num_rows, is_one_a_row=is_one_a_row)
    found = _Found(units, options, layout.decimal)
    for index, name in zip(layout.columns, names, strict=True):
        chunks = parsed.column(str(index))
        if name not in {"", "index"} or chunks.null_count < len(chunks):
            found.add(name or f"column_{index + 1}", chunks, bounds, lines)
    columns = found.columns
    empty = csv_columns.empty_rows(columns)
    if empty is not None:
        columns = {name: column[~empty] for name, column in columns.items()}
        lines = lines.without(empty)

    def as_keys(name: str, wanted: Keys) -> Numbers | Labels:
        texts = column = columns[name]
        if not isinstance(texts, Labels):
            position = positions[name]
            again = _read(rows, layout, kept, _positions(layout), {position: pa.string()})
            texts = csv_columns.trimmed(labels(again.column(position).chunks, bounds))
            texts = texts if empty is None else texts[~empty]
        return table.of_texts(name, texts, column, wanted.kind)

    positions = {
        name or f"column_{index + 1}": str(index)
        for index, name in zip(layout.columns, names, strict=True)
    }
    understood = _understood(layout, charset, kept, found, _Below(text, below))
    units = {name: unit for name, unit in found.units.items() if name in columns}
    made = Table(columns, units, lines=lines, reread=as_keys, reading=understood)
    if options.stack is None:
        return made
    cells = dict(zip(names, (layout.header or names)[: len(names)], strict=False))
    return csv_stack.stacked(made, cells, options, bounds)


class _Found:
    """The columns as they are read, with what was understood of them."""

    def __init__(self, units: Mapping[str, str], options: ReadingOptions, decimal: str) -> None:
        self._options, self._decimal = options, decimal
        self.columns: dict[str, Numbers | Labels] = {}
        self.units = dict(units)
        self.dates: dict[str, Dates] = {}
        self.marks: dict[str, int] = {}

    def add(
        self,
        name: str,
        chunks: pa.ChunkedArray,
        bounds: Bounds,
        lines: Lines,
    ) -> None:
        """Reads a column. Raises InvalidData where it can be read in more than one way."""
        try:
            read = csv_columns.column(chunks, bounds, self._options, self._decimal)
        except csv_columns.AmbiguousDates as error:
            raise InvalidData(
                f"column '{name}': '{clip(str(error))}' may be day-month-year or month-day-year; "
                "state it with `dates=dmy` or `dates=mdy`, or write 2026-12-31",
                pointer=f"/data/{name}",
            ) from None
        if read.decimal_comma:
            assert isinstance(read.values, Labels)
            row = int(
                np.flatnonzero(read.values.codes == read.values.names.index(read.decimal_comma))[0]
            )
            raise _refuse_decimal_comma(read.decimal_comma, name, lines.of(row), row)
        self.columns[name] = read.values
        if read.dates is not None:
            self.dates[name] = read.dates
            self.units[name] = read.dates.unit
        if read.unit:
            self.units[name] = read.unit
        if read.marks:
            self.marks[name] = read.marks


def _stated(options: ReadingOptions, media_type: MediaType) -> ReadingOptions:
    """The options, with those that the Content-Type states."""
    if media_type.name == "text/tab-separated-values" and options.separator is None:
        options = options.model_copy(update={"separator": "\t"})
    stated = media_type.params.get("header", "").lower()
    if stated and stated not in {"present", "absent"}:
        raise InvalidRequest(
            f"the Content-Type's `header` must be present or absent, not '{clip(stated)}'"
        )
    if stated and options.header is None:
        options = options.model_copy(update={"header": stated == "present"})
    return options


def _rows(text: bytes | bytearray, layout: Layout, most: int | None) -> tuple[pa.Buffer, int]:
    """The lines of the rows, and the number of lines below them that are left out."""
    import pyarrow as pa

    at = 0
    for _ in range(layout.first):
        at = text.find(b"\n", at) + 1 or len(text)
    end = len(text) if most is None else csv_layout.after_lines(text, most, at)
    if end < len(text):
        below = text.rstrip(b"\r\n").count(b"\n", end) + 1
    else:
        below = csv_end.footer(text, layout)
        for _ in range(below):
            end = text.rfind(b"\n", at, end - 1) + 1
    rows = pa.py_buffer(text).slice(at, max(0, end - at))
    if layout.separator == " ":
        rows = pa.py_buffer(_tabbed(bytes(rows)))
    return rows, below


def _tabbed(rows: bytes) -> bytes:
    """Lines of values between spaces, with one tab between them."""
    return b"".join(b"\t".join(line.split()) + b"\n" for line in io.BytesIO(rows))


class _Below(NamedTuple):
    text: bytes | bytearray
    lines: int


def _understood(
    layout: Layout,
    charset: str,
    kept: npt.NDArray[np.int32] | None,
    found: _Found,
    below: _Below,
) -> Reading:
    last = below.text.rstrip(b"\r\n").count(b"\n")
    left_out = [*layout.left_out, *range(last - below.lines + 1, last + 1)]
    return Reading(
        separator=layout.separator,
        decimal=layout.decimal,
        charset=charset,
        header_line=_line(kept, layout.header_line),
        units_line=_line(kept, layout.units_line),
        lines_left_out=[csv_lines.numbered(kept, line + 1) for line in left_out[:100]],
        left_out=len(left_out),
        columns_left_out=layout.width - len(layout.columns),
        dates=found.dates,
        marks=found.marks,
    )


def _line(kept: npt.NDArray[np.int32] | None, line: int | None) -> int | None:
    return None if line is None else csv_lines.numbered(kept, line + 1)


def _names(layout: Layout) -> tuple[list[str], dict[str, str]]:
    """The names of the columns that are read, and their units."""
    if layout.header is None:
        return headers.unnamed(len(layout.columns)), {}
    # A separator at the end of each line makes a last column without a name.
    cells = [*layout.header, *[""] * (layout.width - len(layout.header))]
    names, units = headers.of_header(cells)
    if not names[0] and len(names) > 1 and names[1]:
        names[0] = "index"
    for name, cell in zip(names, layout.units or (), strict=False):
        if name and cell.strip():
            units[name] = headers.unit(cell)
    check_names(name for name in names if name)
    return [names[i] for i in layout.columns], units


def _parse(rows: pa.Buffer, layout: Layout, kept: npt.NDArray[np.int32] | None) -> pa.Table:
    """Columns of numbers, dates or text, named by their position."""
    import pyarrow as pa

    names = _positions(layout)
    if not rows.size:
        return pa.table({name: pa.array([], pa.float64()) for name in names})
    return _read(rows, layout, kept, names, {})


def _positions(layout: Layout) -> list[str]:
    return [str(i) for i in range(layout.width)]


def _read(
    rows: pa.Buffer,
    layout: Layout,
    kept: npt.NDArray[np.int32] | None,
    names: Sequence[str],
    types: dict[str, Any],
) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        return arrow_csv.read_csv(
            pa.BufferReader(rows),
            # One block, so that a column's type is inferred from all its values.
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=rows.size + 1),
            arrow_csv.ParseOptions(
                delimiter=_delimiter(layout), newlines_in_values=True, invalid_row_handler=refuse
            ),
            arrow_csv.ConvertOptions(
                null_values=_NULLS,
                strings_can_be_null=True,
                true_values=[],
                false_values=[],
                decimal_point=layout.decimal,
                column_types=types,
                include_columns=list(types),
            ),
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        if not ragged:
            reason = clip(str(error).partition("\n")[0])
            raise MalformedBody(f"the body cannot be read as CSV: {reason}") from None
        csv_end.check(bytes(rows), ragged[0], layout, kept)
        line = csv_lines.numbered(kept, layout.first + ragged[0].number)
        odd = csv_layout.Ragged(
            line, ragged[0].actual_columns, ragged[0].expected_columns, layout.separator
        )
        raise _ragged(odd, line, ragged[0].text) from None


def _delimiter(layout: Layout) -> str:
    return "\t" if layout.separator == " " else layout.separator


def _ragged(error: csv_layout.Ragged, line: int, text: str) -> MalformedBody:
    """The error for a line that has another number of values than the table."""
    sep = {"\t": "a tab", " ": "spaces"}.get(error.separator, f"'{error.separator}'")
    hint = "put quotes around a value that contains the separator"
    if error.separator == "," and error.cells == 2 * error.width:
        hint = "write decimal points instead of commas, or use another separator"
    shown = f": '{clip(text)}'" if text else ""
    return MalformedBody(
        f"line {line} has {error.cells} values where {error.width} are expected "
        f"(the separator is {sep}){shown}; {hint}"
    )


def _check_quotes(
    text: bytes | bytearray, layout: Layout, kept: npt.NDArray[np.int32] | None
) -> None:
    """Raises MalformedBody where a quote is not closed."""
    stream = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=_delimiter(layout), strict=True)
    began = 0
    try:
        for _ in reader:
            began = reader.line_num
    except csv.Error:
        line = csv_lines.numbered(kept, began + 1)
        raise MalformedBody(f"line {line}: a quote is not closed, or misplaced") from None


def _refuse_decimal_comma(text: str, name: str, line: int, row: int) -> InvalidData:
    """The error for a number with a decimal comma, with what fixes it."""
    return InvalidData(
        f"line {line}, column '{name}': '{clip(text)}' has a decimal comma; state it with "
        f"`decimal=,`, or write decimal points, as in '{clip(text.replace(',', '.'))}'",
        pointer=f"/data/{name}/{row}",
    )

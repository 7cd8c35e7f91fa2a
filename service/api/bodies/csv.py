"""CSV, parsed by pyarrow once its separator, header and lines have been determined."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from service.api.bodies import csv_dialect, table
from service.api.bodies.arrow import labels, load, numbers
from service.api.bodies.csv_dialect import NULLS, Dialect
from service.api.bodies.table import Bounds, Keys, Lines, Table, check_names
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip
from service.errors import InvalidData, shortened
from service.schemas import headers
from service.schemas.columns import Labels, Numbers

if TYPE_CHECKING:
    import pyarrow as pa

_NULLS = [null for bare in NULLS for null in (bare, f" {bare}", f"{bare} ")]


def read(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """The columns of a CSV. Raises MalformedBody or InvalidData, which name the line."""
    load()
    import pyarrow as pa

    whole = csv_dialect.to_utf8(body, media_type)
    bounds.check_nbytes(8 * whole.count(b"\n"))
    text, kept = csv_dialect.strip(whole)
    if not text.strip():
        raise MalformedBody("the body is empty; send lines of values, such as `x,y` and `1,2`")
    if csv_dialect.are_spaced(text):
        text = csv_dialect.spaces_to_tabs(text)
    dialect = csv_dialect.detect(text, media_type)
    bounds.check_columns(dialect.width)
    bounds.check_nbytes(8 * dialect.width * (text.count(b"\n") - dialect.header_lines))
    names, units = _names(dialect)
    if text.count(b'"') % 2:
        _check_quotes(text, dialect, kept)
    rows = _skip_lines(text, dialect.header_lines)
    parsed = _parse(rows, dialect, kept)
    bounds.check_rows(parsed.num_rows)
    is_one_a_row = b'"' not in text
    lines = csv_dialect.after(
        kept, dialect.header_lines, parsed.num_rows, is_one_a_row=is_one_a_row
    )
    columns: dict[str, Numbers | Labels] = {}
    for name, column in zip(names, parsed.columns, strict=True):
        if name or column.null_count < len(column):
            columns[name or _unnamed(column, names)] = _column(column, name, bounds, lines)
    empty = _empty_rows(columns)
    if empty is not None:
        columns = {name: column[~empty] for name, column in columns.items()}
        lines = lines.without(empty)

    def as_keys(name: str, wanted: Keys) -> Numbers | Labels:
        texts = column = columns[name]
        if not isinstance(texts, Labels):
            position = str(names.index(name))
            again = _read(rows, dialect, kept, _positions(dialect), {position: pa.string()})
            texts = _trimmed(labels(again.column(position).chunks, bounds))
            texts = texts if empty is None else texts[~empty]
        return table.of_texts(name, texts, column, wanted.kind)

    return Table(columns, units, lines=lines, reread=as_keys)


def _names(dialect: Dialect) -> tuple[list[str], dict[str, str]]:
    if dialect.header is None:
        return headers.unnamed(dialect.width), {}
    # A separator at the end of each line makes a last column without a name.
    cells = [*dialect.header, *[""] * (dialect.width - len(dialect.header))]
    names, units = headers.of_header(cells)
    check_names(name for name in names if name)
    return names, units


def _unnamed(column: pa.ChunkedArray, names: Sequence[str]) -> str:
    raise InvalidData(
        f"column {names.index('') + 1} has values but no name; name it in the first line "
        f"(known: {', '.join(shortened(name) for name in names[:20] if name)})",
        pointer="/data",
    )


def _skip_lines(text: bytes | bytearray, lines: int) -> pa.Buffer:
    import pyarrow as pa

    at = 0
    for _ in range(lines):
        at = text.find(b"\n", at) + 1 or len(text)
    return pa.py_buffer(text).slice(at)


def _parse(rows: pa.Buffer, dialect: Dialect, kept: npt.NDArray[np.int32] | None) -> pa.Table:
    """Columns of numbers or text, named by their position."""
    import pyarrow as pa

    names = _positions(dialect)
    if not rows.size:
        return pa.table({name: pa.array([], pa.float64()) for name in names})
    parsed = _read(rows, dialect, kept, names, {})
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null, pa.types.is_string)
    non_numeric = [
        field.name for field in parsed.schema if not any(is_so(field.type) for is_so in numeric)
    ]
    if non_numeric:  # dates and times are read as text
        texts = _read(rows, dialect, kept, names, dict.fromkeys(non_numeric, pa.string()))
        for name in non_numeric:
            parsed = parsed.set_column(int(name), name, texts.column(name))
    if dialect.separator == ";":
        for name in [field.name for field in parsed.schema if pa.types.is_string(field.type)]:
            column = _with_decimal_commas(rows, dialect, kept, name)
            parsed = parsed if column is None else parsed.set_column(int(name), name, column)
    return parsed


def _with_decimal_commas(
    rows: pa.Buffer, dialect: Dialect, kept: npt.NDArray[np.int32] | None, name: str
) -> pa.ChunkedArray | None:
    """A column as numbers with decimal commas; None if it is not that. Spreadsheets separate by
    semicolons where the decimal sign is a comma; elsewhere a comma may group thousands."""
    import pyarrow as pa

    types = {name: pa.float64()}
    try:
        return _read(rows, dialect, kept, _positions(dialect), types, decimal=",").column(name)
    except MalformedBody:
        return None


def _positions(dialect: Dialect) -> list[str]:
    return [str(i) for i in range(dialect.width)]


def _read(
    rows: pa.Buffer,
    dialect: Dialect,
    kept: npt.NDArray[np.int32] | None,
    names: Sequence[str],
    types: dict[str, Any],
    decimal: str = ".",
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
                delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=refuse
            ),
            arrow_csv.ConvertOptions(
                null_values=_NULLS,
                strings_can_be_null=True,
                true_values=[],
                false_values=[],
                column_types=types,
                decimal_point=decimal,
                include_columns=list(types),
            ),
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        if not ragged:
            reason = clip(str(error).partition("\n")[0])
            raise MalformedBody(f"the body cannot be read as CSV: {reason}") from None
        raise _ragged(ragged[0], dialect, kept) from None


def _ragged(row: Any, dialect: Dialect, kept: npt.NDArray[np.int32] | None) -> MalformedBody:
    line = csv_dialect.numbered(kept, dialect.header_lines + row.number)
    sep = {"\t": "a tab"}.get(dialect.separator, f"'{dialect.separator}'")
    hint = "put quotes around a value that contains the separator"
    if dialect.separator == "," and row.actual_columns == 2 * row.expected_columns:
        hint = "write decimal points instead of commas, or use another separator"
    return MalformedBody(
        f"line {line} has {row.actual_columns} values where {row.expected_columns} are expected "
        f"(the separator is {sep}): '{clip(row.text)}'; {hint}"
    )


def _check_quotes(
    text: bytes | bytearray, dialect: Dialect, kept: npt.NDArray[np.int32] | None
) -> None:
    """Raises MalformedBody where a quote is not closed."""
    stream = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=dialect.separator, strict=True)
    began = 0
    try:
        for _ in reader:
            began = reader.line_num
    except csv.Error:
        line = csv_dialect.numbered(kept, began + 1)
        raise MalformedBody(f"line {line}: a quote is not closed, or misplaced") from None


def _column(column: pa.ChunkedArray, name: str, bounds: Bounds, lines: Lines) -> Numbers | Labels:
    import pyarrow as pa

    if not pa.types.is_string(column.type):
        return numbers(column.chunks)
    texts = _trimmed(labels(column.chunks, bounds))
    if comma := csv_dialect.decimal_comma(texts.names):
        row = int(np.flatnonzero(texts.codes == texts.names.index(comma))[0])
        raise csv_dialect.refuse_decimal_comma(comma, name, lines.of(row), row)
    return texts


def _trimmed(column: Labels) -> Labels:
    """The column with the spaces around its texts removed; a blank text is a missing value."""
    bare = [name.strip() for name in column.names]
    if bare == list(column.names):
        return column
    stripped = Labels.of(None if name in NULLS else name for name in bare)
    places = np.append(stripped.codes, np.int32(-1))
    return Labels(places[column.codes], stripped.names)


def _empty_rows(columns: dict[str, Numbers | Labels]) -> npt.NDArray[np.bool_] | None:
    """The rows without any value, which spreadsheets write below a table; None if there are none,
    or if there is only one column."""
    empty: npt.NDArray[np.bool_] | None = None
    for column in columns.values():
        missing = column.codes < 0 if isinstance(column, Labels) else np.isnan(column)
        empty = missing if empty is None else empty & missing
        if not empty.any():
            return None
    return None if len(columns) == 1 else empty

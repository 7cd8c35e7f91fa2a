"""A wide table made long: the header's cells become values of a column.

Plate readers write a column for each well, dose-response tables one for each dose: a second input
stands in the header. Stacked, it is a column like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from service.api.bodies.arrow import load
from service.api.bodies.csv_columns import column
from service.api.bodies.table import Bounds, Keys, Lines, Table, of_texts
from service.errors import InvalidData, UnknownName
from service.schemas import headers
from service.schemas.columns import Labels, Numbers
from service.schemas.reading import ReadingOptions

VALUE = "value"


def stacked(
    table: Table, cells: Mapping[str, str], options: ReadingOptions, bounds: Bounds
) -> Table:
    """The table with its columns of numbers one below the other; `cells` are those of the header,
    by the names of the columns. Raises InvalidData."""
    assert options.stack is not None
    name = headers.identifier(options.stack)
    kept, wide = _parts(table, cells, options)
    taken = {*kept, VALUE}
    if not name or name in taken:
        raise InvalidData(
            f"`stack={options.stack}` is not a new name; the columns are {', '.join(sorted(taken))}"
        )
    rows = len(next(iter(table.columns.values())))
    bounds.check_rows(rows * len(wide))
    bounds.check_nbytes(8 * rows * len(wide) * (len(kept) + 2))
    texts = Labels.of(cells[each].strip() for each in wide)
    unit, keys = "", _keys(texts, bounds)
    if isinstance(keys, Labels):
        texts = keys = Labels.of(headers.split(cells[each])[0] or each for each in wide)
        found = {table.units.get(each, "") for each in wide}
        unit = found.pop() if len(found) == 1 else ""
    places = np.repeat(np.arange(len(wide)), rows)
    columns = {each: _tiled(table.columns[each], len(wide)) for each in kept}
    columns[name] = keys[places]
    columns[VALUE] = np.concatenate([_numbers(table, each) for each in wide])
    units = {each: unit for each, unit in table.units.items() if each in kept}

    def as_keys(asked: str, wanted: Keys) -> Numbers | Labels:
        if asked == name:
            return of_texts(name, texts[places], columns[name], wanted.kind)
        if asked in kept and table.reread is not None:
            return _tiled(table.reread(asked, wanted), len(wide))
        return columns[asked]

    return replace(
        table,
        columns=columns,
        units=units | ({VALUE: unit} if unit else {}),
        lines=_lines(table.lines, rows, len(wide)),
        reread=as_keys,
    )


def _parts(
    table: Table, cells: Mapping[str, str], options: ReadingOptions
) -> tuple[Sequence[str], Sequence[str]]:
    """The columns that stay, and those that are stacked."""
    named = [name for name in table.columns if cells.get(name, "").strip() or name == "index"]
    kept = [headers.identifier(name) for name in options.keep or named[:1]]
    for name in kept:
        if name not in table.columns:
            raise UnknownName("column", name, list(table.columns), pointer="")
    texts = [n for n in named if isinstance(table.columns[n], Labels) and n not in kept]
    wide = [name for name in named if name not in {*kept, *texts}]
    if not wide:
        raise InvalidData("`stack` needs columns of numbers beside those that stay; there are none")
    return [*kept, *texts], wide


def _keys(texts: Labels, bounds: Bounds) -> Numbers | Labels:
    """The cells of the header as numbers, where all are."""
    load()
    import pyarrow as pa

    strings = pa.chunked_array([pa.array([texts.names[code] for code in texts.codes])])
    found = column(strings, bounds, ReadingOptions()).values
    return found


def _numbers(table: Table, name: str) -> Numbers:
    values = table.columns[name]
    assert not isinstance(values, Labels)
    return values


def _tiled(values: Numbers | Labels, times: int) -> Numbers | Labels:
    if isinstance(values, Labels):
        return Labels(np.tile(values.codes, times), values.names)
    return np.tile(values, times)


def _lines(lines: Lines | None, rows: int, times: int) -> Lines | None:
    if lines is None:
        return None
    each = np.array([lines.of(row) for row in range(rows)], dtype=np.int32)
    return Lines(lines.first, np.tile(each, times))

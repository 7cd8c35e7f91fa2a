"""A column of a CSV: numbers, also of dates, of thousands with commas, or with marks of overflow;
else text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from service.api.bodies.arrow import labels, numbers
from service.api.bodies.csv_cells import (
    MARKS,
    NULLS,
    OVERFLOWS,
    has_thousands,
    is_date,
    is_decimal_comma,
    is_plain_number,
    number_and_unit,
)
from service.api.bodies.table import Bounds
from service.schemas.columns import Labels, Numbers
from service.schemas.reading import Dates, DatesUnit, ReadingOptions

if TYPE_CHECKING:
    import pyarrow as pa

_LEAST_OVERFLOW = 9.9e37
_DATE_ORDER = re.compile(r"(\d+)[./-](\d+)[./-](\d+)")


class Read(NamedTuple):
    """A column, and what was understood of it."""

    values: Numbers | Labels
    marks: int = 0
    """Values that were marks of overflow or the like."""
    dates: Dates | None = None
    decimal_comma: str = ""
    """The first number with a decimal comma, where all its values are numbers apart from that."""
    unit: str = ""
    """The unit that stands with each of its numbers."""


def column(
    chunks: pa.ChunkedArray, bounds: Bounds, options: ReadingOptions, decimal: str = "."
) -> Read:
    """A column as pyarrow read it. Raises AmbiguousDates."""
    read = _column(chunks, bounds, options, decimal)
    stated = [float(mark) for mark in options.missing_values if is_plain_number(mark)]
    if isinstance(read.values, Labels) or not stated:
        return read
    marks = np.isin(read.values, stated)
    values = np.where(marks, np.nan, read.values)
    return read._replace(values=values, marks=read.marks + int(marks.sum()))


def _column(chunks: pa.ChunkedArray, bounds: Bounds, options: ReadingOptions, decimal: str) -> Read:
    import pyarrow as pa

    missing = {*MARKS, *options.missing_values}

    if pa.types.is_temporal(chunks.type):
        return _temporal(chunks, options.dates_unit)
    if not pa.types.is_string(chunks.type):
        return _without_overflows(numbers(chunks.chunks))
    texts = trimmed(labels(chunks.chunks, bounds))
    values = [name for name in texts.names if name not in missing]
    if not values:
        return Read(texts)
    if all(map(is_plain_number, values)) or all(
        is_plain_number(name) or has_thousands(name) for name in values
    ):
        return _converted(texts, missing)
    if decimal == "," and all(_has_comma_or_is_whole(name) for name in values):
        return _converted(texts, missing, comma=".")
    if all(is_plain_number(name) or is_decimal_comma(name) for name in values):
        return Read(texts, decimal_comma=next(filter(is_decimal_comma, values)))
    if all(map(is_date, values)):
        return _dates(texts, options, missing)
    return _with_units(texts, values, missing)


def _without_overflows(values: Numbers) -> Read:
    """Numbers that stand for an overflow become missing."""
    size = np.abs(values)
    if not len(values) or not np.any(size >= _LEAST_OVERFLOW):
        return Read(values)
    marks = np.zeros(len(values), dtype=bool)
    for mark in OVERFLOWS:
        marks |= np.isclose(size, mark, rtol=1e-9, atol=0.0)
    return Read(np.where(marks, np.nan, values), marks=int(marks.sum()))


def _has_comma_or_is_whole(name: str) -> bool:
    return is_decimal_comma(name) or (is_plain_number(name) and "." not in name)


def _converted(texts: Labels, missing: Collection[str], comma: str = "") -> Read:
    """A column of texts that are numbers or missing; `comma` is what a comma stands for."""
    each = [
        math.nan if name in missing else float(name.replace(",", comma)) for name in texts.names
    ]
    found = _without_overflows(np.append(each, math.nan)[texts.codes])
    is_mark = np.append([name in missing for name in texts.names], False)
    return found._replace(marks=found.marks + int(is_mark[texts.codes].sum()))


def _with_units(texts: Labels, values: Collection[str], missing: Collection[str]) -> Read:
    """A column of numbers with the same unit in each cell, `12.5 %`; else of text."""
    parts = {name: number_and_unit(name) for name in values}
    units = {unit for _, unit in parts.values()}
    if len(units) != 1 or "" in units:
        return Read(texts)
    names = tuple(parts[name][0] if name in parts else name for name in texts.names)
    return _converted(Labels(texts.codes, names), missing)._replace(unit=units.pop())


def trimmed(column: Labels) -> Labels:
    """The column with the spaces around its texts removed; a blank text is a missing value."""
    bare = [name.strip() for name in column.names]
    if bare == list(column.names):
        return column
    stripped = Labels.of(None if name in NULLS else name for name in bare)
    places = np.append(stripped.codes, np.int32(-1))
    return Labels(places[column.codes], stripped.names)


def empty_rows(columns: Mapping[str, Numbers | Labels]) -> npt.NDArray[np.bool_] | None:
    """The rows without any value, which spreadsheets write below a table; None if there are none,
    or if there is only one column."""
    empty: npt.NDArray[np.bool_] | None = None
    for column in columns.values():
        missing = column.codes < 0 if isinstance(column, Labels) else np.isnan(column)
        empty = missing if empty is None else empty & missing
        if not empty.any():
            return None
    return None if len(columns) == 1 else empty


# --- dates ----------------------------------------------------------------------------------------

_UNITS: Mapping[str, float] = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PARTS = re.compile(
    r"(?:(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4}))?[ T]?"
    r"(?:(?P<hour>\d{1,3}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:[.,]\d+)?))?)?"
    r" ?(?P<half>[AaPp][Mm])?(?P<zone>Z|[+-]\d\d:?\d\d)?"
)


class AmbiguousDates(Exception):
    """Dates whose order of day and month is not known; its argument is one of them."""


def _temporal(chunks: pa.ChunkedArray, unit: DatesUnit | None) -> Read:
    """Dates and times that pyarrow has recognised (ISO 8601)."""
    import pyarrow as pa

    whole = pa.types.is_date(chunks.type)
    if pa.types.is_time(chunks.type):
        seconds = _as_numbers(chunks.cast(pa.time64("ns")).cast(pa.int64())) / 1e9
        return _since_first(seconds, lambda first: _clock(first), unit, whole=False)
    stamps = _as_numbers(chunks.cast(pa.timestamp("ns")).cast(pa.int64()))
    start = np.nanmin(stamps) if np.isfinite(stamps).any() else 0.0
    zero = np.datetime64(int(start), "ns")
    text = str(zero.astype("datetime64[D]" if whole else "datetime64[ms]"))
    return _since_first((stamps - start) / 1e9, lambda _: text, unit, whole=whole)


def _as_numbers(chunks: pa.ChunkedArray) -> Numbers:
    return numbers(chunks.chunks)


def _dates(texts: Labels, options: ReadingOptions, missing: Collection[str]) -> Read:
    """Dates and times in other notations."""
    names = [name for name in texts.names if name not in missing]
    order = options.dates or _order(names)
    parts = {name: _PARTS.fullmatch(name) for name in names}
    try:
        each = {name: _seconds(found, order) for name, found in parts.items() if found}
    except ValueError:
        return Read(texts)
    if len(each) < len(names):
        return Read(texts)
    first = min(each.values())
    values = np.append([each.get(name, math.nan) for name in texts.names], math.nan)[texts.codes]
    is_mark = np.append([name in missing for name in texts.names], False)[texts.codes]
    earliest = min(each, key=each.__getitem__)
    whole = not any(":" in name for name in names)
    read = _since_first(values - first, lambda _: earliest, options.dates_unit, whole=whole)
    return read._replace(marks=int(is_mark.sum()))


def _order(names: list[str]) -> str:
    """The order of day, month and year. Raises AmbiguousDates."""
    firsts, seconds = set(), set()
    for name in names:
        if found := _DATE_ORDER.match(name):
            if len(found[1]) == 4:
                return "ymd"
            firsts.add(int(found[1]))
            seconds.add(int(found[2]))
    if not firsts or max(firsts) > 12:
        return "dmy"
    if max(seconds) > 12:
        return "mdy"
    if any("." in name.partition(" ")[0] for name in names):
        return "dmy"  # points separate days from months only where days come first
    raise AmbiguousDates(next(name for name in names if _DATE_ORDER.match(name)))


def _seconds(found: re.Match[str], order: str) -> float:
    """Seconds since 1970, or since midnight. Raises ValueError where there is no such date."""
    clock = 0.0
    if found["hour"]:
        hour = int(found["hour"])
        if found["half"]:
            hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
        clock = 3600.0 * hour + 60.0 * int(found["minute"])
        clock += float((found["second"] or "0").replace(",", "."))
    if found["a"] is None:
        return clock
    parts = dict(zip(order, (int(found["a"]), int(found["b"]), int(found["c"])), strict=True))
    year = parts["y"] + (0 if parts["y"] > 99 else 2000 if parts["y"] < 70 else 1900)
    day = np.datetime64(f"{year:04}-{parts['m']:02}-{parts['d']:02}", "D")
    return float(day.astype(np.int64)) * 86400.0 + clock


def _since_first(
    seconds: Numbers, since: Callable[[float], str], stated: DatesUnit | None, *, whole: bool
) -> Read:
    """Numbers since the earliest, in the unit stated or in one by the time that they span."""
    finite = seconds[np.isfinite(seconds)]
    start = float(finite.min()) if len(finite) else 0.0
    span = float(finite.max()) - start if len(finite) else 0.0
    found: DatesUnit = "d" if whole or span >= 4 * 86400 else "h" if span >= 3 * 3600 else "s"
    unit = stated or found
    return Read((seconds - start) / _UNITS[unit], dates=Dates(unit=unit, since=since(start)))


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"

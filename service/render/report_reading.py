"""What was understood of a CSV, in words."""

from __future__ import annotations

from collections.abc import Sequence

from service.render.cells import clipped, visible
from service.render.digits import counted
from service.render.page import Page
from service.schemas.reading import Reading

_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
_MOST_LINES = 6
_LONGEST_NAME = 24


def write_reading(page: Page, reading: Reading | None) -> None:
    """A paragraph; nothing for a body that is not CSV, or is as plain as CSV can be."""
    parts = [] if reading is None else _parts(reading)
    if len(parts) > 1:
        page.text(f"Read from CSV: {'; '.join(parts)}.")


def _parts(reading: Reading) -> list[str]:
    parts = [f"columns between {_SEPARATORS.get(reading.separator, visible(reading.separator))}"]
    if reading.decimal == ",":
        parts.append("decimal commas")
    if reading.charset != "utf-8":
        parts.append(reading.charset)
    if reading.header_line is None:
        parts.append("no header line")
    elif reading.header_line > 1:
        parts.append(f"header in line {reading.header_line:,}")
    if reading.units_line is not None:
        parts.append(f"units in line {reading.units_line:,}")
    if reading.left_out:
        parts.append(_lines(reading.lines_left_out, reading.left_out))
    if reading.columns_left_out:
        parts.append(f"{counted(reading.columns_left_out, 'column')} beside the table left out")
    for name, dates in reading.dates.items():
        parts.append(f"{_shown(name)} in {dates.unit} since {visible(dates.since)}")
    for name, count in reading.marks.items():
        parts.append(f"{counted(count, 'value')} of {_shown(name)} marked as not measured")
    return parts


def _lines(lines: Sequence[int], count: int) -> str:
    shown = ", ".join(f"{line:,}" for line in lines[:_MOST_LINES])
    more = ", …" if count > _MOST_LINES else ""
    return f"{counted(count, 'line')} left out ({shown}{more})"


def _shown(name: str) -> str:
    return clipped(visible(name), _LONGEST_NAME)

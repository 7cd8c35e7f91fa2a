"""Where the table ends in a text: the footer below it, and further tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from service.api.bodies import csv_lines
from service.api.bodies.csv_cells import is_measured, is_value
from service.api.bodies.csv_layout import Layout
from service.api.bodies.csv_signs import records_of
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip

_SAMPLE_BYTES, _MOST_FOOTERS, _SHOWN = 2**16, 40, 40


class End(Exception):
    """A line of text ends the table."""

    def __init__(self, size: int, lines: int) -> None:
        self.size, self.lines = size, lines
        """The bytes of the rows before it, and the lines from it on."""
        super().__init__(size)


def footer(text: bytes | bytearray, layout: Layout) -> int:
    """The number of lines at the end of a text that are not rows of its table: without any number,
    they have another number of cells, or text where the table has numbers."""
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
    filled = [i for i, cell in enumerate(cells) if cell.strip()]
    if any(is_value(cells[i], layout.decimal) for i in filled):
        return False
    if len(cells) != layout.width:
        return bool(filled)
    return any(i in layout.measured for i in filled)


def check(rows: bytes, odd: Any, layout: Layout, kept: npt.NDArray[np.int32] | None) -> None:
    """Raises End where the first odd row, as pyarrow reports it, is a line of text below which no
    row of this table follows, and MalformedBody where others follow. A table with a header of its
    own is another one, and so are rows with another number of cells."""
    cells = next(records_of(odd.text, layout.separator)).cells if odd.text.strip() else ()
    if odd.number < 2 or not cells or any(is_value(cell, layout.decimal) for cell in cells):
        return
    at = 0
    for _ in range(odd.number - 1):
        at = rows.find(b"\n", at) + 1
    rest = rows[at : at + _SAMPLE_BYTES].decode(errors="replace").splitlines()
    above: Sequence[str] = ()
    for line in rest:
        cells = next(records_of(line, layout.separator)).cells if line.strip() else ()
        if _is_row(cells, layout):
            if len(above) == layout.width and not any(map(is_value, above)):
                break
            raise _continued(odd, layout, kept)
        above = cells
    raise End(at, rows.rstrip(b"\r\n").count(b"\n", at) + 1)


def _is_row(cells: Sequence[str], layout: Layout) -> bool:
    return len(cells) == layout.width and all(
        is_value(cells[i], layout.decimal) for i in layout.measured
    ) and any(is_measured(cells[i], layout.decimal) for i in layout.measured)  # fmt: skip


def _continued(odd: Any, layout: Layout, kept: npt.NDArray[np.int32] | None) -> MalformedBody:
    last = layout.first + odd.number
    line = f"{csv_lines.numbered(kept, last)}, '{clip(odd.text.strip()[:_SHOWN])}',"
    return interrupted(line, odd.number - 1, last)


def interrupted(line: str, rows: int, skip: int) -> MalformedBody:
    """The error for rows of values above and below a line of text."""
    return MalformedBody(
        f"line {line} ends a table of {rows} rows, and further rows follow it: read those above "
        f"with `max_rows={rows}`, or those below with `skip_rows={skip}`"
    )

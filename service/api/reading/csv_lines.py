"""The lines of a CSV: which of them are rows, and their numbers in the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_NEWLINE = ord("\n")
_SPACES = np.frombuffer(b" \t", np.uint8)
_NOTHING = np.frombuffer(b"#\r\n \t", np.uint8)
"""The first character after spaces of a line that is no row: a comment, or the line's end."""
_NOT_AVAILABLE = b"#N/A"
"""A spreadsheet's missing value, which is not a comment."""
_LEADING = (b"#", b"\r", b"\n", b" ", b"\t")
_SIGNS = (b"#", b"\n\n", b"\n\r\n", b"\n ", b"\n\t")


@dataclass(frozen=True, slots=True)
class Lines:
    """The line (counted from 1) of each row (counted from 0)."""

    first: int
    irregular: npt.NDArray[np.int32] | None = None
    """(rows,) if the rows are not consecutive lines."""

    def of(self, row: int) -> int:
        """The line of that row."""
        if self.irregular is None:
            return self.first + row
        at = min(row, len(self.irregular) - 1)
        return int(self.irregular[at]) if at >= 0 else self.first

    def without(self, dropped: npt.NDArray[np.bool_]) -> Lines:
        """The lines of the remaining rows."""
        rows = np.arange(len(dropped), dtype=np.int32)
        lines = self.first + rows if self.irregular is None else self.irregular[: len(dropped)]
        return Lines(self.first, lines[~dropped].astype(np.int32))


def strip(text: bytes | bytearray) -> tuple[bytes | bytearray, npt.NDArray[np.int32] | None]:
    """The text without comments and blank lines, and the numbers of the remaining lines, from 1;
    None if none was removed."""
    if not text.startswith(_LEADING) and not any(sign in text for sign in _SIGNS):
        return text, None
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE) + 1
    if not len(ends) or ends[-1] < len(characters):
        ends = np.append(ends, len(characters))
    starts = np.concatenate([[0], ends[:-1]])
    firsts = _first_of_each(characters, starts, ends)
    kept = ~np.isin(characters[firsts], _NOTHING)
    for line in np.flatnonzero(characters[firsts] == ord("#")):
        kept[line] = text.startswith(_NOT_AVAILABLE, int(firsts[line]))
    if kept.all():
        return text, None
    left = characters[np.repeat(kept, ends - starts)]
    return left.tobytes(), np.flatnonzero(kept).astype(np.int32) + 1


def _first_of_each(characters: Bytes, starts: Places, ends: Places) -> Places:
    """The position of each line's first character that is no space; of its last, if all are."""
    firsts = starts.copy()
    spaced = np.arange(len(starts))
    while spaced.size:
        spaced = spaced[np.isin(characters[firsts[spaced]], _SPACES)]
        spaced = spaced[firsts[spaced] < ends[spaced] - 1]
        firsts[spaced] += 1
    return firsts


def after(
    kept: npt.NDArray[np.int32] | None, header: int, rows: int, *, is_one_a_row: bool
) -> Lines:
    """The lines of the rows below a header of `header` lines. Where cells contain line breaks, the
    lines after the first are computed as if they did not."""
    if kept is None:
        return Lines(header + 1)
    first = int(kept[header]) if header < len(kept) else 1
    return (
        Lines(first, kept[header:]) if is_one_a_row and len(kept) - header == rows else Lines(first)
    )


def numbered(kept: Sequence[int] | npt.NDArray[np.int32] | None, line: int) -> int:
    """The line number in the body of a line of the stripped text."""
    if kept is None or not len(kept):
        return line
    return int(kept[min(line, len(kept)) - 1])

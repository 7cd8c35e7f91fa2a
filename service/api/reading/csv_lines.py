"""The lines of a CSV: which of them hold rows."""

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
"""What a line begins with, past its spaces, that holds no row: its end is one, or a comment."""
_NOT_AVAILABLE = b"#N/A"
"""A spreadsheet's missing value, which is no comment."""
_BEGINNINGS = (b"#", b"\r", b"\n", b" ", b"\t")
_SIGNS = (b"#", b"\n\n", b"\n\r\n", b"\n ", b"\n\t")


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of each row, counted from 1, where rows are counted from 0."""

    first: int
    irregular: npt.NDArray[np.int32] | None = None
    """(rows,) where rows do not stand one after the other."""

    def of(self, row: int) -> int:
        """The line of that row."""
        if self.irregular is None:
            return self.first + row
        at = min(row, len(self.irregular) - 1)
        return int(self.irregular[at]) if at >= 0 else self.first

    def without(self, dropped: npt.NDArray[np.bool_]) -> Lines:
        """The lines of the rows that are left."""
        rows = np.arange(len(dropped), dtype=np.int32)
        lines = self.first + rows if self.irregular is None else self.irregular[: len(dropped)]
        return Lines(self.first, lines[~dropped].astype(np.int32))


def strip(text: bytes | bytearray) -> tuple[bytes | bytearray, npt.NDArray[np.int32] | None]:
    """The text without comments and blank lines, and the lines that are left, counted from 1;
    None where none was taken out."""
    if not text.startswith(_BEGINNINGS) and not any(sign in text for sign in _SIGNS):
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
    """Where the first character of each line stands that is no space; its last, if all are."""
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
    """The lines of the rows below a header of so many lines. Where cells hold line breaks, the
    lines after the first are told as if they did not."""
    if kept is None:
        return Lines(header + 1)
    first = int(kept[header]) if header < len(kept) else 1
    return (
        Lines(first, kept[header:]) if is_one_a_row and len(kept) - header == rows else Lines(first)
    )


def numbered(kept: Sequence[int] | npt.NDArray[np.int32] | None, line: int) -> int:
    """The line of the body that is the given line of what was left of it."""
    if kept is None or not len(kept):
        return line
    return int(kept[min(line, len(kept)) - 1])

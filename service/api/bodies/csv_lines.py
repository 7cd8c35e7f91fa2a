"""The lines of a CSV: which of them are rows, and their numbers in the body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.api.bodies.table import Lines

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_NEWLINE = ord("\n")
_SPACES = np.frombuffer(b" \t", np.uint8)
_ENDS = b"\r\n \t"
"""The first characters after spaces of a blank line."""
COMMENTS = b"#%!"
"""The characters that may begin a comment line; a semicolon does where another separates."""
_NOT_AVAILABLE = (b"#N/A", b"#DIV/0!", b"#VALUE!", b"#REF!", b"#NUM!")
"""A spreadsheet's missing values, which are not comments."""
_LEADING = (b"#", b"%", b"!", b"\r", b"\n", b" ", b"\t")
_SIGNS = (b"#", b"\n%", b"\n!", b"\n\n", b"\n\r\n", b"\n ", b"\n\t")


class Stripped(NamedTuple):
    """A text without comments and blank lines."""

    text: bytes | bytearray
    kept: npt.NDArray[np.int32] | None
    """The numbers of the remaining lines, from 1; None if none was removed."""
    comment: str
    """The last comment above the first remaining line, without the character that begins it."""


def strip(text: bytes | bytearray) -> Stripped:
    """Removes comments and blank lines."""
    if not text.startswith(_LEADING) and not any(sign in text for sign in _SIGNS):
        return Stripped(text, None, "")
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE) + 1
    if not len(ends) or ends[-1] < len(characters):
        ends = np.append(ends, len(characters))
    starts = np.concatenate([[0], ends[:-1]])
    firsts = _first_of_each(characters, starts, ends)
    comments = np.isin(characters[firsts], np.frombuffer(COMMENTS, np.uint8))
    for line in np.flatnonzero(characters[firsts] == ord("#")):
        comments[line] = not text.startswith(_NOT_AVAILABLE, int(firsts[line]))
    comments &= characters[starts] != ord("\t")  # it ends an empty cell
    kept = ~(comments | np.isin(characters[firsts], np.frombuffer(_ENDS, np.uint8)))
    if kept.all():
        return Stripped(text, None, "")
    comment = ""
    first = int(kept.argmax()) if kept.any() else len(kept)
    above = np.flatnonzero(comments[:first])
    if len(above):
        last = bytes(text[firsts[above[-1]] + 1 : ends[above[-1]]])
        comment = last.decode(errors="replace").strip()
    left = characters[np.repeat(kept, ends - starts)]
    return Stripped(left.tobytes(), np.flatnonzero(kept).astype(np.int32) + 1, comment)


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

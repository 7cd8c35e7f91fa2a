"""A CSV's character set, separator and header, and which of its lines are rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from service.api.bodies.table import Lines
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip
from service.errors import InvalidData, InvalidRequest
from service.schemas.keys import LONGEST_NUMBER

CHARSETS = {
    name: codec
    for codec, names in {
        "utf-8": ("utf-8", "utf8", "us-ascii", "ascii"),
        "utf-16": ("utf-16", "utf-16le", "utf-16be"),
        "iso-8859-1": ("iso-8859-1", "latin1"),
        "windows-1252": ("windows-1252", "cp1252"),
    }.items()
    for name in names
}
"""The supported values of `charset`, and their codecs."""
SEPARATORS = "\t;|,"
"""In the order tried: a comma may be a decimal sign, and text rarely contains a tab."""
NULLS = ("", "NA", "na", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "-")
"""The texts of a missing value."""

_SAMPLE_BYTES, _SAMPLE_ROWS = 2**16, 30
_SEPARATOR_LINE = re.compile(rb"sep=(.)\r?\n", re.IGNORECASE)
"""A first line that names the separator, as spreadsheets write it."""
_NOT_SPACED = (*(separator.encode() for separator in SEPARATORS), b'"')
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is needed to parse a CSV."""

    separator: str
    header: tuple[str, ...] | None
    """Its cells; None without a header."""
    header_lines: int
    width: int
    """The number of cells in a row."""


def to_utf8(body: bytes | bytearray, media_type: MediaType) -> bytes | bytearray:
    """The text as UTF-8 without a byte-order mark, with line ends \\\
 or \\\\r\\\
."""
    charset = media_type.params.get("charset", "").lower()
    if charset and charset not in CHARSETS:
        raise InvalidRequest(f"unknown charset '{clip(charset)}'; known: {', '.join(CHARSETS)}")
    codec = CHARSETS.get(charset, "utf-8")
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    elif codec == "utf-16" and charset != "utf-16":
        codec = "utf-16-le" if charset.endswith("le") else "utf-16-be"
    if body.startswith(codecs.BOM_UTF8):
        body = body[3:]
    if not body.isascii() or codec.startswith("utf-16"):
        decoded = _decoded(body, codec)
        body = body if codec == "utf-8" else decoded.encode()
    if b"\r" in body and b"\n" not in body:
        return body.replace(b"\r", b"\n")
    return body


def _decoded(body: bytes | bytearray, codec: str) -> str:
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise MalformedBody(
            f"line {line} is not {codec.upper()}; save the file as 'CSV UTF-8', or name its "
            "charset: `-H 'Content-Type: text/csv; charset=windows-1252'`"
        ) from None


def detect(text: bytes | bytearray, media_type: MediaType) -> Dialect:
    """The dialect of a text without comments and blank lines."""
    skipped, separator = 0, ""
    if stated := _SEPARATOR_LINE.match(text):
        skipped, separator = 1, stated[1].decode("latin-1")
        text = text[stated.end() :]
    if media_type.name == "text/tab-separated-values":
        separator = "\t"
    head = bytes(text[:_SAMPLE_BYTES])
    if len(head) < len(text) and b"\n" in head:
        head = head[: head.rindex(b"\n") + 1]
    shown = head.decode(errors="replace")
    separator = separator or sniff(shown.splitlines()[:_SAMPLE_ROWS])
    reader = csv.reader(io.StringIO(shown, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        first = next(reader, [])
        lines = reader.line_num
        rows = list(islice(reader, _SAMPLE_ROWS))
    except csv.Error as error:
        raise MalformedBody(f"line {reader.line_num + skipped}: {error}") from None
    width = _width(first, rows)
    if not _is_header(first, media_type):
        return Dialect(separator, None, skipped, width)
    return Dialect(separator, tuple(first), skipped + lines, width)


def are_spaced(text: bytes | bytearray) -> bool:
    """Whether the values of a text without comments and blank lines are separated by spaces: each
    line of the sample has several words, and none has another separator or a quote."""
    head = bytes(text[:_SAMPLE_BYTES])
    lines = head.splitlines()[:_SAMPLE_ROWS]
    return not any(mark in head for mark in _NOT_SPACED) and all(
        len(line.split()) > 1 for line in lines
    )


def spaces_to_tabs(text: bytes | bytearray) -> bytes:
    """The text with a tab for each run of spaces between two values of a line."""
    return b"".join(b"\t".join(line.split()) + b"\n" for line in io.BytesIO(text))


def _width(first: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The number of cells in a row: that of the first, or more if only empty cells follow it."""
    beyond = {len(row): any(cell.strip() for cell in row[len(first) :]) for row in rows}
    width = max(beyond, default=0)
    return width if width > len(first) and not any(beyond.values()) else len(first)


def sniff(lines: Sequence[str]) -> str:
    """The separator: the first that occurs equally often in every line; else the most frequent one
    in the first line."""
    bare = [_QUOTED.sub("", line) for line in lines]
    for separator in SEPARATORS:
        counts = {line.count(separator) for line in bare}
        if len(counts) == 1 and 0 not in counts:
            return separator
    return max(SEPARATORS[::-1], key=lambda each: bare[0].count(each) if bare else 0)


def _is_header(cells: Sequence[str], media_type: MediaType) -> bool:
    """Whether the first row is a header: as the Content-Type says, else if no cell is a value."""
    stated = media_type.params.get("header", "").lower()
    if stated in {"present", "absent"}:
        return stated == "present"
    if stated:
        raise InvalidRequest(
            f"the Content-Type's `header` must be present or absent, not '{clip(stated)}'"
        )
    bare = [cell.strip() for cell in cells]
    return any(bare) and not any(is_value(cell) for cell in bare if cell)


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a missing value."""
    if len(cell) > LONGEST_NUMBER:
        return False
    return cell in NULLS or bool(_NUMBER.fullmatch(cell) or _DECIMAL_COMMA.fullmatch(cell))


def decimal_comma(texts: Sequence[str]) -> str:
    """The first number with a decimal comma, if all texts are numbers apart from that; else ""."""
    found = ""
    for text in texts:
        if len(text) > LONGEST_NUMBER:
            return ""
        if _DECIMAL_COMMA.fullmatch(text):
            found = found or text
        elif not _NUMBER.fullmatch(text):
            return ""
    return found


def refuse_decimal_comma(text: str, name: str, line: int, row: int) -> InvalidData:
    """The error for a number with a decimal comma, with the commands that fix it."""
    return InvalidData(
        f"line {line}, column '{name}': '{clip(text)}' has a decimal comma; write decimal points, "
        f"as in '{clip(text.replace(',', '.'))}', or separate the columns by semicolons",
        pointer=f"/data/{name}/{row}",
    )


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

"""Parses JSON with long columns: the numbers in slices, the rest by the schema.


Pydantic holds the GIL while it parses, so a large body would need another process, and the body and
its columns would be copied there and back. Here long lists are cut out and parsed, by the same JSON
parser, straight into arrays in slices of a fraction of a millisecond, between which other threads
run. The rest, a few hundred bytes with a marker number for each list, is validated by the schema.
Anything unexpected (a null, a string, an error) is left to the general way, which reports it: see
`parser`.
"""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from pydantic import ValidationError
from pydantic_core import from_json

from service.api.bodies.json import QUICK, is_flat, refuse_repeats
from service.errors import InvalidRequest
from service.schemas.base import Request as Body
from service.schemas.columns import Data, Numbers

SLICE = 2**16
"""Bytes of numbers that are parsed in one slice, about 0.2 ms."""
LONG = 2**12
"""Bytes above which a list is cut out."""
MOST_LISTS = 10_000
"""Lists above which a body is left to the general way."""
_LEAST_MARKER = 2**52
"""Markers are integers from 2^52 to 2^53, exact in float64."""

BodyT = TypeVar("BodyT", bound=Body)
Span = tuple[int, int]


def parse_numbers(body: bytes | bytearray, schema: type[BodyT]) -> BodyT | None:
    """The body as `schema`, or None where the general way is needed."""
    spans = _long_lists(body)
    if not spans or len(body) - sum(end - start for start, end in spans) > QUICK:
        return None
    pieces = _between(body, spans)
    markers = _new_markers(len(spans))
    rest = _joined(pieces, markers)
    if not is_flat(rest, MOST_LISTS):
        return None
    try:
        asked = schema.model_validate_json(rest)
        refuse_repeats(rest)
        cut = dict(zip(markers, spans, strict=True))
        data: Data | None = getattr(asked, "data", None)
        if data is None or not _all_are_columns(data, cut):
            return None
        columns = {
            name: _parsed(body, cut[marker]) if (marker := _marker_of(column)) in cut else column
            for name, column in data.items()
        }
    except (ValidationError, ValueError, TypeError, OverflowError, InvalidRequest):
        return None
    return asked.model_copy(update={"data": columns})


def _long_lists(body: bytes | bytearray) -> list[Span]:
    """Where the contents of long lists begin and end, by their brackets."""
    found: list[Span] = []
    end = 0
    for _ in range(MOST_LISTS):
        start = body.find(b"[", end) + 1
        end = body.find(b"]", start)
        if not start or end < 0:
            return found
        if end - start > LONG:
            found.append((start, end))
    return []


def _between(body: bytes | bytearray, spans: list[Span]) -> list[bytes]:
    """The pieces of the body around the spans."""
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(body)]
    return [bytes(body[start:end]) for start, end in zip(starts, ends, strict=True)]


def _new_markers(count: int) -> list[int]:
    """A marker for each span: random, so that no body can contain them on purpose."""
    first = _LEAST_MARKER + secrets.randbits(51)
    return list(range(first, first + count))


def _joined(pieces: list[bytes], markers: list[int]) -> bytes:
    filled = [piece + b"%d" % marker for piece, marker in zip(pieces, markers, strict=False)]
    return b"".join((*filled, pieces[-1]))


def _marker_of(column: object) -> int:
    """The marker in place of a column; −1 if it is none."""
    if isinstance(column, np.ndarray) and len(column) == 1 and column[0] >= _LEAST_MARKER:
        return int(column[0])
    return -1


def _all_are_columns(data: Data, cut: dict[int, Span]) -> bool:
    """Whether each marker has become a column. It has not for a bracket in a string, for a list
    that is no column, and for a column replaced by a second of its name."""
    return sum(_marker_of(column) in cut for column in data.values()) == len(cut)


def _parsed(body: bytes | bytearray, span: Span) -> Numbers:
    """The numbers of a list. Raises ValueError, TypeError or OverflowError for anything else."""
    if any(body.find(letter, *span) >= 0 for letter in (b"u", b"s")):
        raise ValueError("true, false and null are not numbers")
    column = np.concatenate([np.frombuffer(part) for part in _slices(body, *span)])
    if not np.isfinite(column).all():
        raise ValueError("a number beyond float64")
    return column


def _slices(body: bytes | bytearray, start: int, end: int) -> Iterator[array[float]]:
    while start <= end:
        comma = body.find(b",", min(start + SLICE, end), end)
        stop = end if comma < 0 else comma
        numbers = from_json(b"[%b]" % bytes(body[start:stop]), allow_inf_nan=False)
        if not numbers:
            raise ValueError("a superfluous comma")
        yield array("d", numbers)
        start = stop + 1

"""JSON with long columns: the numbers are cut out, what is left is validated as ever.

Pydantic parses such a body well, but holds the interpreter's lock for as long as it takes, so that
it has to be done in another process, and the body and its columns carried there and back. Here the
long lists are parsed by the same parser in slices of a fraction of a millisecond, between which
others have their turn, and straight into arrays. The rest, a few hundred bytes with a mark for each
list, is validated by the schema itself. Whatever is not as expected (a null, a text, a slip) is
left to the plain way, which knows what to say of it: see `parser`.
"""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from pydantic import ValidationError
from pydantic_core import from_json

from service.api.duplicate_keys import refuse_repeats
from service.api.parsing import QUICK, is_flat
from service.errors import InvalidRequest
from service.schemas.base import Request as Body
from service.schemas.columns import Data, Numbers

SLICE = 2**16
"""Bytes of numbers that are parsed at once, about 0.2 ms."""
LONG = 2**12
"""Bytes of a list that is worth cutting out."""
MOST_LISTS = 10_000
"""Lists that are looked at before it is given up."""
_LEAST_MARK = 2**52
"""Marks are whole numbers from here to 2^53, which a float64 holds exactly."""

BodyT = TypeVar("BodyT", bound=Body)
Span = tuple[int, int]


def parse_numbers(body: bytes | bytearray, schema: type[BodyT]) -> BodyT | None:
    """The body as `schema`, or None where the plain way has to be taken."""
    spans = _long_lists(body)
    if not spans or len(body) - sum(end - start for start, end in spans) > QUICK:
        return None
    pieces = _between(body, spans)
    marks = _marks(len(spans))
    rest = _joined(pieces, marks)
    if not is_flat(rest, MOST_LISTS):
        return None
    try:
        asked = schema.model_validate_json(rest)
        refuse_repeats(rest)
        cut = dict(zip(marks, spans, strict=True))
        data: Data | None = getattr(asked, "data", None)
        if data is None or not _hold_each_mark(data, cut):
            return None
        columns = {
            name: _parsed(body, cut[mark]) if (mark := _mark_of(column)) in cut else column
            for name, column in data.items()
        }
    except (ValidationError, ValueError, TypeError, OverflowError, InvalidRequest):
        return None
    return asked.model_copy(update={"data": columns})


def _long_lists(body: bytes | bytearray) -> list[Span]:
    """Where the insides of long lists begin and end, as far as brackets tell."""
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


def _marks(count: int) -> list[int]:
    """A number for each span. Nobody can have put it into the body, since nobody can guess it."""
    first = _LEAST_MARK + secrets.randbits(51)
    return list(range(first, first + count))


def _joined(pieces: list[bytes], marks: list[int]) -> bytes:
    filled = [piece + b"%d" % mark for piece, mark in zip(pieces, marks, strict=False)]
    return b"".join((*filled, pieces[-1]))


def _mark_of(column: object) -> int:
    """The mark that stands for a column; −1 for what cannot be one."""
    if isinstance(column, np.ndarray) and len(column) == 1 and column[0] >= _LEAST_MARK:
        return int(column[0])
    return -1


def _hold_each_mark(data: Data, cut: dict[int, Span]) -> bool:
    """Whether each mark has become a column: a bracket in a string would not, nor a list that is
    no column, nor one that a second of its name took the place of."""
    return sum(_mark_of(column) in cut for column in data.values()) == len(cut)


def _parsed(body: bytes | bytearray, span: Span) -> Numbers:
    """The numbers of a list. Raises ValueError, TypeError or OverflowError for anything else."""
    if any(body.find(letter, *span) >= 0 for letter in (b"u", b"s")):
        raise ValueError("true, false and null are no numbers, though Python counts with them")
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
            raise ValueError("a comma too many")
        yield array("d", numbers)
        start = stop + 1

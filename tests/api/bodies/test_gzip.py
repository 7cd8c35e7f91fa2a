from __future__ import annotations

import gzip as writer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import reading
from service.api.http_errors import MalformedBody

MOST = 10_000


def packed_of(text: bytes) -> bytes:
    return writer.compress(text, mtime=0)


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_what_was_packed_is_unpacked(members: list[bytes]) -> None:
    """A file may have several members, one after the other."""
    packed = b"".join(map(packed_of, members))
    assert bytes(reading.inflate(packed, MOST) or b"") == b"".join(members)


def test_no_more_is_inflated_than_may_be() -> None:
    packed = packed_of(bytes(MOST + 1))
    assert reading.inflate(packed, MOST) is None
    assert len(reading.inflate(packed, MOST + 1) or b"") == MOST + 1
    bomb = packed_of(bytes(50 * reading.PIECE))
    assert len(bomb) < reading.PIECE
    assert reading.inflate(bomb, MOST) is None


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"plain text", "not gzip"),
        (packed_of(b"x" * 1000)[:-9], "truncated"),
        (packed_of(b"x" * 1000)[:-1], "truncated"),
        (packed_of(b"x")[:5], "truncated"),
        (packed_of(b"x") + b"rest", "not gzip"),
        (packed_of(b"x")[:-8] + b"\0" * 8, "not gzip"),
    ],
    ids=["text", "no end", "no size", "no content", "more", "checksum"],
)
def test_what_is_not_gzip_is_malformed(packed: bytes, says: str) -> None:
    with pytest.raises(MalformedBody, match=says):
        reading.inflate(packed, MOST)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read(packed: bytes) -> None:
    try:
        reading.inflate(packed_of(b"x")[:10] + packed, MOST)
    except MalformedBody:
        return

"""The unpacked size of an Arrow IPC message's compressed buffers, before any is unpacked.


pyarrow unpacks while it reads, and allocates the size that each buffer declares. Here the declared
sizes are summed first, from the message's flatbuffer (Arrow's `Message.fbs`) and the eight bytes at
the start of each compressed buffer.
"""

from __future__ import annotations

import struct
from typing import Protocol

from service.api.reading.table import MalformedBody

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
"""Kinds of `MessageHeader`."""
_HEADER_KIND, _HEADER = 1, 2
"""Fields of `Message`: the union's kind and its value."""
_DICTIONARY_DATA = 1
"""Field of `DictionaryBatch`: its record batch."""
_BUFFERS, _COMPRESSION = 2, 3
"""Fields of `RecordBatch`."""
_LENGTH_PREFIX = 8
_NOT_COMPRESSED = -1
"""The declared length of a buffer that is not compressed."""


class Message(Protocol):
    """A pyarrow IPC message."""

    @property
    def metadata(self) -> memoryview: ...
    @property
    def body(self) -> memoryview | None: ...


def unpacked_size(message: Message) -> int:
    """Bytes of the message's buffers once unpacked; 0 if none is compressed.


    Raises MalformedBody.
    """
    try:
        return _unpacked_size(bytes(message.metadata), memoryview(message.body or b""))
    except struct.error:
        raise MalformedBody("an Arrow message is truncated or damaged") from None


def _unpacked_size(metadata: bytes, body: memoryview) -> int:
    root = _follow(metadata, 0)
    kind_at = _field(metadata, root, _HEADER_KIND)
    header_at = _field(metadata, root, _HEADER)
    if not kind_at or not header_at:
        return 0
    kind: int = struct.unpack_from("<B", metadata, kind_at)[0]
    batch = _follow(metadata, header_at)
    if kind == _DICTIONARY_BATCH:
        data_at = _field(metadata, batch, _DICTIONARY_DATA)
        if not data_at:
            return 0
        batch = _follow(metadata, data_at)
    elif kind != _RECORD_BATCH:
        return 0
    buffers_at = _field(metadata, batch, _BUFFERS)
    if not buffers_at or not _field(metadata, batch, _COMPRESSION):
        return 0
    return _sum(metadata, _follow(metadata, buffers_at), body)


def _sum(metadata: bytes, vector: int, body: memoryview) -> int:
    """The sum of the declared lengths of the compressed buffers."""
    total = 0
    (count,) = struct.unpack_from("<I", metadata, vector)
    for i in range(count):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * i)
        if length < _LENGTH_PREFIX:
            continue
        if offset < 0:
            raise struct.error
        (unpacked,) = struct.unpack_from("<q", body, offset)
        total += length if unpacked == _NOT_COMPRESSED else abs(unpacked)
    return total


def _follow(metadata: bytes, at: int) -> int:
    """The target of the offset at `at`; offsets are relative to their own position."""
    (offset,) = struct.unpack_from("<I", metadata, at)
    return at + int(offset)


def _field(metadata: bytes, table: int, number: int) -> int:
    """The position of a table's field; 0 if it is absent."""
    (back,) = struct.unpack_from("<i", metadata, table)
    vtable = table - back
    if vtable < 0:
        raise struct.error
    (size,) = struct.unpack_from("<H", metadata, vtable)
    entry = 4 + 2 * number
    if entry + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, vtable + entry)
    return table + int(offset) if offset else 0

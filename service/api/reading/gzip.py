"""Content-Encoding: gzip, inflated up to a limit."""

from __future__ import annotations

import zlib

from service.api.reading.table import MalformedBody

PIECE = 2**18
"""Bytes that are inflated in one step."""
ENCODINGS = frozenset({"gzip", "x-gzip"})
_GZIP = zlib.MAX_WBITS | 16


def inflate(body: bytes | bytearray, most: int) -> bytearray | None:
    """The decompressed bytes, or None if they are more than `most`. Raises MalformedBody."""
    inflated = bytearray()
    rest = bytes(body)
    try:
        while rest:
            engine = zlib.decompressobj(_GZIP)
            while not engine.eof:
                piece = engine.decompress(rest, PIECE)
                rest = engine.unconsumed_tail
                inflated += piece
                if len(inflated) > most:
                    return None
                if not piece and not rest and not engine.eof:
                    raise MalformedBody("the body's gzip data are truncated")
            rest = engine.unused_data  # a file may have several members
    except zlib.error as error:
        raise MalformedBody(f"the body is not gzip, though its header says so: {error}") from None
    return inflated

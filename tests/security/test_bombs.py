"""Bodies that are small until they are unpacked, by each way in which one could come. What is told
of them is checked before; what is not told is unpacked no further than it may be. The server's
memory is measured at its highest, against what operations.md says that a body may take."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from tests.resilience.servers import Server, started
from tests.security.memory import watched

MIB = 2**20
BODY, DATA = 2 * MIB, 4 * MIB
MOST = 4 * (BODY + DATA) + 24 * MIB
"""A few times what a body may have and may unpack to, and what an allocator keeps."""
HUGE = 256 * MIB
"""What each of the bombs would come to, or more."""

Bomb = Callable[[], tuple[bytes, dict[str, str]]]
CSV, NPZ = "text/csv", "application/x-npz"
STREAM, FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
PACKED = {"content-encoding": "gzip"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Its readers loaded, as they are after the first body of each form."""
    with started(workers=1, max_body_bytes=BODY, max_data_bytes=DATA, max_columns=50) as server:
        with server.client(trust_env=False) as client:
            for content, kind in (
                (b"x,y\n1,2\n2,4\n3,5.9\n", CSV),
                (_stream(np.arange(3.0), None), STREAM),
                (_full("npz", np.arange(3.0))[0], NPZ),
            ):
                answer = client.post("/fit", content=content, headers={"content-type": kind})
                assert answer.status_code == 200, answer.text
        yield server


@cache
def _deflated(size: int, piece: bytes = b"\0") -> bytes:
    """A raw deflate stream of so many bytes: one block of it over and over, for it stands by
    itself."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = engine.compress(piece * (MIB // len(piece))) + engine.flush(zlib.Z_FULL_FLUSH)
    return block * (size // MIB) + engine.flush()


def gzipped(size: int, piece: bytes = b"\0") -> bytes:
    """A gzip whose sum nobody gets to check."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + _deflated(size, piece) + bytes(8)


@cache
def _npz() -> bytes:
    sink, rows = io.BytesIO(), HUGE // 8
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in ("x.npy", "y.npy"):
            with archive.open(name, "w") as member:
                about = {"descr": "<f8", "fortran_order": False, "shape": (rows,)}
                np.lib.format.write_array_header_1_0(member, about)
                for _ in range(HUGE // MIB):
                    member.write(bytes(MIB))
    return sink.getvalue()


def lying_npz() -> bytes:
    """Its directory says that there are 1,000 bytes in each member."""
    body = bytearray(_npz())
    at = body.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", body, at + 24, 1000)
        at = body.find(b"PK\x01\x02", at + 4)
    return bytes(body)


def overlapping_npz() -> bytes:
    """Many members of the directory, and all of them the same bytes (Fifield, 2019)."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(MIB))
    body = sink.getvalue()
    directory = body.index(b"PK\x01\x02")
    entry, end = body[directory : body.index(b"PK\x05\x06")], body[body.index(b"PK\x05\x06") :]
    count = 40
    tail = bytearray(end)
    struct.pack_into("<HHI", tail, 8, count, count, count * len(entry))
    return body[:directory] + entry * count + bytes(tail)


def _stream(column: np.ndarray | pa.Array, compression: str | None, form: str = STREAM) -> bytes:
    sink = io.BytesIO()
    table = pa.table({"x": column, "y": column})
    writer = pa.ipc.new_file if form == FILE else pa.ipc.new_stream
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with writer(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return sink.getvalue()


@cache
def arrow(compression: str, form: str = STREAM) -> bytes:
    return _stream(np.zeros(HUGE // 16), compression, form)


@cache
def arrow_of_words() -> bytes:
    """One long text in a dictionary, which a million rows name."""
    word = pa.array(["w" * 4 * MIB] * 2 + ["v" * 4 * MIB]).dictionary_encode()
    return _stream(word, "zstd")


@cache
def arrow_of_nothing() -> bytes:
    """Rows that take no bytes at all until they are columns of float64."""
    return _stream(pa.nulls(2**31 - 1), None)


def parts(content: bytes, kind: str, request: bytes = b"{}") -> tuple[bytes, dict[str, str]]:
    head = b'--B\r\nContent-Disposition: form-data; name="%b"\r\nContent-Type: %b\r\n\r\n%b\r\n'
    body = head % (b"request", b"application/json", request)
    body += head % (b"data", kind.encode(), content)
    return body + b"--B--\r\n", {"content-type": "multipart/form-data; boundary=B"}


BOMBS: dict[str, Bomb] = {
    "json, gzip": lambda: (gzipped(HUGE), {"content-type": "application/json", **PACKED}),
    "json, gzip of many members": lambda: (
        zlib.compress(bytes(MIB), 9, zlib.MAX_WBITS | 16) * 1000,
        {"content-type": "application/json", **PACKED},
    ),
    "json of spaces, gzip": lambda: (
        gzipped(HUGE, b" "),
        {"content-type": "application/json", **PACKED},
    ),
    "csv, gzip": lambda: (gzipped(HUGE, b"1,2\n"), {"content-type": CSV, **PACKED}),
    "csv of empty lines, gzip": lambda: (gzipped(HUGE, b"\n"), {"content-type": CSV, **PACKED}),
    "csv of short lines": lambda: (b"1\n" * (BODY // 2), {"content-type": CSV}),
    "csv of short lines, gzip": lambda: (
        zlib.compress(b"1\n" * (BODY // 2), 9, zlib.MAX_WBITS | 16),
        {"content-type": CSV, **PACKED},
    ),
    "csv of one line": lambda: (b"," * BODY, {"content-type": CSV}),
    "csv of wide lines": lambda: ((b"," * 49 + b"\n") * (BODY // 50), {"content-type": CSV}),
    "csv of quotes": lambda: (b'"' * BODY, {"content-type": CSV}),
    "npz": lambda: (_npz(), {"content-type": NPZ}),
    "npz as a zip": lambda: (_npz(), {"content-type": "application/zip"}),
    "npz of no stated form": lambda: (_npz(), {"content-type": "application/octet-stream"}),
    "npz, gzip": lambda: (
        zlib.compress(_npz(), 9, zlib.MAX_WBITS | 16),
        {"content-type": NPZ, **PACKED},
    ),
    "npz with a directory that lies": lambda: (lying_npz(), {"content-type": NPZ}),
    "npz of overlapping members": lambda: (overlapping_npz(), {"content-type": NPZ}),
    "arrow, zstd": lambda: (arrow("zstd"), {"content-type": STREAM}),
    "arrow file, zstd": lambda: (arrow("zstd", FILE), {"content-type": FILE}),
    "arrow, lz4": lambda: (arrow("lz4"), {"content-type": STREAM}),
    "arrow of no stated form": lambda: (
        arrow("zstd"),
        {"content-type": "application/octet-stream"},
    ),
    "arrow of long words": lambda: (arrow_of_words(), {"content-type": STREAM}),
    "arrow of nothing": lambda: (arrow_of_nothing(), {"content-type": STREAM}),
    "arrow, gzip": lambda: (
        zlib.compress(arrow("zstd"), 9, zlib.MAX_WBITS | 16),
        {"content-type": STREAM, **PACKED},
    ),
    "parts, npz": lambda: parts(_npz(), NPZ),
    "parts, arrow": lambda: parts(arrow("zstd"), STREAM),
    "parts, csv": lambda: parts(b"1\n" * (BODY // 2 - 500), CSV),
    "parts, deep request": lambda: parts(b"x,y\n1,2\n", CSV, b"[" * MIB),
    "parts, gzip": lambda: (
        gzipped(HUGE, b"--B\r\n--B\r\n\0\0"),
        {"content-type": "multipart/form-data; boundary=B", **PACKED},
    ),
    "parts without end": lambda: (
        parts(b"x,y\n1,2\n", CSV)[0][:-8] * 10_000,
        {"content-type": "multipart/form-data; boundary=B"},
    ),
    "gzip of gzip": lambda: (
        gzipped(HUGE),
        {"content-type": CSV, "content-encoding": "gzip, gzip"},
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_not_unpacked(server: Server, name: str) -> None:
    content, headers = BOMBS[name]()
    content = content[:BODY] if name == "parts without end" else content
    assert len(content) <= BODY
    with server.client(trust_env=False) as client, watched(server) as risen:
        for path in ("/fit", "/predict"):
            answer = client.post(path, content=content, headers=headers)
            assert answer.status_code in {400, 413, 415, 422}, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        assert risen() < MOST, f"{risen() / MIB:.0f} MiB"


@pytest.mark.parametrize("form", ["csv", "npz", "arrow", "parts", "json"])
def test_what_just_fits_takes_no_more_than_is_said(server: Server, form: str) -> None:
    """A body at its bounds is read, within the memory that is allowed for."""
    column = np.arange(DATA // 32) % 1000 / 8
    content, headers = _full(form, column)
    assert len(content) <= BODY
    with server.client(trust_env=False) as client, watched(server) as risen:
        query = {} if form == "json" else {"model": "linear"}
        answer = client.post("/fit", content=content, headers=headers, params=query)
        assert answer.status_code == 200, answer.text[:300]
        assert risen() < MOST, f"{risen() / MIB:.0f} MiB"


def _full(form: str, column: np.ndarray) -> tuple[bytes, dict[str, str]]:
    match form:
        case "npz":
            sink = io.BytesIO()
            np.savez_compressed(sink, x=column, y=column)
            return sink.getvalue(), {"content-type": NPZ}
        case "arrow":
            return _stream(column, "zstd"), {"content-type": STREAM}
        case "json":
            values = ",".join(map(str, column[: BODY // 16].tolist()))
            body = f'{{"data": {{"x": [{values}], "y": [{values}]}}}}'.encode()
            return zlib.compress(body, 6, zlib.MAX_WBITS | 16), {
                "content-type": "application/json",
                **PACKED,
            }
    lines = "\n".join(f"{value:g},{value:g}" for value in column.tolist())
    text = f"x,y\n{lines}\n".encode()[: BODY - MIB]
    text = text[: text.rindex(b"\n") + 1]
    return parts(text, CSV) if form == "parts" else (text, {"content-type": CSV})

"""Bodies that are well, of each form that is read, plain and in groups: what the fuzzers begin
with and change a little."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from tests.engine.hostile import TEXTS

COLUMNS: dict[str, list[float]] = {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.1, 3.9, 6.2, 7.8]}
GROUPS = ["p", "q", "p", "q"]
PLAIN: dict[str, Any] = {
    "model": "y = a * x + b",
    "params": {"a": 1.5, "b": {"value": 0.5, "min": -9, "max": 9}},
}
GROUPED: dict[str, Any] = {"model": "linear", "group_by": {"column": "g", "history": True}}
FULL: dict[str, Any] = {
    **PLAIN,
    "sigma": [0.5, 0.5, 0.5, 0.5],
    "loss": {"name": "huber", "delta": 1.5},
    "optimizer": {
        "name": "sgd",
        "learning_rate": 0.01,
        "schedule": {"name": "step", "step_size": 5},
    },
    "scaling": {"x": {"scale": 0.5, "offset": 0.5}},
    "missing": "drop",
    "tags": {"plate": "7"},
}
BOUNDARY = "B"
"""Of the multipart bodies."""


def _json() -> list[bytes]:
    missing = {"x": [1, None, 3], "y": [2, 4, 6.5]}
    told = [
        {**PLAIN, "data": COLUMNS},
        {**FULL, "data": COLUMNS},
        {**FULL, "data": missing, "sigma": 0.5},
        {**GROUPED, "data": {**COLUMNS, "g": GROUPS}},
        {**GROUPED, "data": {**COLUMNS, "g": [1, 2, 1, 2]}, "group_by": "g"},
        {"data": COLUMNS, "model": {"name": "mlp", "hidden": [2]}},
        {"view": "path", "data": COLUMNS, "params": {"w": 1}, "axes": {"w": {"min": 0, "max": 2}}},
    ]
    return [json.dumps(body).encode() for body in told]


def _csv(separator: str = ",") -> list[bytes]:
    lines = [
        ["x [s]", "y", "g"],
        ["1", "2.1", "p"],
        ["2", "", "q q"],
        ["3", "6.2", '"p, ""p"""'],
        ["4e0", "NaN", "2026-01-01"],
    ]
    text = "\n".join(separator.join(line) for line in lines) + "\n"
    told = [
        text,
        f"# of a lab\n\n{text}".replace("\n", "\r\n"),
        f"1{separator}2.1\n2{separator}3.9\n",
        "x;y\n1.5;2.5\n2.5;4\n",
        f'x{separator}y\n"1\n"{separator}2\n',
    ]
    return [*(one.encode() for one in told), text.encode("utf-16"), "﻿".encode() + text.encode()]


def _npz() -> list[bytes]:
    return [
        _saved(np.savez, x=np.arange(4.0), y=np.arange(4) > 1),
        _saved(np.savez_compressed, x=np.arange(4, dtype=">i2"), y=np.arange(4, dtype="f4")),
        _saved(np.savez_compressed, **COLUMNS, g=np.array(GROUPS)),
        _saved(np.savez, **COLUMNS, g=np.array([b"p", b"q", b"p", b"q"])),
    ]


def _saved(save: Any, **arrays: Any) -> bytes:
    sink = io.BytesIO()
    save(sink, **arrays)
    return sink.getvalue()


def _arrow(form: str = "stream") -> list[bytes]:
    told = json.dumps(GROUPED).encode()
    group = pa.array(["p", None, "p", "q"])
    unit = pa.field("x", pa.float64(), metadata={"unit": "s"})
    schema = pa.schema([unit, ("y", pa.float64())], metadata={"descent": told})
    tables = [
        (pa.table(COLUMNS), None),
        (pa.table(list(COLUMNS.values()), schema=schema), None),
        (pa.table({**COLUMNS, "g": group}), "zstd"),
        (pa.table({**COLUMNS, "g": group.dictionary_encode()}), "lz4"),
        (pa.table({"x": pa.array([1, None], pa.int32()), "y": pa.array([1, 2], pa.float16())}), ""),
        (pa.table({"x": [True, False], "g": pa.array(["p", "q"], pa.string_view())}), None),
    ]
    return [_written(table, form, packed or None) for table, packed in tables]


def _written(table: pa.Table, form: str, compression: str | None) -> bytes:
    sink = io.BytesIO()
    writer = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with writer(sink, table.schema, options=options) as stream:
        stream.write_table(table, max_chunksize=3)
    return sink.getvalue()


def _parts() -> list[bytes]:
    told = json.dumps(GROUPED).encode()
    kinds = [
        (b'name="data"\r\nContent-Type: text/csv', _csv()[0]),
        (b'name="data"; filename="a.tsv"', _csv("\t")[0]),
        (b'name="data"; filename="a.npz"', _npz()[2]),
        (b'name="data"; filename="a.arrows"', _arrow()[2]),
        (b'name="data"; filename="a.feather"', _arrow("file")[3]),
    ]
    bodies = []
    for head, content in kinds:
        request = _part(b'name="request"\r\nContent-Type: application/json', told)
        bodies += [_part(head, content), request + _part(head, content)]
    return [body + f"--{BOUNDARY}--\r\n".encode() for body in bodies]


def _part(head: bytes, content: bytes) -> bytes:
    said = b"Content-Disposition: form-data; " + head
    return f"--{BOUNDARY}\r\n".encode() + said + b"\r\n\r\n" + content + b"\r\n"


def _gzip() -> list[bytes]:
    bodies = [*_json()[:2], *_csv()[:2]]
    packed = [zlib.compress(body, 6, zlib.MAX_WBITS | 16) for body in bodies]
    return [*packed, packed[0] + packed[1], packed[2][:-8]]


def _headers() -> list[bytes]:
    return [
        b"localhost:8000",
        b"[::1]:8000",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b'multipart/form-data; boundary="a b"; charset=utf-8',
        b"model=y%20%3D%20a*x&params.a=1&optimizer=name%3Dsgd,learning_rate%3D0.1&group_by.column=g",
        b'{"model": "linear"}&epochs=5',
    ]


@cache
def seeds() -> Mapping[str, list[bytes]]:
    """By the name of the target: see `targets`."""
    return {
        "formula": [text.encode("utf-8", "replace")[:2000] for text in TEXTS]
        + [b"log(y) = b1 - b2*x1*exp(-b3*x2)", b"y = where(x < c, a*x, a*c) + clip(x, 0, b)**2"],
        "json": _json(),
        "headers": _headers(),
        "gzip": _gzip(),
        "csv": _csv(),
        "tab-separated-values": _csv("\t"),
        "x-npz": _npz(),
        "zip": _npz(),
        "vnd.apache.arrow.stream": _arrow(),
        "vnd.apache.arrow.file": _arrow("file"),
        "octet-stream": [*_npz(), *_arrow(), *_arrow("file")],
        "form-data": _parts(),
    }

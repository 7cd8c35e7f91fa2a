from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import arrow
from service.api.bodies.arrow import unpacked_size
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.errors import InvalidData
from service.schemas.columns import Labels, Numbers

STREAM = MediaType("application/vnd.apache.arrow.stream")
BOUNDS = Bounds(rows=1000, columns=10, nbytes=100_000)


def written(table: pa.Table, *, rows: int | None = None, **options: Any) -> bytearray:
    """A stream, in batches of so many rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return bytearray(sink.getvalue().to_pybytes())


def read(body: bytes | bytearray, bounds: Bounds = BOUNDS) -> Table:
    return arrow.read(body, STREAM, bounds)


def number(table: Table, name: str) -> Numbers:
    column = table.columns[name]
    assert isinstance(column, np.ndarray)
    assert column.dtype == np.float64
    return column


def label(table: Table, name: str) -> list[str | None]:
    column = table.columns[name]
    assert isinstance(column, Labels)
    assert len(set(column.names)) == len(column.names)
    return column.tolist()


def test_numbers_lie_in_the_body_itself() -> None:
    body = written(pa.table({"x": [1.0, 2.0, 3.0], "y": [0.1, 0.2, 0.3]}))
    table = read(body)
    assert number(table, "x").tolist() == [1.0, 2.0, 3.0]
    assert number(table, "y").tolist() == [0.1, 0.2, 0.3]
    for name in table.columns:
        assert np.shares_memory(number(table, name), np.frombuffer(body, np.uint8))
        assert number(table, name).flags.writeable


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None, -3], pa.int8()), [1.0, None, -3.0]),
        (pa.array([2**63, 2**64 - 1], pa.uint64()), [2.0**63, 2.0**64]),
        (pa.array([2**53 + 1], pa.int64()), [2.0**53]),
        (pa.array([True, False, None]), [1.0, 0.0, None]),
        (pa.array([1.5, None], pa.float32()), [1.5, None]),
        (pa.array(np.array([1.5, 2], np.float16)), [1.5, 2.0]),
        (pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)), [1.25, None]),
        (pa.array([Decimal("-0.5")], pa.decimal256(50, 1)), [-0.5]),
        (pa.array([1.0, None, 3.0]), [1.0, None, 3.0]),
        (pa.array([None, None]), [None, None]),
        (pa.array([5.0, 7.0, 5.0, None]).dictionary_encode(), [5.0, 7.0, 5.0, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_what_is_a_number_is_cast(column: pa.Array, expected: list[float | None]) -> None:
    found = number(read(written(pa.table({"x": column}))), "x")
    assert [None if np.isnan(value) else value for value in found.tolist()] == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("rows", [None, 2])
def test_text_becomes_labels(kind: pa.DataType, rows: int | None) -> None:
    words = ["b", "a", None, "b", "", "c"]
    assert label(read(written(pa.table({"g": pa.array(words, kind)}), rows=rows)), "g") == words


def test_a_dictionary_is_told_anew() -> None:
    """Its own may have what no row has, or have it twice."""
    dictionary = pa.array(["z", "a", "b", "a", None])
    column = pa.DictionaryArray.from_arrays(pa.array([2, 3, 1, None, 4], pa.int8()), dictionary)
    table = read(written(pa.table({"g": column})))
    assert label(table, "g") == ["b", "a", "a", None, None]
    labels = table.columns["g"]
    assert isinstance(labels, Labels)
    assert labels.names == ("b", "a")
    assert labels.codes.dtype == np.int32


def test_batches_with_dictionaries_of_their_own() -> None:
    parts = [pa.array(words).dictionary_encode() for words in (["a", "b"], ["c", "b"])]
    body = written(pa.table({"g": pa.chunked_array(parts)}), emit_dictionary_deltas=True)
    assert label(read(body), "g") == ["a", "b", "c", "b"]


def test_batches_are_joined() -> None:
    body = written(pa.table({"x": np.arange(10.0), "i": np.arange(10)}), rows=3)
    table = read(body)
    assert number(table, "x").tolist() == number(table, "i").tolist() == list(range(10))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_buffers_are_read(compression: str) -> None:
    table = pa.table({"x": np.arange(500.0), "g": ["a", "b"] * 250})
    found = read(written(table, compression=compression))
    assert number(found, "x").tolist() == list(range(500))
    assert label(found, "g") == ["a", "b"] * 250


def test_what_compressed_buffers_come_to_is_known_before() -> None:
    body = written(pa.table({"x": np.zeros(900), "y": np.zeros(900)}), compression="zstd")
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    assert [unpacked_size(message) for message in messages] == [0, 2 * 8 * 900]
    with pytest.raises(InvalidData, match="14,400 bytes, more than the 14,399"):
        read(body, Bounds(1000, 10, 14_399))
    assert len(number(read(body, Bounds(1000, 10, 14_400)), "x")) == 900


def test_a_compressed_dictionary_counts_too() -> None:
    words = pa.array([f"{i:0200}" for i in range(500)]).dictionary_encode()
    with pytest.raises(InvalidData, match="unpacked"):
        read(written(pa.table({"g": words}), compression="zstd"))


def test_the_file_form_is_read() -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"x": [1.0, 2.0]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert number(read(bytearray(sink.getvalue().to_pybytes())), "x").tolist() == [1.0, 2.0]


def test_the_rest_of_the_request_and_the_units_stand_in_metadata() -> None:
    told = json.dumps({"model": "y = a*x"}).encode()
    field = pa.field("x", pa.float64(), metadata={"unit": "s"})
    schema = pa.schema([field, ("y", pa.float64())], metadata={"descent": told})
    table = read(written(pa.table([[1.0], [2.0]], schema=schema)))
    assert table.request == told
    assert table.units == {"x": "s"}


def test_no_rows_and_no_columns() -> None:
    assert len(number(read(written(pa.table({"x": pa.array([], pa.float64())}))), "x")) == 0
    assert label(read(written(pa.table({"g": pa.array([], pa.string())}))), "g") == []
    assert read(written(pa.table({}))).columns == {}


@pytest.mark.parametrize(
    ("column", "detail"),
    [
        (pa.array([datetime(2026, 1, 1)]), "seconds since the first row"),
        (pa.array([1], pa.duration("ms")), "seconds since the first row"),
        (pa.array([[1.0]]), "send numbers, or text"),
        (pa.array([{"a": 1}]), "send numbers, or text"),
        (pa.array([b"raw"]), "send numbers, or text"),
        (pa.RunEndEncodedArray.from_arrays([2**31 - 1], [1.0]), "send numbers, or text"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_other_types_are_refused_by_name(column: pa.Array, detail: str) -> None:
    with pytest.raises(InvalidData, match=f"column 'z' has the Arrow type .*; .*{detail}"):
        read(written(pa.table({"z": column})))


def test_the_bounds_hold() -> None:
    with pytest.raises(InvalidData, match="1,001 rows are more than the 1,000"):
        read(written(pa.table({"x": np.zeros(1001)})))
    with pytest.raises(InvalidData, match="11 columns are more than the 10"):
        read(written(pa.table({f"x{i}": [1.0] for i in range(11)})))
    with pytest.raises(InvalidData, match="8,000 bytes, more than the 7,999"):
        read(written(pa.table({"x": pa.array([None] * 1000)})), Bounds(1000, 10, 7_999))


def test_distinct_texts_are_bounded() -> None:
    body = written(pa.table({"g": ["a", "b", "c"]}))
    with pytest.raises(InvalidData, match="3 distinct texts in one column are more than the 2"):
        read(body, Bounds(1000, 10, 100_000, labels=2))


def test_string_views_that_share_their_characters_are_bounded() -> None:
    words = pa.array(["x" * 200] * 600, pa.string_view())
    with pytest.raises(InvalidData, match="120,000 bytes"):
        read(written(pa.table({"g": words})))


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "MAX_BATCHES", 3)
    with pytest.raises(InvalidData, match="more than 3 batches"):
        read(written(pa.table({"x": np.zeros(10)}), rows=2))


def test_one_name_is_one_column() -> None:
    with pytest.raises(InvalidData, match="two columns are named 'x'"):
        read(written(pa.table([[1.0], [2.0]], names=["x", "x"])))
    with pytest.raises(InvalidData, match="two columns are named 'x'"):
        read(written(pa.table([[1.0], [2.0]], names=["x", "ｘ"])))


@pytest.mark.parametrize("body", [b"", b"x", b"{}", b"\xff" * 100, b"ARROW1\0\0", bytes(64)])
def test_what_is_no_stream_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(body)


_MIXED = pa.table(
    {
        "x": np.arange(40.0),
        "i": pa.array([1, None] * 20, pa.int32()),
        "g": ["a", None, "bb", "c"] * 10,
        "d": pa.array(["u", "v"] * 20).dictionary_encode(),
    }
)
_BODIES = [
    bytes(written(_MIXED)),
    bytes(written(_MIXED, rows=7)),
    bytes(written(_MIXED, compression="zstd")),
    bytes(written(_MIXED, compression="lz4", rows=13)),
]


@given(
    st.sampled_from(_BODIES),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 10**6) | st.none(),
)
def test_a_damaged_stream_is_refused_or_read_and_never_worse(
    body: bytes, damage: list[tuple[int, int]], cut: int | None
) -> None:
    damaged = bytearray(body)
    for at, value in damage:
        damaged[at % len(damaged)] = value
    if cut is not None:
        del damaged[cut % len(damaged) :]
    _refused_or_read(damaged)


@given(st.binary(max_size=400))
def test_garbage_is_refused(body: bytes) -> None:
    _refused_or_read(bytearray(body))


def _refused_or_read(body: bytearray) -> None:
    try:
        table = read(body)
    except (MalformedBody, InvalidData):
        return
    for column in table.columns.values():
        assert len(column) <= BOUNDS.rows
        column.tolist()


_CELLS = st.none() | st.floats(allow_nan=False)
_WORDS = st.none() | st.text(max_size=5)


@given(st.lists(st.tuples(_CELLS, _WORDS), max_size=30), st.sampled_from([None, "zstd", "lz4"]))
def test_what_is_written_is_read(rows: list[tuple[float | None, str | None]], packed: Any) -> None:
    table = pa.table(
        {
            "x": pa.array([cell for cell, _ in rows], pa.float64()),
            "g": pa.array([word for _, word in rows], pa.string()),
        }
    )
    found = read(written(table, rows=7, compression=packed))
    numbers = [None if np.isnan(value) else value for value in number(found, "x").tolist()]
    assert numbers == [cell for cell, _ in rows]
    assert label(found, "g") == [word for _, word in rows]

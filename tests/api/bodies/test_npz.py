from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import npz
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.errors import InvalidData
from service.schemas.columns import Labels

BOUNDS = Bounds(rows=1000, columns=10, nbytes=100_000)


def read(body: bytes, bounds: Bounds = BOUNDS) -> Table:
    return npz.read(body, MediaType("application/x-npz"), bounds)


def saved(*, packed: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_are_columns(packed: bool) -> None:
    table = read(saved(packed=packed, x=np.arange(5.0), y=np.arange(5) * 2))
    assert {name: column.tolist() for name, column in table.columns.items()} == {
        "x": [0.0, 1.0, 2.0, 3.0, 4.0],
        "y": [0.0, 2.0, 4.0, 6.0, 8.0],
    }


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "f2", "<i4", ">i2", "u8", "?"])
def test_what_is_a_number_is_cast(dtype: str) -> None:
    column = read(saved(x=np.array([0, 1, 1], dtype))).columns["x"]
    assert isinstance(column, np.ndarray)
    assert column.dtype == np.float64
    assert column.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["U", "S", ">U3"])
def test_text_becomes_labels(dtype: str) -> None:
    column = read(saved(g=np.array(["b", "a", "b", "", "c"], dtype))).columns["g"]
    assert isinstance(column, Labels)
    assert column.tolist() == ["b", "a", "b", "", "c"]
    assert column.names == ("b", "a", "", "c")


@pytest.mark.parametrize(
    ("array", "detail"),
    [
        (np.array([1, "a"], object), "never unpickled"),
        (np.zeros((2, 2)), r"shape \(2, 2\); send one-dimensional arrays"),
        (np.float64(3), r"shape \(\)"),
        (np.array([1j]), "complex128"),
        (np.array(["2026-01-01"], "datetime64[s]"), "seconds since the first row"),
        (np.array([(1, 2.0)], [("a", int), ("b", float)]), "NumPy type"),
        (np.array([b"a"], "V1"), "NumPy type"),
    ],
    ids=["object", "2-D", "0-D", "complex", "time", "fields", "void"],
)
def test_other_arrays_are_refused_by_name(array: Any, detail: str) -> None:
    with pytest.raises(InvalidData, match=f"'z' .*{detail}"):
        read(saved(z=array))


def test_the_bounds_hold_before_anything_is_inflated() -> None:
    bomb = saved(packed=True, x=np.zeros(10**7))
    assert len(bomb) < 100_000
    with pytest.raises(InvalidData, match="80,000,128 bytes, more than the 100,000"):
        read(bomb)
    with pytest.raises(InvalidData, match="1,001 rows"):
        read(saved(x=np.zeros(1001)))
    with pytest.raises(InvalidData, match="11 columns"):
        read(zipped({f"x{i}.npy": b"" for i in range(11)}))
    with pytest.raises(InvalidData, match="3 distinct texts"):
        read(saved(g=np.array(["a", "b", "c"])), Bounds(1000, 10, 100_000, labels=2))


def test_no_more_is_inflated_than_the_directory_says() -> None:
    body = bytearray(saved(packed=True, x=np.zeros(10**6)))
    directory = body.index(b"PK\x01\x02")
    struct.pack_into("<I", body, directory + 24, 200)
    with pytest.raises((MalformedBody, InvalidData)):
        read(bytes(body))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_without_a_bound_is_refused(method: int) -> None:
    with pytest.raises(MalformedBody, match="compressed in a way"):
        read(zipped({"x.npy": b"\0" * 1000}, method))


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"not npy",
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000,), }", b"\0" * 8),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,), }"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
        npy("{'descr': '|S0', 'fortran_order': False, 'shape': (5,), }", b"x"),
        npy("{'descr': 'nonesuch', 'fortran_order': False, 'shape': (1,), }"),
        npy("(" * 9000),
        npy("__import__('os')"),
        npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff\xff\xff\x7f"),
        npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\x00\xd8\x00\x00"),
        npy("{'descr': '|S1', 'fortran_order': False, 'shape': (1,), }", b"\xff"),
        b"\x93NUMPY\x03\x00" + b"\0" * 40,
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    ],
)
def test_what_is_no_array_is_malformed(member: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(zipped({"x.npy": member}))


@pytest.mark.parametrize(
    "body", [b"", b"PK", b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 100, b"\x93NUMPY"]
)
def test_what_is_no_zip_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(body)


def test_a_zip_that_is_encrypted_is_refused() -> None:
    body = bytearray(saved(x=np.zeros(3)))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + flags] |= 1
    with pytest.raises(MalformedBody, match="compressed in a way"):
        read(bytes(body))


def test_one_name_is_one_column() -> None:
    with pytest.raises(InvalidData, match="two columns are named 'x'"):
        read(zipped({"x.npy": saved(), "ｘ.npy": saved()}))


_BODIES = [
    saved(x=np.arange(20.0), g=np.array(["a", "b"] * 10), i=np.arange(20)),
    saved(packed=True, x=np.arange(200.0), g=np.array(["a", "bb"] * 100)),
]


@given(
    st.sampled_from(_BODIES),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 10**6) | st.none(),
)
def test_a_damaged_file_is_refused_or_read_and_never_worse(
    body: bytes, damage: list[tuple[int, int]], cut: int | None
) -> None:
    damaged = bytearray(body)
    for at, value in damage:
        damaged[at % len(damaged)] = value
    if cut is not None:
        del damaged[cut % len(damaged) :]
    try:
        table = read(bytes(damaged))
    except (MalformedBody, InvalidData):
        return
    assert all(len(column) <= BOUNDS.rows for column in table.columns.values())


@given(st.text(max_size=80))
def test_a_header_of_garbage_is_malformed(header: str) -> None:
    text = header.encode("latin-1", "replace").decode("latin-1")
    with pytest.raises((MalformedBody, InvalidData)):
        read(zipped({"x.npy": npy(text)}))


@given(
    st.lists(st.floats(allow_infinity=False), max_size=30),
    st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4)),
    st.booleans(),
)
def test_what_is_saved_is_read(numbers: list[float], texts: list[str], packed: bool) -> None:
    table = read(saved(packed=packed, x=np.array(numbers, float), g=np.array(texts, "U4")))
    assert np.array_equal(table.columns["x"], numbers, equal_nan=True)  # type: ignore[arg-type]
    assert table.columns["g"].tolist() == texts

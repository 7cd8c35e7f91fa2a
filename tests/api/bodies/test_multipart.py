from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import multipart
from service.api.bodies.forms import FORMS
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType, media_type
from service.api.http_errors import MalformedBody, UnsupportedMediaType
from service.errors import DescentError
from service.schemas.reading import ReadingOptions

BOUNDS = Bounds(rows=1000, columns=10, nbytes=100_000)
CSV = "x,y\n1,2\n3,4\n"
TYPE = MediaType("multipart/form-data", {"boundary": "b-1"})


def body(*parts: tuple[str, str], end: str = "--b-1--\r\n") -> bytes:
    """Parts, each its headers and its content."""
    return ("".join(f"--b-1\r\n{head}\r\n\r\n{text}\r\n" for head, text in parts) + end).encode()


def disposed(name: str, filename: str = "", kind: str = "") -> str:
    head = f'Content-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename else ""
    return head + (f"\r\nContent-Type: {kind}" if kind else "")


def read(content: bytes, kind: MediaType = TYPE) -> Table:
    return FORMS["multipart/form-data"].read(content, kind, BOUNDS, ReadingOptions())


@pytest.mark.parametrize(
    "head",
    [
        disposed("data", kind="text/csv"),
        disposed("data", "a.csv", "application/octet-stream"),
        disposed("data", "a.CSV"),
        disposed("data", "a.txt", "text/plain"),
        disposed("data", "a.xls.csv", "application/vnd.ms-excel"),
        disposed("data", kind="text/csv; charset=utf-8").replace("Content-Type", "content-type"),
    ],
)
def test_data_are_read_by_their_type_or_their_files_name(head: str) -> None:
    table = read(body((disposed("request"), '{"epochs": 5}'), (head, CSV)))
    assert {name: column.tolist() for name, column in table.columns.items()} == {
        "x": [1.0, 3.0],
        "y": [2.0, 4.0],
    }
    assert table.request == b'{"epochs": 5}'


def test_the_request_may_be_left_out_and_come_last() -> None:
    data = (disposed("data", "a.csv"), CSV)
    assert read(body(data)).request == b""
    assert read(body(data, (disposed("request"), "{}"))).request == b"{}"


def test_a_curl_s_header_names_the_boundary() -> None:
    kind = media_type('multipart/form-data; boundary="b-1"')
    assert list(read(body((disposed("data", "a.csv"), CSV)), kind).columns) == ["x", "y"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ends before its last boundary"),
        (b"garbage", "not valid multipart/form-data"),
        (body((disposed("data", "a.csv"), CSV), end=""), "ends before its last boundary"),
        (body((disposed("request"), "{}")), "no part named 'data'"),
        (body((disposed("file", "a.csv"), CSV)), "unknown part 'file'"),
        (body(("X: y", CSV)), "unknown part ''"),
        (body(*[(disposed("data", "a.csv"), CSV)] * 2), "two parts named 'data'"),
        (
            body((disposed("data"), ""), (disposed("request"), ""), (disposed("request"), "")),
            "more parts than",
        ),
        (body((disposed("data") + "\r\nX: " + "y" * 10_000, CSV)), "not valid multipart/form-data"),
        (body((disposed("data") + "\r\nX: y" * 100, CSV)), "not valid multipart/form-data"),
    ],
)
def test_what_is_malformed_is_told(content: bytes, says: str) -> None:
    with pytest.raises(MalformedBody, match=says):
        read(content)


def test_a_boundary_is_needed() -> None:
    with pytest.raises(MalformedBody, match="names no boundary"):
        read(body(), MediaType("multipart/form-data"))
    with pytest.raises(MalformedBody, match="not valid multipart"):
        read(body(), MediaType("multipart/form-data", {"boundary": "b" * 1000}))


@pytest.mark.parametrize("kind", ["", "text/html", "multipart/form-data; boundary=b-1"])
def test_data_of_another_form_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="the part 'data' is of no supported type"):
        read(body((disposed("data", "a.bin.doc", kind), CSV)))


@given(st.binary(max_size=100), st.integers(0, 300))
def test_garbage_in_it_is_refused_or_read(garbage: bytes, at: int) -> None:
    whole = body((disposed("request"), "{}"), (disposed("data", "a.csv"), CSV))
    at %= len(whole)
    try:
        read(whole[:at] + garbage + whole[at:])
    except DescentError:
        return


def test_the_suffixes_are_of_forms_that_are_read() -> None:
    assert set(multipart.SUFFIXES.values()) <= set(FORMS)

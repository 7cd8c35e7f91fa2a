"""Group keys over HTTP: different spellings stay different and are answered unchanged."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.api.bodies.test_npz import saved

LINE = "y = a*x + b"
QUERY = {"model": LINE, "group_by": "g"}
X, Y = [0.0, 1.0, 2.0] * 2, [1.0, 3.0, 5.1, 2.0, 2.9, 4.0]
CSV = {"content-type": "text/csv"}
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
NPZ = {"content-type": "application/x-npz"}
BIG = 2**60


def table(keys: list[str]) -> str:
    """Three rows of each key, as CSV."""
    cells = zip(X * len(keys), Y * len(keys), np.repeat(keys, 3).tolist(), strict=False)
    return "x,y,g\n" + "".join(f"{x},{y},{g}\n" for x, y, g in cells)


def stream(**columns: Any) -> bytes:
    made = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def by_csv(service: httpx.Client, keys: list[str], **asked: str) -> httpx.Response:
    return service.post("/fit", params={**QUERY, **asked}, content=table(keys), headers=CSV)


def by_arrow(service: httpx.Client, keys: Any) -> httpx.Response:
    body = stream(x=X, y=Y, g=keys)
    return service.post("/fit", params=QUERY, content=body, headers=ARROW)


def by_json(service: httpx.Client, keys: list[Any]) -> httpx.Response:
    return service.post("/fit", json={**QUERY, "data": {"x": X, "y": Y, "g": keys}})


def keys_of(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["groups"]["key"]


def refused(answer: httpx.Response, pointer: str, *said: str) -> None:
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert all(each in error["detail"] for each in said), error["detail"]


@pytest.mark.parametrize(
    ("spelled", "keys"),
    [
        (["1", "2", "10"], [1.0, 2.0, 10.0]),
        (["0.5", "-1.25", "1.50"], [0.5, -1.25, 1.5]),
        (["1.0", "2.0"], [1.0, 2.0]),
        (["0.30000000000000004", "0.3"], [0.1 + 0.2, 0.3]),
        (["001", "1"], ["001", "1"]),
        (["001", "002"], ["001", "002"]),
        (["1E5", "10E4"], ["1E5", "10E4"]),
        (["1.0", "1"], ["1.0", "1"]),
        (["0", "-0"], ["0", "-0"]),
        (["+1", "1"], ["+1", "1"]),
        (["9007199254740992", "9007199254740993"], ["9007199254740992", "9007199254740993"]),
        (["01", "", "2"], ["01", None, "2"]),
        (["2024-01-01", "2024-1-1"], ["2024-01-01", "2024-1-1"]),
        ([" 01", "1 "], ["01", "1"]),
    ],
)
def test_keys_of_a_csv_are_distinct_by_their_spelling(
    service: httpx.Client, spelled: list[str], keys: list[Any]
) -> None:
    assert keys_of(by_csv(service, spelled)) == keys


def test_empty_rows_do_not_shift_keys(service: httpx.Client) -> None:
    text = "x,y,g\n0,1,1E5\n1,2,1E5\n,,\n2,3,10E4\n# a pause\n3,5,10E4\n,,\n"
    answer = service.post("/fit", params=QUERY, content=text, headers=CSV)
    assert keys_of(answer) == ["1E5", "10E4"]
    assert answer.json()["groups"]["n"] == [2, 2]


def test_other_columns_are_numbers_in_any_spelling(service: httpx.Client) -> None:
    text = "x,y,g\n001,1E0,a\n2.0,2,a\n+3,3e0,b\n4,5,b\n"
    assert keys_of(service.post("/fit", params=QUERY, content=text, headers=CSV)) == ["a", "b"]


def test_group_by_in_a_multipart_request(service: httpx.Client) -> None:
    files = {"request": (None, json.dumps(QUERY)), "data": ("a.csv", table(["001", "1"]))}
    assert keys_of(service.post("/fit", files=files)) == ["001", "1"]


@pytest.mark.parametrize("padding", [0, 200_000])
def test_integer_keys_beyond_float64_are_refused(service: httpx.Client, padding: int) -> None:
    """Also in a large body, which another parser reads."""
    keys = [2**53] * 3 + [2**53 + 1] * 3
    data = {"x": X + [0.5] * padding, "y": Y + [2.0] * padding, "g": keys + [7] * padding}
    answer = service.post("/fit", json={**QUERY, "data": data})
    refused(answer, "/data/g/3", "row 4 is 9007199254740993", "as text")


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (pa.array([BIG] * 3 + [BIG + 1] * 3, pa.int64()), 3),
        (pa.array([2**63] * 2 + [None] + [2**63 + 1] * 3, pa.uint64()), 3),
        (pa.array([BIG] * 3 + [BIG + 1] * 3, pa.int64()).dictionary_encode(), 3),
        (pa.array([Decimal("0.1")] * 5 + [Decimal("0.10000000000000000001")]), 5),
    ],
)
def test_inexact_keys_in_arrow_are_refused(service: httpx.Client, keys: Any, row: int) -> None:
    refused(by_arrow(service, keys), f"/data/g/{row}", f"row {row + 1} is ", "as text")


def test_inexact_keys_in_npz_are_refused(service: httpx.Client) -> None:
    body = saved(x=np.array(X), y=np.array(Y), g=np.array([BIG] * 3 + [BIG + 1] * 3))
    answer = service.post("/fit", params=QUERY, content=body, headers=NPZ)
    refused(answer, "/data/g/3", f"row 4 is {BIG + 1}", "as text")


def test_large_exact_integers_are_keys(service: httpx.Client) -> None:
    keys = [10**17] * 3 + [10**18] * 3
    body = saved(x=np.array(X), y=np.array(Y), g=np.array(keys))
    by_npz = service.post("/fit", params=QUERY, content=body, headers=NPZ)
    by_text = by_csv(service, [str(10**17), str(10**18)])
    by_pyarrow = by_arrow(service, pa.array(keys, pa.int64()))
    for answer in (by_json(service, keys), by_pyarrow, by_npz, by_text):
        assert keys_of(answer) == [1e17, 1e18]


def test_other_columns_may_have_any_integer(service: httpx.Client) -> None:
    data = {"x": X, "y": Y, "g": ["a"] * 6, "id": [BIG + 1] * 6}
    assert keys_of(service.post("/fit", json={**QUERY, "data": data})) == ["a"]


def test_infinity_is_refused_as_a_key(service: httpx.Client) -> None:
    keys = [1.0] * 3 + [np.inf] * 3
    body = saved(x=np.array(X), y=np.array(Y), g=np.array(keys))
    by_npz = service.post("/fit", params=QUERY, content=body, headers=NPZ)
    for answer in (by_arrow(service, keys), by_npz, by_csv(service, ["1", "inf"])):
        refused(answer, "/data/g/3", "row 4 is infinite")
    refused(by_csv(service, ["1", "-Infinity"], missing="drop"), "/data/g/3", "(line 5 of the body")
    assert keys_of(by_csv(service, ["ctrl", "inf"])) == ["ctrl", "inf"]  # text, as the other key is


# --- predictions ----------------------------------------------------------------------------------


def predict(service: httpx.Client, fit: httpx.Response, text: str) -> httpx.Response:
    job = fit.json()["job_id"]
    return service.post("/predict", params={"job_id": job}, content=text, headers=CSV)


def test_predictions_match_keys_by_spelling(service: httpx.Client) -> None:
    fit = by_csv(service, ["001", "1"])
    b = fit.json()["groups"]["params"]["b"]
    told = predict(service, fit, "x,g\n0,1\n0,001\n")
    assert told.json()["predictions"] == pytest.approx(b[::-1])
    assert predict(service, fit, "x,g\n0,1\n").json()["predictions"] == pytest.approx(b[1:])
    refused(predict(service, fit, "x,g\n0,1\n0,01\n"), "/data/g/1", "'01'")


def test_predictions_match_number_keys_by_value(service: httpx.Client) -> None:
    fit = by_csv(service, ["1", "100000"])
    b = fit.json()["groups"]["params"]["b"]
    told = predict(service, fit, "x,g\n0,1.0\n0,1\n0,100000\n")
    assert told.json()["predictions"] == pytest.approx([b[0], b[0], b[1]])
    refused(predict(service, fit, "x,g\n0,1\n0,1E5\n"), "/data/g/1", "no group 1E5", "are numbers")
    refused(predict(service, fit, "x,g\n0,1\n0,inf\n"), "/data/g/1", "infinite")


def test_predictions_refuse_integer_keys_beyond_float64(service: httpx.Client) -> None:
    fit = by_json(service, [2**53] * 3 + [7] * 3)
    data = {"x": [1, 1], "g": [2**53, 2**53 + 1]}
    asked = {"job_id": fit.json()["job_id"], "data": data}
    refused(service.post("/predict", json=asked), "/data/g/1", "as text")
    body, query = stream(**data), {"job_id": asked["job_id"]}
    answer = service.post("/predict", params=query, content=body, headers=ARROW)
    refused(answer, "/data/g/1", "as text")


# --- what leaves ----------------------------------------------------------------------------------

ODD = ["c\nd", "c\rd", "a\x00b", "a\u2028b", "", None, "=cmd|x", 'a"b,c', "e\r\nf", "NaN", "1 "]


def test_text_keys_are_answered_unchanged(service: httpx.Client) -> None:
    data: dict[str, Any] = {"x": X * 2, "y": Y * 2, "g": [*ODD, "z"]}
    asked = {**QUERY, "data": data}
    due = [*ODD, "z"]
    assert keys_of(service.post("/fit", json=asked)) == due
    arrow = service.post("/fit?format=arrow", json=asked).content
    assert pa.ipc.open_stream(arrow).read_all()["g"].to_pylist() == due
    text = service.post("/fit?format=csv", json=asked).content.decode()
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    assert [row[0] for row in rows] == [key or "" for key in due]
    assert '\n"",1,' in text  # the empty text
    assert "\n,1," in text  # the key that is missing


def test_predictions_have_text_keys_unchanged(service: httpx.Client) -> None:
    fit = by_json(service, ["c\rd"] * 3 + [""] * 3)
    asked = {"job_id": fit.json()["job_id"], "data": {"x": [0, 0], "g": ["c\rd", ""]}}
    text = service.post("/predict?format=csv", json=asked).content.decode()
    assert text.startswith('x,g,prediction\n0.0,"c\rd",')
    assert '\n0.0,"",' in text

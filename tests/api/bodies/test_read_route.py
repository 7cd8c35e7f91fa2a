"""POST /read: the columns of a body, and what was understood of it."""

from __future__ import annotations

import httpx
import pytest

from tests.serving import serving
from tests.soon import PATIENCE_S

CSV = "Zeit [s];Weg [m];Ort\n0,32;0,5;a\n0,45;;b\n"


@pytest.fixture(scope="module")
def address() -> object:
    with serving() as address:
        yield address


def read(address: str, **sent: object) -> httpx.Response:
    return httpx.post(
        f"http://{address}/read",
        trust_env=False,
        timeout=PATIENCE_S,
        **sent,  # type: ignore[arg-type]
    )


def test_a_csv_is_answered_with_its_columns(address: str) -> None:
    answer = read(address, content=CSV, headers={"Content-Type": "text/csv"}).json()
    assert answer["data"] == {"Zeit": [0.32, 0.45], "Weg": [0.5, None], "Ort": ["a", "b"]}
    assert answer["units"] == {"Zeit": "s", "Weg": "m"}
    assert answer["n"] == 2
    assert (answer["reading"]["separator"], answer["reading"]["decimal"]) == (";", ",")


def test_json_has_no_reading(address: str) -> None:
    answer = read(address, json={"data": [{"x": 1, "y": 2}], "units": {"x": "s"}}).json()
    assert answer == {"data": {"x": [1], "y": [2]}, "units": {"x": "s"}, "n": 1, "reading": None}


def test_many_rows_are_answered_in_pieces(address: str) -> None:
    column = [i / 8 for i in range(50_000)]
    answer = read(address, json={"data": {"x": column, "y": column}}).json()
    assert (answer["n"], answer["data"]["y"]) == (50_000, column)


def test_other_forms_are_refused(address: str) -> None:
    assert read(address, json={"data": {"x": [1]}}, params={"format": "csv"}).status_code == 422
    refused = read(address, content="x,y\n1,2\n3,4,5\n", headers={"Content-Type": "text/csv"})
    assert refused.status_code == 400
    assert "line 3 has 3 values" in refused.json()["detail"]

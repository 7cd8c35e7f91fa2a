"""Units of a table's header go with params, predictions and unknowns, in each form of answer."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pyarrow as pa
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CSV = {"Content-Type": "text/csv"}
CALIBRATION = "conc [mg/l],area (mAU)\n0,1\n1,3.1\n2,4.9\n3,7\n,4\n"
WELLS = "well,t [s],u [V]\nA,0,1\nA,1,3\nA,2,5\nB,0,1\nB,1,4\nB,2,7\n"


async def job_of(client: httpx.AsyncClient, text: str, **query: str) -> dict[str, Any]:
    answer = await client.post("/fit", params=query, content=text, headers=CSV)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("source", ["job", "predict"])
async def test_predictions(client: httpx.AsyncClient, source: str) -> None:
    fit = await job_of(client, CALIBRATION, missing="drop")
    given = {"job_id": fit["job_id"]} if source == "job" else fit["predict"]
    body = {**given, "data": {"conc": [1.5]}, "interval": "prediction"}
    found = (await client.post("/predict", json=body)).json()
    assert found["units"] == {"conc": "mg/l", "area": "mAU"}
    text = (await client.post("/predict?format=text", json=body)).text
    assert "area [mAU]" in text
    table = (await client.post("/predict?format=csv", json=body)).text
    header = "conc [mg/l],prediction [mAU],stderr [mAU],lower [mAU],upper [mAU]"
    assert table.splitlines()[0] == header
    arrow = (await client.post("/predict?format=arrow", json=body)).content
    schema = pa.ipc.open_stream(io.BytesIO(arrow)).schema
    assert schema.field("prediction").metadata == {b"unit": b"mAU"}


async def test_predictions_without_units_are_named_as_before(client: httpx.AsyncClient) -> None:
    body = {"model": "y = a*x", "params": {"a": 2}, "data": {"x": [1]}}
    assert "units" not in (await client.post("/predict", json=body)).json()
    assert (await client.post("/predict?format=csv", json=body)).text == "x,prediction\n1.0,2.0\n"


async def test_unknowns(client: httpx.AsyncClient) -> None:
    fit = await job_of(client, CALIBRATION, missing="drop")
    query = {"job_id": fit["job_id"]}
    found = await client.post("/invert", params=query, content=CALIBRATION, headers=CSV)
    assert found.json()["units"] == {"conc": "mg/l", "area": "mAU"}
    text = await client.post(
        "/invert", params={**query, "format": "text"}, content=CALIBRATION, headers=CSV
    )
    assert "mean [mAU]  conc [mg/l]" in text.text
    table = await client.post(
        "/invert", params={**query, "format": "csv"}, content=CALIBRATION, headers=CSV
    )
    assert "mean [mAU],estimate [mg/l],stderr [mg/l]" in table.text


async def test_groups(client: httpx.AsyncClient) -> None:
    query = {"model": "u ~ a + b*t", "group_by": "well"}
    fit = await job_of(client, WELLS, **query)
    assert fit["units"] == {"t": "s", "u": "V", "a": "V", "b": "V/s"}
    text = await client.post("/fit", params={**query, "format": "text"}, content=WELLS, headers=CSV)
    assert "a [V]" in text.text
    assert "b [V/s]" in text.text
    table = await client.post("/fit", params={**query, "format": "csv"}, content=WELLS, headers=CSV)
    assert table.text.startswith("well,n,status,a [V],a_stderr [V],b [V/s],b_stderr [V/s]")
    body = {"job_id": fit["job_id"], "data": {"t": [3, 3], "well": ["A", "B"]}}
    found = (await client.post("/predict", json=body)).json()
    assert found["predictions"] == pytest.approx([7.0, 10.0])
    assert found["units"] == {"t": "s", "u": "V"}
    shared = {"model": "u ~ a + b*t", "group_by.column": "well", "group_by.shared": "a"}
    text = await client.post(
        "/fit", params={**shared, "format": "text"}, content=WELLS, headers=CSV
    )
    assert "a [V]" in text.text

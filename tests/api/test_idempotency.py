"""Idempotency is by meaning: what is asked counts, in whatever form it comes and is answered."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

X, Y = [1.0, 2.0, 3.0], [2.0, 4.0, 7.0]
MODEL = "y = a*x + b"
BODY = {"model": MODEL, "data": {"x": X, "y": Y}}
CSV = "x,y\n1,2\n2,4\n3,7\n"
QUERY = {"model": MODEL}


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x=X, y=Y)
    return file.getvalue()


def arrow(request: dict[str, Any] | None = None) -> bytes:
    told = None if request is None else {"descent": json.dumps(request)}
    table = pa.table({"x": X, "y": Y}).replace_schema_metadata(told)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def form(boundary: str) -> dict[str, Any]:
    lines = [f"--{boundary}", 'Content-Disposition: form-data; name="request"', ""]
    lines += [json.dumps(QUERY), f"--{boundary}", 'Content-Disposition: form-data; name="data"']
    lines += ["Content-Type: text/csv", "", CSV, f"--{boundary}--", ""]
    kind = f"multipart/form-data; boundary={boundary}"
    return {"content": "\r\n".join(lines).encode(), "headers": {"content-type": kind}}


def typed(kind: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": kind}, **more}


SAME: dict[str, dict[str, Any]] = {
    "JSON": {"json": BODY},
    "JSON, spelled otherwise": typed(
        "application/json",
        b'{"data":{"x":[1,2.0,3e0],"y":[2,4,7]},"epochs":null,"model":"y = a*x + b","seed":0}',
    ),
    "JSON as text": {"json": BODY, "params": {"format": "text"}},
    "JSON, in the background": {"json": {**BODY, "background": True}},
    "CSV": typed("text/csv", CSV.encode(), params=QUERY),
    "CSV with semicolons": typed("text/csv", CSV.replace(",", ";").encode(), params=QUERY),
    "CSV as text": typed("text/csv", CSV.encode(), params={**QUERY, "format": "text"}),
    "a form": form("one"),
    "the form again": form("another"),
    "the form as CSV": {**form("third"), "params": {"format": "csv"}},
    ".npz": typed("application/x-npz", npz(), params=QUERY),
    "Arrow": typed("application/vnd.apache.arrow.stream", arrow(), params=QUERY),
    "Arrow with its request": typed("application/vnd.apache.arrow.stream", arrow(QUERY)),
}
OTHER: dict[str, dict[str, Any]] = {
    "other data": {"json": {**BODY, "data": {"x": X, "y": [2.0, 4.0, 7.5]}}},
    "a column's name": {"json": {**BODY, "data": {"x": X, "y": Y, "z": X}}},
    "an option": {"json": {**BODY, "seed": 1}},
    "a tag": {"json": {**BODY, "tags": {"a": "b"}}},
}


async def ask(client: httpx.AsyncClient, sent: dict[str, Any], key: str) -> httpx.Response:
    headers = {**sent.get("headers", {}), "idempotency-key": key}
    return await client.post("/fit", **{**sent, "headers": headers})


@pytest.mark.parametrize("name", SAME)
async def test_what_means_the_same_is_the_same_job(client: httpx.AsyncClient, name: str) -> None:
    first = await ask(client, SAME["JSON"], "same")
    again = await ask(client, SAME[name], "same")
    assert again.status_code in (200, 202), again.text
    assert again.headers["idempotent-replayed"] == "true"
    if again.headers["content-type"] == "application/json":
        assert again.json()["job_id"] == first.json()["job_id"]


@pytest.mark.parametrize("name", OTHER)
async def test_what_does_not_is_a_conflict(client: httpx.AsyncClient, name: str) -> None:
    assert (await ask(client, SAME["JSON"], f"other {name}".replace(" ", "-"))).is_success
    answer = await ask(client, OTHER[name], f"other {name}".replace(" ", "-"))
    assert answer.status_code == 422
    assert answer.json()["type"] == "idempotency-conflict"


async def test_a_start_is_the_same_with_and_without_its_object(client: httpx.AsyncClient) -> None:
    first = await ask(client, {"json": {**BODY, "params": {"a": 1, "b": 2}}}, "start")
    again = await ask(client, {"json": {**BODY, "params": {"b": 2.0, "a": {"value": 1}}}}, "start")
    assert again.json()["job_id"] == first.json()["job_id"]
    other = {**BODY, "params": {"a": {"value": 1, "fixed": True}, "b": 2}}
    assert (await ask(client, {"json": other}, "start")).status_code == 422


async def test_two_keys_are_none(client: httpx.AsyncClient) -> None:
    headers = [("idempotency-key", "one"), ("idempotency-key", "another")]
    answer = await client.post("/fit", json=BODY, headers=headers)
    assert answer.status_code == 422
    assert "must be sent once" in answer.json()["detail"]


async def test_labels_and_gaps_have_a_meaning_too(client: httpx.AsyncClient) -> None:
    lines = "x,y,g\n1,2,a\n2,4,b\n3,7,a\n4,8,b\n5,,a\n"
    asked = {"model": "y = a*x", "group_by": "g", "missing": "drop"}
    data = {"x": [1, 2, 3, 4, 5], "y": [2, 4, 7, 8, None], "g": ["a", "b", "a", "b", "a"]}
    first = await ask(client, {"json": {**asked, "data": data}}, "labels")
    assert first.status_code == 200, first.text
    again = await ask(client, typed("text/csv", lines.encode(), params=asked), "labels")
    assert again.headers["idempotent-replayed"] == "true"
    other = {**data, "g": ["a", "b", "b", "a", "a"]}
    assert (await ask(client, {"json": {**asked, "data": other}}, "labels")).status_code == 422

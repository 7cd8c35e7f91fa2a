"""The forms over HTTP: the same request, whichever form its data have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pytest_asyncio

from service.settings import Settings
from tests.api.doors import real
from tests.api.reading.test_arrow import written

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
X = np.linspace(0.0, 4.0, 30)
COLUMNS = {"x": X.tolist(), "y": (2.5 * np.exp(-1.3 * X) + 0.5).tolist()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with real(Settings(workers=1)) as client:
        yield client


def arrow_body(columns: dict[str, Any] = COLUMNS) -> bytes:
    return bytes(written(pa.table(columns)))


async def test_a_fit_of_an_arrow_body_is_that_of_json(client: httpx.AsyncClient) -> None:
    asked = {"model": "y = a*exp(-b*x)+c", "optimizer": "levenberg_marquardt"}
    by_json = await client.post("/fit", json={**asked, "data": COLUMNS})
    by_arrow = await client.post(
        "/fit?model=y~a*exp(-b*x)+c&optimizer=levenberg_marquardt",
        content=arrow_body(),
        headers=ARROW,
    )
    assert by_arrow.status_code == 200, by_arrow.text
    assert by_arrow.json()["params"] == by_json.json()["params"]
    assert by_arrow.json()["model"] == by_json.json()["model"]


async def test_predict_loss_and_gradient_read_it_too(client: httpx.AsyncClient) -> None:
    asked = {"model": "y = a*x", "params": {"a": 2.0}}
    query = "model=y~a*x&params=a:2"
    for path in ("/predict", "/loss", "/gradient"):
        by_json = await client.post(path, json={**asked, "data": COLUMNS})
        by_arrow = await client.post(f"{path}?{query}", content=arrow_body(), headers=ARROW)
        assert by_arrow.status_code == 200, by_arrow.text
        assert by_arrow.json() == by_json.json()


async def test_a_large_arrow_body(client: httpx.AsyncClient) -> None:
    x = np.arange(200_000.0)
    answer = await client.post("/fit", content=arrow_body({"x": x, "y": 3 * x + 1}), headers=ARROW)
    assert answer.status_code == 200, answer.text
    assert answer.json()["params"]["w"] == pytest.approx(3.0, rel=1e-9)


async def test_a_malformed_body_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit", content=b"garbage" * 10, headers=ARROW)
    assert answer.status_code == 400
    assert answer.json()["type"] == "malformed-body"


async def test_a_slip_in_the_query_names_the_parameter(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit?epoch=5", content=arrow_body(), headers=ARROW)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert "unknown query parameter 'epoch'" in detail
    assert "did you mean 'epochs'?" in detail


async def test_the_same_key_with_other_options_is_another_request(
    client: httpx.AsyncClient,
) -> None:
    headers = {**ARROW, "idempotency-key": "an-arrow-body"}
    first = await client.post("/fit", content=arrow_body(), headers=headers)
    again = await client.post("/fit", content=arrow_body(), headers=headers)
    other = await client.post("/fit?model=quadratic", content=arrow_body(), headers=headers)
    assert first.status_code == again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert other.json()["type"] == "idempotency-conflict"

"""How many columns, texts, groups, params and levels a body may have, as JSON and otherwise: told
before anything is reckoned, and each by its setting."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.settings import Settings
from tests.api.in_process import real

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = Settings(workers=1, max_columns=4, max_labels=3, max_groups=2, max_params=5, max_rows=10)
ROUTES = ("/fit", "/predict", "/loss", "/gradient", "/plot")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with real(LIMITS) as client:
        yield client


def body(path: str, rows: int = 4, **columns: Any) -> dict[str, Any]:
    data = {"x": [1.5 * n for n in range(rows)], "y": [2.0 * n + n % 2 for n in range(rows)]}
    asked: dict[str, Any] = {
        "model": "y = a * x",
        "params": {"a": 1.5},
        "data": {**data, **columns},
    }
    return {**asked, "view": "fit"} if path == "/plot" else asked


async def refused(client: httpx.AsyncClient, path: str, asked: dict[str, Any], at: str) -> str:
    answer = await client.post(path, json=asked)
    assert answer.status_code == 422, (path, answer.text[:300])
    (error,) = answer.json()["errors"]
    assert error["pointer"] == at
    return str(error["detail"])


@pytest.mark.parametrize("path", ROUTES)
async def test_each_count_has_its_bound_as_json(client: httpx.AsyncClient, path: str) -> None:
    names = ["p", "q", "r", "s"]
    fits: dict[str, Any] = {"c": [1, 2, 3, 4], "g": ["p", "q", "r", "p"]}
    assert (await client.post(path, json=body(path, **fits))).status_code == 200
    many: dict[str, Any] = {f"c{n}": [1, 2, 3, 4] for n in range(3)}
    assert "columns" in await refused(client, path, body(path, **many), "/data")
    assert "distinct texts" in await refused(client, path, body(path, g=names), "/data")
    assert "rows" in await refused(client, path, body(path, rows=11), "/data")
    params = {f"p{n}": 1.0 for n in range(6)}
    told = await refused(client, path, {**body(path), "params": params}, "/params")
    assert told == "6 params are more than the 5 allowed"


@pytest.mark.parametrize("path", ROUTES)
async def test_a_long_body_has_the_same_bounds(client: httpx.AsyncClient, path: str) -> None:
    """One that is parsed elsewhere, by slices or by the process apart."""
    texts = [f"t{n % 1000}" for n in range(200_000)]
    assert "rows" in await refused(client, path, body(path, rows=200_000), "/data")
    told = await refused(client, path, body(path, rows=200_000, g=texts), "/data")
    assert "1,000 distinct texts" in told
    many: dict[str, Any] = {f"c{n}": [0.5] * 100_000 for n in range(3)}
    assert "columns" in await refused(client, path, body(path, rows=100_000, **many), "/data")


async def test_the_other_forms_bound_params_too(client: httpx.AsyncClient) -> None:
    query = "&".join(f"params.p{n}=1" for n in range(6))
    answer = await client.post(
        f"/fit?{query}", content=b"x,y\n1,2\n2,4\n", headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "6 params are more than the 5 allowed"


async def test_params_that_nobody_names_count_too(client: httpx.AsyncClient) -> None:
    asked = {
        **body("/fit"),
        "model": "y = a + b*x + c*x**2 + d*x**3 + f*x**4 + g*x**5",
        "params": {},
    }
    assert "6 params" in await refused(client, "/fit", asked, "/model")
    network = {"name": "mlp", "hidden": [8]}
    assert "params" in await refused(
        client, "/fit", {**body("/fit"), "model": network, "params": {}}, "/model"
    )


async def test_groups_are_counted_before_they_are_fitted(client: httpx.AsyncClient) -> None:
    asked = {**body("/fit", g=["p", "q", "r", "p"]), "group_by": "g"}
    assert "groups" in await refused(client, "/fit", asked, "/group_by")


@pytest.mark.parametrize("path", ROUTES)
async def test_json_nests_so_deep_and_no_deeper(client: httpx.AsyncClient, path: str) -> None:
    for deep in (50, 250, 10_000):
        for opened, closed in (("[", "]"), ('{"a":', "}")):
            nested = opened * deep + "1" + closed * deep
            for asked in (nested, f'{{"data": {nested}}}', f'{{"nonsense": {nested}}}'):
                answer = await client.post(
                    path, content=asked, headers={"content-type": "application/json"}
                )
                assert answer.status_code in {400, 422}
                assert len(json.dumps(answer.json())) < 20_000

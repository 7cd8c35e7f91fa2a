"""What a request would cost is reckoned before it is begun; too much is refused at its place in the
body, with the limit and with what would fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.settings import Settings
from tests.api.in_process import real

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = Settings(
    workers=1,
    max_epochs=100_000,
    max_operations=1e6,
    max_surface_points=100,
    max_surface_operations=2000,
    max_profile_operations=1e4,
    max_answer_operations=1300,
    max_time_limit_s=5,
    max_picture_pixels=300_000,
)
DATA = {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.1, 3.9, 6.2, 7.8]}
MODEL: dict[str, Any] = {"model": "y = a * x", "data": DATA, "params": {"a": 1.0}}
SGD = {"name": "sgd", "learning_rate": 0.01}
AXIS = {"min": 0, "max": 1}


def network(width: int) -> dict[str, Any]:
    """One of 3·width + 1 params."""
    layers = [f"w1_{n}_1" for n in range(1, width + 1)] + [f"b1_{n}" for n in range(1, width + 1)]
    names = [*layers, *(f"w2_1_{n}" for n in range(1, width + 1)), "b2_1"]
    return {
        **MODEL,
        "model": {"name": "mlp", "hidden": [width]},
        "params": dict.fromkeys(names, 0.1),
    }


NARROW, WIDE = network(3), network(60)
COSTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "epochs": (
        "/fit",
        {**MODEL, "optimizer": SGD, "epochs": 100_001},
        "/epochs",
        "100,001 epochs are more than the 100,000 allowed",
    ),
    "work": (
        "/fit",
        {**MODEL, "model": "y = a * exp(b * x)", "optimizer": SGD, "epochs": 100_000},
        "/epochs",
        "100,000 epochs × 4 rows × ",
    ),
    "seconds": ("/fit", {**MODEL, "time_limit_s": 6}, "/time_limit_s", "at most 5"),
    "profiles": (
        "/fit",
        {**MODEL, "model": "y = a * exp(b * x)", "confidence_interval": {"method": "profile"}},
        "/confidence_interval/method",
        "use the method 't'",
    ),
    "points": (
        "/loss",
        {**MODEL, "surface": {"a": {**AXIS, "steps": 101}}},
        "/surface",
        "101 points are more than the 100 allowed",
    ),
    "grid": (
        "/loss",
        {
            **MODEL,
            "model": "y = sin(a*x) + cos(a*x)*exp(a*x) + a*x + a*a*x",
            "surface": {"a": {**AXIS, "steps": 100}},
        },
        "/surface",
        "use fewer steps",
    ),
    "differences": (
        "/gradient",
        {**NARROW, "gradient": "numeric"},
        "/gradient",
        "21 evaluations of 4 rows are 5e+03 operations, more than the 1.3e+03 allowed for "
        "one answer; use the method 'analytic', or send at most 1 rows per request",
    ),
    "three methods": ("/gradient", {**NARROW, "check": True}, "/check", "omit it, or send"),
    "gradient": ("/gradient", WIDE, "/data", "send at most 1 rows per request"),
    "predictions": ("/predict", WIDE, "/data", "1 evaluation of 4 rows"),
    "a loss": ("/loss", {**WIDE, "residuals": True}, "/data", "2 evaluations of 4 rows"),
    "pixels": (
        "/plot",
        {"view": "losses", "width": 1000, "height": 400},
        "/width",
        "1000 × 400 pixels are more than the 300,000 allowed",
    ),
    "characters": (
        "/fit",
        {**MODEL, "model": "y = a * x" + " " * 504},
        "/model",
        "at most 512 characters",
    ),
    "operations": (
        "/fit",
        {**MODEL, "model": "y = a*x" + "+x" * 150},
        "/model",
        "at most 200 operations and names",
    ),
    "nesting": (
        "/fit",
        {**MODEL, "model": "y = a*" + "(" * 40 + "x" + ")" * 40},
        "/model",
        "at most 32 deep",
    ),
    "names": (
        "/fit",
        {"data": DATA, "model": "y = " + "+".join(f"p{n}" for n in range(65))},
        "/model",
        "at most 64 params",
    ),
    "weights": (
        "/fit",
        {"data": DATA, "model": {"name": "mlp", "hidden": [256, 256]}},
        "/model/hidden",
        "at most 4,096",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with real(LIMITS) as client:
        yield client


@pytest.mark.parametrize("name", COSTS)
async def test_too_much_is_refused_where_it_stands(client: httpx.AsyncClient, name: str) -> None:
    path, body, at, says = COSTS[name]
    answer = await client.post(path, json=body)
    assert answer.status_code == 422, answer.text[:300]
    (error,) = answer.json()["errors"]
    assert error["pointer"] == at
    assert says in error["detail"]


async def test_the_epochs_that_would_fit_do(client: httpx.AsyncClient) -> None:
    """The estimate in the refusal is one that can be acted on."""
    body = {**MODEL, "model": "y = a * exp(b * x)", "optimizer": SGD, "epochs": 100_000}
    told = (await client.post("/fit", json={**body, "data": DATA})).json()["detail"]
    fits = int(told.split("at most ")[1].split()[0].replace(",", ""))
    assert 100 < fits < 100_000
    asked = {**body, "background": True}
    assert (await client.post("/fit", json={**asked, "epochs": fits + 1})).status_code == 422
    taken = await client.post("/fit", json={**asked, "epochs": fits})
    assert taken.status_code == 202
    await client.post(taken.json()["urls"]["cancel"])


async def test_the_rows_that_would_fit_do(client: httpx.AsyncClient) -> None:
    one_row = {**NARROW, "data": {name: column[:1] for name, column in DATA.items()}}
    answer = await client.post("/gradient", json={**one_row, "gradient": "numeric"})
    assert answer.status_code == 200
    assert len(answer.json()["gradient"]) == 10


async def test_a_jobs_predictions_have_the_same_budget(client: httpx.AsyncClient) -> None:
    groups = {**DATA, "g": [1, 1, 2, 2]}
    for asked in ({"data": DATA}, {"data": groups, "group_by": "g"}):
        fitted = await client.post("/fit", json={**asked, "model": "y = a * x"})
        job_id = fitted.json()["job_id"]
        data = {"x": [0.5] * 1301, "g": [1] * 1301}
        answer = await client.post("/predict", json={"job_id": job_id, "data": data})
        assert answer.status_code == 422, answer.text[:300]
        assert "send at most 1,300 rows per request" in answer.json()["detail"]

"""The same requests on memory and local workers and on Redis and a node: the same answers, bit for
bit."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from service.settings import Settings
from tests.api.in_process import BACKENDS, real

pytestmark = pytest.mark.asyncio(loop_scope="module")

X = np.linspace(0.1, 4.0, 60)
DECAY = {"x": X.tolist(), "y": (3 * np.exp(-1.3 * X) + 0.5 + 0.01 * np.sin(50 * X)).tolist()}
GROUPS = {**DECAY, "g": ["a", "b", "c"] * 20}

FITS: dict[str, dict[str, Any]] = {
    "inline line": {"data": DECAY},
    "inline nonlinear": {"model": "y = a*exp(-k*x) + c", "data": DECAY},
    "adam": {"model": "y = a*exp(-k*x) + c", "data": DECAY, "optimizer": "adam", "epochs": 9000},
    "mini-batches": {
        "data": DECAY,
        "optimizer": {"name": "sgd", "learning_rate": 1e-3, "batch_size": 7},
        "epochs": 300,
        "seed": 7,
    },
    "network": {"model": {"name": "mlp", "hidden": [8]}, "data": DECAY, "epochs": 50},
    "diverging": {"data": DECAY, "optimizer": {"name": "sgd", "learning_rate": 10}},
    "groups": {"model": "y = a*exp(-k*x) + c", "data": GROUPS, "group_by": "g"},
    "shared": {
        "model": "y = a*exp(-k*x) + c",
        "data": GROUPS,
        "group_by": {"column": "g", "shared": ["k"]},
    },
    "profiles": {
        "model": "y = a*exp(-k*x) + c",
        "data": DECAY,
        "confidence_interval": {"method": "profile"},
    },
    "bootstrap": {
        "model": "y = a*exp(-k*x) + c",
        "data": DECAY,
        "confidence_interval": {"method": "bootstrap", "interval": "bca", "replicates": 300},
        "report": {"half_life": "log(2)/k"},
        "coverage": {"simulate": 20},
        "seed": 5,
    },
    "bootstrap of groups": {
        "model": "y = a*exp(-k*x) + c",
        "data": GROUPS,
        "group_by": "g",
        "confidence_interval": {"method": "bootstrap", "kind": "case", "replicates": 100},
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both() -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        settings = Settings(workers=1, max_wait_s=60)
        yield [await stack.enter_async_context(real(settings, name)) for name in BACKENDS]


def bare(text: str) -> Any:
    """An answer, less its ids and its times."""
    found = json.loads(re.sub(r"job_[\w-]{22}", "job", text))
    for name in ("timings", "created_at", "started_at", "finished_at", "request_id"):
        found.pop(name, None)
    if isinstance(found.get("result"), dict):
        del found["result"]["timings"]
    if isinstance(found.get("progress"), dict):
        del found["progress"]["epochs_per_s"]
    return found


@pytest.mark.parametrize("name", FITS)
async def test_a_fit_and_all_that_is_had_of_it(both: list[httpx.AsyncClient], name: str) -> None:
    seen = []
    for client in both:
        answer = await client.post("/fit", json=FITS[name])
        assert answer.status_code == 200, answer.text
        at = f"/jobs/{answer.json()['job_id']}"
        paths = [at, f"{at}/history", f"{at}/history?max_points=9", f"{at}/history?after_epoch=3"]
        texts = [answer.text, *[(await client.get(path)).text for path in paths]]
        asked = {"job_id": at.removeprefix("/jobs/"), "data": GROUPS}
        predicted = await client.post("/predict", json=asked)
        report = (await client.get(at, params={"format": "csv"})).text
        texts.append((await client.get(f"{at}/draws")).text)
        seen.append(([bare(text) for text in texts], predicted.text, report))
    assert json.dumps(seen[0][0]) == json.dumps(seen[1][0])
    assert seen[0][1:] == seen[1][1:]


async def test_comparisons(both: list[httpx.AsyncClient]) -> None:
    asked = {"models": ["a*x + b", "a*exp(-k*x) + c"], "data": DECAY}
    answers = [await client.post("/compare", json=asked) for client in both]
    assert json.dumps(bare(answers[0].text)) == json.dumps(bare(answers[1].text))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/fit", {"data": DECAY, "model": "y = a*nonesuch(x)"}),
        ("/fit", {"data": {"x": [1, 2], "y": [1]}}),
        ("/predict", {"job_id": "job_never", "data": {"x": [1]}}),
    ],
)
async def test_refusals(both: list[httpx.AsyncClient], path: str, body: Any) -> None:
    answers = [await client.post(path, json=body) for client in both]
    assert answers[0].status_code == answers[1].status_code
    first, second = (answer.json() for answer in answers)
    assert (first["type"], first["title"]) == (second["type"], second["title"])


async def test_events_and_pictures(both: list[httpx.AsyncClient]) -> None:
    seen = []
    for client in both:
        at = (await client.post("/fit", json={**FITS["adam"], "background": True})).headers[
            "location"
        ]
        lines = (
            await client.get(f"{at}/events", headers={"Accept": "application/jsonl"})
        ).text.splitlines()
        rows = [
            row for line in lines for row in json.loads(line).get("history", {}).get("loss", [])
        ]
        picture = await client.get(f"{at}/plot/loss.txt")
        assert picture.status_code == 200
        seen.append((rows, json.loads(lines[-1])["job"]["status"], picture.text))
    assert seen[0] == seen[1]
    assert seen[0][1] == "succeeded"


async def test_an_idempotency_key_on_another_replica(both: list[httpx.AsyncClient]) -> None:
    for client in both:
        named = {"Idempotency-Key": "once"}
        first = await client.post("/fit", json=FITS["inline line"], headers=named)
        again = await client.post("/fit", json=FITS["inline line"], headers=named)
        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
        other = await client.post("/fit", json=FITS["adam"], headers=named)
        assert other.json()["type"] == "idempotency-conflict"

"""What openapi.json says holds of real requests and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator

from service.api.openapi import text
from service.app import create_app
from service.settings import Settings
from tests.api.fakes import FakeJobs
from tests.api.in_process import fake

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = create_app(Settings()).openapi()


def _examples() -> Iterator[Any]:
    for path, operations in DOCUMENT["paths"].items():
        if "post" not in operations:
            continue
        operation = operations["post"]
        content = operation.get("requestBody", {}).get("content", {})
        for name, example in content.get("application/json", {}).get("examples", {}).items():
            identity = f"{operation['operationId']}-{name}"
            yield pytest.param(path, operation, example["value"], id=identity)


def _check_schema(value: Any, schema: dict[str, Any]) -> None:
    OAS31Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


@pytest.mark.parametrize(("path", "operation", "body"), [*_examples()])
async def test_examples_work_and_answers_are_as_declared(
    client: httpx.AsyncClient, path: str, operation: dict[str, Any], body: Any
) -> None:
    request = operation["requestBody"]["content"]["application/json"]["schema"]
    _check_schema(body, request)
    answer = await client.post(path, json=body)
    assert answer.status_code == (202 if body.get("background") else 200), answer.text
    declared = operation["responses"][str(answer.status_code)]["content"]
    if "application/json" in declared:
        _check_schema(answer.json(), declared["application/json"]["schema"])
    else:
        assert answer.headers["content-type"].partition(";")[0] in declared


async def test_other_answers_are_as_declared(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json={"data": {"x": [1, 2, 3], "y": [1, 2, 4]}})).json()
    for path in (
        "/jobs",
        "/jobs/{job_id}",
        "/jobs/{job_id}/history",
        "/models",
        "/likelihoods",
        "/certify",
    ):
        answer = await client.get(path.format(job_id=fit["job_id"]))
        declared = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]
        _check_schema(answer.json(), declared["application/json"]["schema"])


async def test_a_problem_is_as_declared() -> None:
    async with fake(FakeJobs()) as client:
        problem = (await client.post("/fit", json={})).json()
    _check_schema(problem, {"$ref": "#/components/schemas/Problem"})


async def test_it_is_served() -> None:
    async with fake(FakeJobs()) as client:
        assert (await client.get("/openapi.json")).json() == json.loads(text(DOCUMENT))
        assert (await client.get("/docs")).status_code == 200

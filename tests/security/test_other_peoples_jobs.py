"""Broken object level authorization, tried on every route that there is: with another's key, a
job's id is worth as much as one that was never given out."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from tests.security.two_keys import ENDLESS, LINE, Two, routes, two_keys

NEVER = "job_AAAAAAAAAAAAAAAAAAAAAA"
_PARAM = re.compile(r"\{(\w+)(?::\w+)?\}")
_OTHERS = {
    "view": "fit",
    "name": "fit",
    "kind": "fit",
    "form": "svg",
    "format": "svg",
    "extension": "svg",
}


def path_of(template: str, job_id: str) -> str:
    """The route's path with that job in it, and something for whatever else it wants."""
    return _PARAM.sub(lambda m: job_id if m[1] == "job_id" else _OTHERS.get(m[1], "x"), template)


def without_what_differs(answer: httpx.Response, job_id: str) -> tuple[int, str]:
    text = answer.text.replace(job_id, "JOB")
    return answer.status_code, re.sub(r'"request_id":\s*"\w+"', "", text)


async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    return await client.request(method, path, json=LINE if method == "POST" else None)


async def _finished(two: Two) -> str:
    return str((await two.alice.post("/fit", json=LINE)).json()["job_id"])


async def test_another_s_job_is_none_on_every_route_that_names_one() -> None:
    async with two_keys() as two:
        done = await _finished(two)
        running = (await two.alice.post("/fit", json=ENDLESS)).json()["job_id"]
        tried = [pair for pair in routes(two.app) if "{job_id}" in pair[1]]
        assert len(tried) >= 5
        for method, template in tried:
            never = await ask(two.mallory, method, path_of(template, NEVER))
            for job_id in (done, running):
                path = path_of(template, job_id)
                answer = await ask(two.mallory, method, path)
                assert answer.status_code == 404, (method, path)
                assert without_what_differs(answer, job_id) == without_what_differs(never, NEVER)
                assert (await ask(two.nobody, method, path)).status_code == 401
        assert (await two.alice.get(f"/jobs/{running}")).json()["status"] in {"queued", "running"}
        assert (await two.alice.get(f"/jobs/{done}")).json()["result"] is not None
        await two.alice.post(f"/jobs/{running}/cancel")


async def test_a_deleted_job_of_another_was_never_there() -> None:
    async with two_keys() as two:
        done = await _finished(two)
        assert (await two.alice.delete(f"/jobs/{done}")).status_code == 204
        theirs = await two.mallory.get(f"/jobs/{done}")
        never = await two.mallory.get(f"/jobs/{NEVER}")
        assert without_what_differs(theirs, done) == without_what_differs(never, NEVER)
        assert "deleted" in (await two.alice.get(f"/jobs/{done}")).json()["detail"]


async def test_a_job_in_a_body_or_a_query_is_as_closed() -> None:
    async with two_keys() as two:
        done = await _finished(two)
        data = {"x": [4.0]}
        own = await two.alice.post("/predict", json={"job_id": done, "data": data})
        assert own.status_code == 200
        for body in (done, NEVER):
            answer = await two.mallory.post("/predict", json={"job_id": body, "data": data})
            assert (answer.status_code, answer.json()["type"]) == (404, "unknown-job")
        assert (await two.mallory.get("/jobs", params={"after": done})).status_code == 404


async def test_every_post_route_with_a_job_id_in_its_body_is_closed() -> None:
    """Also routes that are yet to come: whichever schema has a `job_id` is tried with another's."""
    async with two_keys() as two:
        done = await _finished(two)
        document: dict[str, Any] = two.app.openapi()
        schemas = document["components"]["schemas"]
        tried = 0
        for path, operations in document["paths"].items():
            content = operations.get("post", {}).get("requestBody", {}).get("content", {})
            ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            if "job_id" in schemas.get(ref.rpartition("/")[2], {}).get("properties", {}):
                tried += 1
                answer = await two.mallory.post(path, json={"job_id": done, "data": {"x": [4.0]}})
                assert answer.status_code in {404, 422}, path
                assert "2.0" not in json.dumps(answer.json())
        assert tried >= 1


async def test_a_list_shows_ones_own_alone() -> None:
    async with two_keys() as two:
        mine = await _finished(two)
        theirs = (await two.mallory.post("/fit", json=LINE)).json()["job_id"]
        for client, only in ((two.alice, mine), (two.mallory, theirs)):
            assert [j["job_id"] for j in (await client.get("/jobs")).json()["jobs"]] == [only]


async def test_the_same_idempotency_key_of_two_callers_is_two_jobs() -> None:
    async with two_keys() as two:
        headers = {"Idempotency-Key": "calibration-17"}
        mine = await two.alice.post("/fit", json=LINE, headers=headers)
        theirs = await two.mallory.post("/fit", json=LINE, headers=headers)
        other = {"data": {"x": [1, 2], "y": [1, 2]}}
        assert (await two.mallory.post("/fit", json=other, headers=headers)).status_code == 422
        again = await two.alice.post("/fit", json=LINE, headers=headers)
    assert mine.status_code == theirs.status_code == again.status_code == 200
    assert mine.json()["job_id"] == again.json()["job_id"] != theirs.json()["job_id"]
    assert "idempotent-replayed" not in theirs.headers

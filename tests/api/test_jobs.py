from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.api.examples import T_C, T_U
from service.settings import Settings
from tests.api.fakes import BODY, FakeJobs, job
from tests.api.in_process import BACKENDS, fake, real

pytestmark = pytest.mark.asyncio(loop_scope="module")

THERMOMETER: dict[str, Any] = {
    "model": "t_c = w * t_u + b",
    "data": {"t_u": T_U, "t_c": T_C},
    "params": {"w": 0.1, "b": 0.0},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "scaling": {"t_u": {"scale": 0.1}},
    "epochs": 5000,
    "record_every": 500,
}
ENDLESS = {**THERMOMETER, "optimizer": "adam", "epochs": 10**8, "background": True}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    async with real(Settings(workers=1, max_wait_s=30), request.param) as client:
        yield client


async def test_a_background_fit_is_watched_to_its_end(client: httpx.AsyncClient) -> None:
    accepted = await client.post(
        "/fit", json={**THERMOMETER, "background": True, "tags": {"batch": "7"}}
    )
    assert accepted.status_code == 202
    at = accepted.headers["location"]
    done = (await client.get(at, params={"wait": 30})).json()
    assert done["status"] == "succeeded"
    assert done["tags"] == {"batch": "7"}
    assert done["progress"]["epoch"] == 5000
    assert done["progress"]["loss"] == done["result"]["loss"]  # after the last step, not before it
    # tutorial.json: w 5.3671, b −17.3012 after 5,000 epochs
    assert done["result"]["params"]["w"] == pytest.approx(5.3671, abs=1e-4)
    assert done["result"]["params"]["b"] == pytest.approx(-17.3012, abs=1e-4)
    assert (await client.post(f"{at}/cancel")).json()["status"] == "succeeded"


async def test_history_is_columns_and_pages(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json=THERMOMETER)).json()
    at = fit["urls"]["history"]
    history = (await client.get(at)).json()
    assert history["epoch"] == [1, *range(500, 5001, 500)]
    assert {len(column) for column in history["params"].values()} == {11}
    assert set(history["gradient"]) == {"w", "b"}
    assert history["total"] == 5000
    assert not history["thinned"]
    later = await client.get(at, params={"after_epoch": 1000, "limit": 2})
    assert later.json()["epoch"] == [1500, 2000]
    thin = (await client.get(at, params={"max_points": 4})).json()
    assert thin["thinned"]
    assert thin["epoch"][0] == 1
    assert thin["epoch"][-1] == 5000


async def test_the_progress_of_groups_counts_groups(client: httpx.AsyncClient) -> None:
    data = {"x": [1, 2, 3] * 2, "y": [2, 4, 7, 1, 2, 2], "g": [1, 1, 1, 2, 2, 2]}
    asked = {"model": "y = a*x + b", "data": data, "group_by": "g", "epochs": 10}
    slow = {"optimizer": "adam", "epochs": 10**8, "background": True}
    done = (await client.post("/fit", json=asked)).json()["urls"]["self"]
    going = (await client.post("/fit", json={**asked, **slow})).headers["location"]
    while (await client.get(going)).json()["status"] == "queued":
        await client.get(going, params={"wait": 0.05})
    ended = (await client.get(done)).json()["progress"]
    running = (await client.get(going)).json()["progress"]
    assert (ended["epoch"], ended["epochs"], ended["unit"]) == (2, 2, "group")
    assert (running["epoch"], running["epochs"], running["unit"]) == (0, 2, "group")
    assert ended["loss"] is running["loss"] is running["best_loss"] is None
    assert "Group 0 of 2" in (await client.get(going, params={"format": "text"})).text
    assert " group=0/2" in (await client.get(going, params={"format": "oneline"})).text
    await client.post(f"{going}/cancel")


async def test_a_running_fit_is_cancelled_with_its_best(client: httpx.AsyncClient) -> None:
    at = (await client.post("/fit", json=ENDLESS)).headers["location"]
    while (await client.get(at)).json()["progress"]["epoch"] == 0:
        await client.get(at, params={"wait": 0.05})
    assert (await client.delete(at)).status_code == 409
    predicted = await client.post("/predict", json={"job_id": at[6:], "data": {"t_u": [50.0]}})
    assert predicted.status_code == 409
    cancelled = (await client.post(f"{at}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["result"]["stop_reason"] == "cancelled"
    assert (await client.delete(at)).status_code == 204
    gone = await client.get(at)
    assert gone.status_code == 404
    assert "deleted" in gone.json()["detail"]


async def test_an_expired_wait_answers_with_the_job(client: httpx.AsyncClient) -> None:
    body = {**ENDLESS, "background": False}
    answer = await client.post("/fit", json=body, headers={"prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=1"
    assert (await client.get("/livez")).status_code == 200
    await client.post(f"{answer.headers['location']}/cancel")


async def test_the_same_key_is_the_same_job(client: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "test-same"}
    first = await client.post("/fit", json=THERMOMETER, headers=headers)
    again = await client.post("/fit", json=THERMOMETER, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    other = await client.post("/fit", json=BODY, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "idempotency-conflict"


async def test_jobs_are_listed_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    made = [(await client.post("/fit", json=BODY)).json()["job_id"] for _ in range(5)]
    first = (await client.get("/jobs", params={"limit": 3})).json()
    assert [job["job_id"] for job in first["jobs"]] == made[:1:-1]
    assert first["has_more"]
    rest = (await client.get("/jobs", params={"limit": 2, "after": first["next_after"]})).json()
    assert [job["job_id"] for job in rest["jobs"]] == made[1::-1]
    assert rest["jobs"][0]["status"] == "succeeded"
    assert rest["jobs"][0]["result"] is None


async def test_predict_takes_a_finished_job(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json=THERMOMETER)).json()
    from_job = await client.post(
        "/predict", json={"job_id": fit["job_id"], "data": {"t_u": [50.0]}}
    )
    ready = await client.post("/predict", json={**fit["predict"], "data": {"t_u": [50.0]}})
    assert from_job.json() == ready.json()
    assert from_job.json()["target"] == "t_c"


async def test_long_data_are_reckoned_in_a_thread(client: httpx.AsyncClient) -> None:
    data = {"x": [1.0] * 30_000, "y": [2.0] * 30_000}
    body = {"model": "w * x + b", "params": {"w": 1.0, "b": 0.0}, "data": data}
    assert (await client.post("/loss", json=body)).json()["loss"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/jobs?limit=0", "query parameter 'limit' must be from 1 to 1000; got '0'"),
        ("/jobs?limit=ten", "query parameter 'limit' must be a whole number; got 'ten'"),
        (
            "/jobs?status=runing",
            "query parameter 'status' must be 'queued', 'running', 'succeeded', 'failed' or "
            "'cancelled'; got 'runing'",
        ),
        ("/jobs?stauts=running", "unknown query parameter 'stauts'; did you mean 'status'?"),
        ("/jobs/job_1?wait=-1", "query parameter 'wait' must be from 0 to 86400; got '-1'"),
        ("/jobs/job_1?wait=inf", "query parameter 'wait' must be a finite number; got 'inf'"),
        ("/jobs/job_1/history?max_points=1", "query parameter 'max_points' must be from 2 to"),
        ("/jobs/job_1/history?after_epoch=x", "query parameter 'after_epoch' must be a whole"),
    ],
)
async def test_queries_are_read_as_strictly_as_bodies(path: str, detail: str) -> None:
    async with fake(FakeJobs(job())) as client:
        answer = await client.get(path)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == ""
    assert error["detail"].startswith(detail)


async def test_a_long_poll_waits_no_longer_than_the_server_allows() -> None:
    jobs = FakeJobs(job("running"))
    async with fake(jobs, Settings(max_wait_s=3)) as client:
        await client.get("/jobs/job_1?wait=1000")
        await client.get("/jobs/job_1?wait=0.5")
        await client.get("/jobs/job_1")
    assert jobs.waited == [3.0, 0.5]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/history"), ("POST", "/cancel"), ("DELETE", "")],
)
async def test_an_unknown_job_is_404(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, f"/jobs/job_nope{path}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "unknown-job"


async def test_a_queued_job_says_where_it_stands(client: httpx.AsyncClient) -> None:
    """The client has one worker."""
    running, *queued = [
        (await client.post("/fit", json=ENDLESS)).headers["location"] for _ in range(3)
    ]
    for position, at in enumerate(queued):
        shown = (await client.get(at)).json()
        assert (shown["status"], shown["queue_position"]) == ("queued", position)
        assert shown["starts_in_s"] > 0
    for at in (*queued, running):
        shown = (await client.post(f"{at}/cancel")).json()
        assert (shown["status"], shown["starts_in_s"]) == ("cancelled", None)


async def test_a_404_says_what_became_of_the_job() -> None:
    async with real(Settings(workers=1, max_jobs=2)) as client:
        made = [(await client.post("/fit", json=BODY)).json()["job_id"] for _ in range(3)]
        await client.delete(f"/jobs/{made[1]}")
        for job_id, why in (
            (made[0], "any more: it expired, to make room or because of its age"),
            (made[1], "any more: it was deleted"),
            ("job_never", "it is unknown, or "),
        ):
            for path in ("", "/history", "/events"):
                answer = await client.get(f"/jobs/{job_id}{path}")
                assert answer.status_code == 404
                assert why in answer.json()["detail"]


async def test_a_full_queue_is_429_with_the_seconds_to_wait() -> None:
    async with real(Settings(workers=1, max_queued_jobs=1, shutdown_grace_s=0.01)) as client:
        for status in (202, 202, 429):
            answer = await client.post("/fit", json=ENDLESS)
            assert answer.status_code == status
            first = (await client.get("/jobs")).json()["jobs"][-1]["urls"]["self"]
            while (await client.get(first)).json()["status"] == "queued":
                await asyncio.sleep(0)
        assert answer.json()["type"] == "queue-full"
        assert int(answer.headers["retry-after"]) >= 1

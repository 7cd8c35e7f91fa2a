from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from service.api.middleware.metrics import Metrics
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.api.in_process import real
from tests.jobs.conftest import SetClock, a_job
from tests.redis_server import RedisServer, needs

LINE = {"data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}
DECAY = {
    "model": "y = a * exp(-b * x)",
    "data": {"x": [0, 1, 2, 3], "y": [5.1, 3, 1.9, 1.1]},
    "optimizer": "adam",
    "epochs": 300,
}

OK = {"method": "GET", "status": "200"}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    families: Iterable[object] = text_string_to_metric_families(text)
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples  # type: ignore[attr-defined]
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


async def test_what_happened_is_counted() -> None:
    async with real(Settings(workers=1), "memory") as client:  # a node counts its jobs itself
        fit = (await client.post("/fit", json=LINE)).json()
        decay = (await client.post("/fit", json=DECAY)).json()
        await client.get(f"/jobs/{fit['job_id']}")
        await client.get("/jobs/job_none")
        await client.get("/nowhere")
        await client.request("BREW", "/fit")
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    count, route = "descent_http_requests_total", {"route": "/jobs/{job_id}"}
    assert value(found, count, method="POST", route="/fit", status="200") == 2
    assert value(found, count, method="GET", status="200", **route) == 1
    assert value(found, count, method="GET", status="404", **route) == 1
    assert value(found, count, method="GET", route="unmatched", status="404") == 1
    assert value(found, count, method="other", route="/fit", status="405") == 1
    assert value(found, "descent_refusals_total", type="unknown-job") == 1
    assert value(found, "descent_refusals_total", type="unknown-route") == 1
    assert value(found, "descent_jobs_ended_total", status="succeeded") == 2
    assert value(found, "descent_epochs_total") == fit["epochs"] + decay["epochs"]
    assert value(found, "descent_fit_seconds_count") == 2
    assert value(found, "descent_job_queue_seconds_count") == 2
    assert value(found, "descent_jobs", status="succeeded") == 2
    assert value(found, "descent_jobs", status="running") == 0
    assert value(found, "descent_workers") == value(found, "descent_workers_wanted") == 1
    assert value(found, "descent_queue_depth") == 0
    assert value(found, "descent_store_bytes") > 8192
    assert value(found, "descent_ready") == 1
    assert value(found, "process_resident_memory_bytes") > 2**20
    assert fit["job_id"] not in answer.text


async def test_pages_are_routes_too() -> None:
    paths = ("/", "/docs", "/openapi.json", "/assets/js/main.js", "/assets/none", "/problems/x")
    async with real(Settings(workers=1)) as client:
        for path in paths:
            await client.get(path)
        await client.head("/docs")
        found = samples((await client.get("/metrics")).text)
    count = "descent_http_requests_total"
    for route in ("/", "/docs", "/openapi.json", "/assets/{path}"):
        assert value(found, count, method="GET", route=route, status="200") == 1, route
    assert value(found, count, method="GET", route="/assets/{path}", status="404") == 1
    assert value(found, count, method="HEAD", route="/docs", status="200") == 1
    assert not [labels for name, labels in found if ("route", "unmatched") in labels]


async def test_pictures_are_counted_by_what_they_show_and_refusals_too() -> None:
    body = {"view": "losses", "columns": 60}
    async with real(Settings(workers=1, max_pictures=1)) as client:
        for form in ("txt", "txt", "svg"):
            answer = await client.post("/plot", json={**body, "format": form})
            assert answer.status_code == 200
        crowd = [client.post("/plot", json={**body, "format": "svg"}) for _ in range(4)]
        said = [one.status_code for one in await asyncio.gather(*crowd)]
        found = samples((await client.get("/metrics")).text)
    name = "descent_picture_seconds_count"
    assert value(found, name, view="losses", format="txt") == 2
    assert value(found, name, view="losses", format="svg") == 1 + said.count(200)
    assert value(found, "descent_refusals_total", type="too-many-pictures") == said.count(429) > 0


async def test_a_scrape_works_while_the_store_is_away() -> None:
    needs("redis-server")
    server = RedisServer()
    server.start()
    settings = Settings(redis_url=server.url, redis_timeout_s=0.5)
    async with real(settings, "memory") as client:  # without a node
        up = samples((await client.get("/metrics")).text)
        server.kill()
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        away = samples(answer.text)
        server.start()
        again = samples((await client.get("/metrics")).text)
    server.close()
    assert [value(one, "descent_store_up") for one in (up, away, again)] == [1, 0, 1]
    assert value(away, "process_resident_memory_bytes") > 2**20
    assert value(away, "descent_http_requests_total", route="/metrics", **OK) == 1
    lost = {name for name, _ in up} - {name for name, _ in away}
    assert lost == {
        *("descent_jobs", "descent_queue_depth", "descent_queue_oldest_seconds"),
        *("descent_store_bytes", "descent_workers", "descent_workers_wanted"),
    }


async def test_a_clock_on_the_wall_that_jumps_is_not_in_the_times() -> None:
    """The queue's wait and the fit's seconds are of the clock that does not jump."""
    clock, metrics = SetClock(), Metrics()
    store = MemoryStore(Settings(), clock, metrics)
    job = a_job(clock)
    await store.create(job)
    clock.advance(2)
    clock.at = clock.at.replace(year=2001)
    await store.start(job.id, clock.now())
    clock.advance(3)
    clock.at = clock.at.replace(year=2040)
    await store.finish(job.id, "succeeded", clock.now(), result=b"{}")
    queued = a_job(clock)
    await store.create(queued)
    await store.finish(queued.id, "cancelled", clock.now())
    found = samples((await metrics.text()).decode())
    assert value(found, "descent_job_queue_seconds_sum") == 2
    assert value(found, "descent_fit_seconds_sum") == 3
    assert value(found, "descent_job_queue_seconds_count") == 1  # the other one never started


async def test_labels_do_not_grow_with_what_callers_send() -> None:
    async with real(Settings(workers=1)) as client:
        await client.get("/metrics")
        before = len(samples((await client.get("/metrics")).text))
        for n in range(20):
            await client.get(f"/nowhere/{n}")
            await client.request(f"M{n}", "/fit")
            await client.get(f"/jobs/job_{n}")
        after = samples((await client.get("/metrics")).text)
    names = {labels for name, labels in after if name == "descent_http_requests_total"}
    assert len(names) == 4  # metrics, unmatched, other, jobs
    assert len(after) < before + 100


async def test_a_fit_says_where_the_time_went() -> None:
    async with real(Settings(workers=1)) as client:
        answer = await client.post("/fit", json=DECAY)
    found = re.fullmatch(r"queue;dur=([\d.]+), fit;dur=([\d.]+)", answer.headers["server-timing"])
    assert found
    timings = answer.json()["timings"]
    assert abs(float(found[1]) - 1000 * timings["queued_s"]) < 0.001
    assert abs(float(found[2]) - 1000 * timings["fit_s"]) < 0.001

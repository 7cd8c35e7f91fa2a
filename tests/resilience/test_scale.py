"""Many processes and one Redis: whatever is killed, stalled or full, every accepted job has one
end, with the bits of an undisturbed one, and no row of its history is lost or twice.

The tests share a Redis, a replica and a node for as long as these live. Some of the faults are
tested always, the others with the thorough tests."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import service
from tests.resilience.cells import LEASE_S, Cell, Process, cell, client, patiently
from tests.resilience.servers import until

X = [0.1 * i for i in range(1, 3000)]
LONG: dict[str, Any] = {
    "model": "y = a*exp(-k*x) + c*x",
    "data": {"x": X, "y": [3 * 2.7 ** (-x) + 0.1 * x for x in X]},
    "params": {"a": 1.0, "k": 0.5, "c": 0.0},
    "optimizer": {"name": "adam", "learning_rate": 1e-4},
    "epochs": 40_000,
    "record_every": 100,
    "background": True,
}
"""About two seconds of work."""
LINE: dict[str, Any] = {"data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}


@pytest.fixture(scope="module")
def small() -> Iterator[Cell]:
    with cell() as made:
        yield made


@pytest.fixture(scope="module")
def whole(small: Cell) -> str:
    """The essence of an undisturbed job."""
    small.only_node()
    with client(small.first_replica()) as http:
        return essence(http, submitted(http))


def submitted(http: httpx.Client, **changes: Any) -> str:
    answer = http.post("/fit", json={**LONG, **changes})
    assert answer.status_code == 202, answer.text
    at: str = answer.headers["location"]
    return at


def running(http: httpx.Client, at: str) -> None:
    """Returns once some epochs of it have been stored."""
    until(lambda: http.get(at).json()["progress"]["epoch"] > 2000)


def ended(http: httpx.Client, at: str) -> dict[str, Any]:
    job = until(
        lambda: j if (j := patiently(lambda: http.get(at)).json()).get("finished_at") else None
    )
    assert job["status"] == "succeeded", job
    return job  # type: ignore[no-any-return]


def essence(http: httpx.Client, at: str) -> str:
    """What is the same of two runs of one request: the answer's numbers, and the history."""
    job = ended(http, at)
    history = http.get(f"{at}/history").json()
    assert history["epoch"] == sorted(set(history["epoch"]))
    numbers = {name: job["result"][name] for name in ("params", "loss", "best", "epochs")}
    return json.dumps([numbers, history])


@pytest.mark.parametrize("how", ["kill -9", pytest.param("SIGSTOP", marks=pytest.mark.thorough)])
def test_a_lost_node_costs_its_job_nothing(small: Cell, whole: str, how: str) -> None:
    replica, first = small.first_replica(), small.only_node()
    with client(replica) as http:
        at = submitted(http)
        running(http, at)
        small.node()
        first.group(signal.SIGKILL if how == "kill -9" else signal.SIGSTOP)
        assert essence(http, at) == whole
        if how == "SIGSTOP":
            first.group(signal.SIGCONT)  # it is fenced: the end stays as it is
            assert essence(http, submitted(http)) == whole
            assert essence(http, at) == whole


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["kill -9", "SIGSTOP"])
def test_a_lost_replica_costs_nothing(small: Cell, whole: str, how: str) -> None:
    first, second = small.replica(), small.first_replica()
    small.only_node()
    with client(first) as http:
        at = submitted(http)
        running(http, at)
    first.group(signal.SIGKILL if how == "kill -9" else signal.SIGSTOP)
    with client(second) as http:
        assert essence(http, at) == whole
        assert essence(http, submitted(http)) == whole
    if how == "SIGSTOP":
        first.group(signal.SIGCONT)
        with client(first) as http:
            assert essence(http, at) == whole
            assert essence(http, submitted(http)) == whole


def test_redis_may_be_killed_and_started_again(small: Cell, whole: str) -> None:
    replica = small.first_replica()
    small.only_node()
    with client(replica) as http:
        others = [submitted(http, epochs=500 + i) for i in range(20)]
        at = submitted(http)
        running(http, at)
        until(small.redis.is_written)
        small.redis.kill()
        refused = http.post("/fit", json=LINE)
        assert (refused.status_code, refused.json()["type"]) == (503, "store-unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert http.get("/readyz").status_code == 503
        assert http.get("/livez").status_code == 200
        small.redis.start()
        assert essence(http, at) == whole
        for other in others:
            ended(http, other)
        assert http.get("/readyz").status_code == 200


@pytest.mark.thorough
def test_redis_may_stall_for_longer_than_a_lease(small: Cell, whole: str) -> None:
    replica = small.first_replica()
    small.only_node()
    with client(replica) as http:
        at = submitted(http)
        running(http, at)
        small.redis.signal(signal.SIGSTOP)
        assert http.get("/readyz").status_code == 503
        time.sleep(2 * LEASE_S)
        small.redis.signal(signal.SIGCONT)
        assert essence(http, at) == whole


@pytest.mark.thorough
def test_a_full_redis_is_a_503_and_recovers(small: Cell) -> None:
    import redis

    replica = small.first_replica()
    small.only_node()
    with client(replica) as http, redis.Redis.from_url(small.redis.url) as admin:
        done = http.post("/fit", json=LINE).json()["urls"]["self"]
        at = submitted(http)
        running(http, at)
        admin.config_set("maxmemory", "1mb")
        for body in (LINE, LONG):
            refused = http.post("/fit", json=body)
            assert (refused.status_code, refused.json()["type"]) == (503, "store-unavailable")
            assert "full" in refused.json()["detail"]
        assert http.get(done).status_code == 200
        admin.config_set("maxmemory", 0)
        ended(http, at)
        assert http.post("/fit", json=LINE).status_code == 200


@pytest.mark.thorough
def test_redis_is_away_at_the_start(small: Cell) -> None:
    small.end_nodes()
    small.redis.kill()
    replica, node = small.replica(), small.node()
    with client(replica) as http:
        assert http.get("/livez").status_code == 200
        assert http.get("/readyz").status_code == 503
        assert node.popen.poll() is None
        small.redis.start()
        ended(http, patiently(lambda: http.post("/fit", json=LONG)).headers["location"])


@pytest.mark.thorough
def test_tickets_that_are_lost_twice_or_late_do_no_harm(small: Cell) -> None:
    import redis

    from service.jobs.redis.tickets import Tickets, next_database
    from service.settings import Settings

    replica = small.first_replica()
    small.end_nodes()
    with client(replica) as http:
        ats = [submitted(http, epochs=500 + i) for i in range(5)]
        with redis.Redis.from_url(next_database(small.redis.url)) as broker:
            broker.flushdb()
        small.only_node()
        for at in ats:
            ended(http, at)
        tickets = Tickets(Settings(redis_url=small.redis.url))
        tickets.issue(*(3 * [at.removeprefix("/jobs/") for at in ats]))
        tickets.close()
        at = submitted(http, epochs=500)
        assert ended(http, at)["progress"]["epoch"] == 500
        jobs = http.get("/jobs", params={"limit": 6}).json()["jobs"]
        assert [job["status"] for job in jobs] == 6 * ["succeeded"]
        assert {job["job_id"] for job in jobs} == {one.removeprefix("/jobs/") for one in [*ats, at]}


def test_a_node_that_is_stopped_hands_back_its_job(small: Cell, whole: str) -> None:
    replica = small.first_replica()
    small.end_nodes()
    first = small.node(lease_s=600)
    with client(replica) as http:
        at = submitted(http)
        running(http, at)
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        assert http.get(at).json()["status"] in ("queued", "succeeded")
        small.node(lease_s=600)
        assert essence(http, at) == whole


@pytest.mark.thorough
def test_a_replica_that_is_stopped_leaves_jobs_alone(small: Cell) -> None:
    first, second = small.replica(), small.first_replica()
    small.only_node()
    with client(first) as http:
        at = submitted(http)
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    with client(second) as http:
        assert ended(http, at)["progress"]["epoch"] == LONG["epochs"]


@pytest.mark.thorough
def test_time_limits_count_what_was_spent_on_a_lost_node(small: Cell) -> None:
    import redis

    replica, first = small.first_replica(), small.only_node()
    with client(replica) as http, redis.Redis.from_url(small.redis.url) as admin:
        at = submitted(http, epochs=10**8, record_every=10**6)
        record = f"descent:{{0}}:job:{at.removeprefix('/jobs/')}"
        until(lambda: float(admin.hget(record, "spent") or 0) > 0)
        first.group(signal.SIGKILL)
        admin.hset(record, "spent", 4000.0)  # as if it had taken that long: the limit is 3600 s
        small.only_node()
        job = ended(http, at)
        assert job["result"]["stop_reason"] == "time_limit"
        assert job["result"]["timings"]["fit_s"] >= 4000


@pytest.mark.thorough
def test_two_versions_pass_jobs_to_each_other(small: Cell, whole: str, tmp_path: Path) -> None:
    """A real second version: its checkpoints are others, and it takes a field that ours does not
    know."""
    shutil.copytree(Path(service.__file__).parent, tmp_path / "service")
    about, asked = tmp_path / "service/__init__.py", tmp_path / "service/schemas/fit.py"
    about.write_text(about.read_text().replace(f'"{service.__version__}"', '"99.0.0"'))
    field = "    epochs: Annotated"
    later = '    later: str | None = None\n    """New."""\n' + field
    assert field in asked.read_text()
    asked.write_text(asked.read_text().replace(field, later, 1))
    replica, first = small.first_replica(), small.only_node()
    newer_replica = small.replica(cwd=tmp_path)
    with client(replica) as http, client(newer_replica) as newer:
        assert newer.get("/openapi.json").json()["info"]["version"] == "99.0.0"
        at = submitted(http)
        running(http, at)
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        small.node(cwd=tmp_path)
        assert essence(http, at) == whole
        assert essence(newer, submitted(http)) == whole
        small.only_node()  # the older one
        assert essence(http, submitted(newer)) == whole
        at = submitted(newer, later="x")
        failed = until(lambda: j if (j := http.get(at).json())["finished_at"] else None)
        assert (failed["status"], failed["error"]["type"]) == ("failed", "job-failed")
        assert "another version" in failed["error"]["detail"]
        assert essence(http, submitted(http)) == whole


@pytest.mark.thorough
def test_cancelling_reaches_a_node(small: Cell) -> None:
    replica: Process = small.first_replica()
    small.only_node()
    with client(replica) as http:
        at = submitted(http, epochs=10**8, record_every=10**6)
        running(http, at)
        job = http.post(f"{at}/cancel").json()
        assert (job["status"], job["result"]["stop_reason"]) == ("cancelled", "cancelled")


def test_a_cancel_may_arrive_at_any_moment(small: Cell) -> None:
    """Before the claim, between the claim and the node's knowledge of it, before the worker has the
    job, and while it runs."""
    import redis

    replica = small.first_replica()
    small.only_node()
    chance = random.Random(0)
    pauses = [chance.choice([0.0, 0.002, 0.02]) * chance.random() for _ in range(60)]
    with client(replica) as http, redis.Redis.from_url(small.redis.url) as admin:
        before = cancelled(admin)

        def one(pause: float) -> str:
            at = submitted(http, epochs=10**8, record_every=10**6)
            time.sleep(pause)
            job = http.post(f"{at}/cancel").json()
            assert job["status"] == "cancelled"
            return at

        with ThreadPoolExecutor(6) as pool:
            ats = list(pool.map(one, pauses))
        assert cancelled(admin) == before + len(ats)
        for at in ats:
            assert http.get(at).json()["status"] == "cancelled"
        for left in ("waiting", "leases", "unfinished"):
            assert not admin.exists(f"descent:{{0}}:{left}")


def cancelled(admin: Any) -> int:
    """How many jobs have ended so."""
    return int(admin.hget("descent:{0}:count", "cancelled") or 0)

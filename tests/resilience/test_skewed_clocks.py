"""A replica and a node whose clocks are a minute wrong, beside others: leases, expiry and ages are
by the clock of Redis."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.settings import Settings
from tests.resilience.cells import Cell, Process, cell, client
from tests.resilience.servers import until
from tests.resilience.test_scale import essence, running, submitted

pytestmark = pytest.mark.thorough

SKEW_S = 60.0
AGE_S = Settings().max_job_age_s
ENDLESS = {"epochs": 10**8, "record_every": 10**6}
STEPS = ("created", "started", "finished")


@pytest.fixture(scope="module", params=[SKEW_S, -SKEW_S])
def skewed(request: pytest.FixtureRequest) -> Iterator[tuple[Cell, Process, Process]]:
    """A cell, its replica with a right clock and the one with a wrong clock."""
    with cell() as made:
        yield made, made.replica(), made.replica(skew_s=request.param)


def test_leases_and_dates_hold(skewed: tuple[Cell, Process, Process], request: Any) -> None:
    small, right, wrong = skewed
    skew_s: float = request.node.callspec.params["skewed"]
    with client(right) as http, client(wrong) as other:
        for seconds in (0.0, skew_s):
            small.node(workers=2, lease_s=SKEW_S / 3, skew_s=seconds)
        ats = [submitted(each, epochs=10_000) for each in (http, other)]
        for at in ats:
            running(http, at)
        shorter = [submitted(each, epochs=500) for each in (http, other, http, other)]
        wholes = {essence(http, at) for at in ats}
        assert len(wholes) == 1
        assert len({essence(http, at) for at in shorter}) == 1
        assert {attempts(small, at) for at in (*ats, *shorter)} == {1}, "each kept its lease"
        small.end_nodes()
        first = small.node()
        at = submitted(other, **ENDLESS)
        running(http, at)
        first.group(signal.SIGKILL)
        small.node(skew_s=skew_s)
        until(lambda: attempts(small, at) == 2)
        assert other.post(f"{at}/cancel").json()["status"] == "cancelled"
        for job in other.get("/jobs").json()["jobs"]:
            dates = [datetime.fromisoformat(job[f"{what}_at"]) for what in STEPS]
            assert dates == sorted(dates)


def test_ages_and_expiry_hold(skewed: tuple[Cell, Process, Process], request: Any) -> None:
    import redis

    small, right, wrong = skewed
    small.end_nodes()
    began = time.monotonic()
    with client(right) as http, client(wrong) as other:
        ats = [submitted(http, epochs=500), submitted(other, epochs=500)]
        for _ in range(2):
            for each in (http, other):
                assert 0 <= oldest(each) <= time.monotonic() - began
        small.node(skew_s=request.node.callspec.params["skewed"])
        with redis.Redis.from_url(small.redis.url) as admin:
            for at, each in itertools.product(ats, (http, other)):
                job = until(lambda: j if (j := each.get(at).json())["finished_at"] else None)  # noqa: B023
                timings = job["result"]["timings"]
                lasted = time.monotonic() - began
                assert 0 <= timings["queued_s"] + timings["fit_s"] <= lasted
                left_s = admin.pttl(record(at)) / 1000
                assert AGE_S - lasted <= left_s <= AGE_S


def record(at: str) -> str:
    """The key of its record."""
    return f"descent:{{0}}:job:{at.removeprefix('/jobs/')}"


def attempts(small: Cell, at: str) -> int:
    import redis

    with redis.Redis.from_url(small.redis.url) as admin:
        found: Any = admin.hget(record(at), "attempts")
    return int(found)


def oldest(http: httpx.Client) -> float:
    """The age that nodes are scaled by."""
    for family in text_string_to_metric_families(http.get("/metrics").text):
        if family.name == "descent_queue_oldest_seconds":
            return float(family.samples[0].value)
    raise AssertionError("it is not told")

"""Workers killed from outside, at any moment, while a real fit runs in them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.resilience.servers import (
    DECAY,
    ENDLESS,
    LINE,
    Server,
    announced,
    at_epoch,
    end,
    kill,
    look,
    starting,
    submit,
    until,
)

SEEDS = range(20)
KINDS: tuple[dict[str, Any], ...] = (
    {
        **DECAY,
        "optimizer": {"name": "adam", "learning_rate": 1e-5},
        "epochs": 1_000_000,
        "record_every": 9_000,
    },
    {
        **DECAY,
        "optimizer": {"name": "sgd", "learning_rate": 1e-6, "momentum": 0.9},
        "epochs": 1_000_000,
        "record_every": 10_000,
    },
    {
        **DECAY,
        "optimizer": {"name": "sgd", "learning_rate": 1e-5, "batch_size": 3},
        "seed": 7,
        "epochs": 50_000,
        "record_every": 700,
    },
)
"""Each has another state to lose: moments, velocities, and the order of the batches."""


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """Two servers with one worker each, so that it is known whom a kill hits."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        both = [stack.enter_context(starting(workers=1)) for _ in range(2)]
        yield list(pool.map(announced, both))


Struck = tuple[str, int]
"""Where the job is, and the worker that it lost."""


def kept(*, epochs: int, record_every: int, **_: Any) -> list[int]:
    """The epochs that a history has."""
    return sorted({1, *range(record_every, epochs + 1, record_every), epochs})


def without_names(fit: dict[str, Any]) -> dict[str, Any]:
    """An answer, less what no two runs have in common."""
    return {key: fit[key] for key in fit if key not in ("job_id", "urls", "timings")}


def whole_fit(client: httpx.Client, kind: int) -> tuple[Any, Any]:
    return answer_of(client, submit(client, KINDS[kind]))


def answer_of(client: httpx.Client, at: str) -> tuple[Any, Any]:
    """The fit and all of its history."""
    job = end(client, at)
    assert job["status"] == "succeeded", job["error"]
    return without_names(job["result"]), client.get(f"{at}/history").json()


def the_worker(server: Server) -> int:
    """The one worker; where the last has just died, the next when it is there."""
    until(lambda: len(server.workers()) == 1)
    (worker,) = server.workers()
    return worker


def struck(server: Server, client: httpx.Client, kind: int, chance: random.Random) -> Struck:
    """A job whose worker was killed at some epoch; another one, where it was done before that."""
    while True:
        at = submit(client, KINDS[kind])
        victim = the_worker(server)
        if at_epoch(client, at, chance.randrange(1, KINDS[kind]["epochs"] // 2)):
            kill(victim)
            return at, victim


def test_kill_9_at_random_epochs_changes_no_bit(servers: list[Server]) -> None:
    def run(server: Server, seeds: range) -> None:
        with server.client() as client:
            whole = [whole_fit(client, kind) for kind in range(len(KINDS))]
            for seed in seeds:
                kind = seed % len(KINDS)
                at, victim = struck(server, client, kind, random.Random(seed))
                found = answer_of(client, at)
                assert found == whole[kind], seed
                assert found[1]["epoch"] == kept(**KINDS[kind]), seed
                until(lambda: victim not in server.workers())  # noqa: B023

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, servers, (SEEDS[::2], SEEDS[1::2])))


def test_a_job_that_loses_every_worker_fails_alone(servers: list[Server]) -> None:
    server = servers[0]
    with server.client() as client:
        poisoned = submit(client, ENDLESS)
        others = [submit(client, LINE) for _ in range(3)]
        deaths = 0
        while not look(client, poisoned)["finished_at"]:
            victim = the_worker(server)
            kill(victim)
            deaths += 1
            until(lambda: victim not in server.workers())  # noqa: B023
            before = look(client, poisoned)["progress"]
            until(lambda: _goes_on(client, poisoned, before))  # noqa: B023
        job = look(client, poisoned)
        assert (job["status"], job["error"]["type"]) == ("failed", "worker-lost")
        assert deaths == 2
        assert [end(client, at)["status"] for at in others] == ["succeeded"] * 3


def _goes_on(client: httpx.Client, at: str, before: dict[str, Any]) -> bool:
    job = look(client, at)
    return bool(job["finished_at"]) or job["progress"] != before


def test_an_idle_worker_that_dies_is_missed_by_nobody(servers: list[Server]) -> None:
    with servers[1].client() as client:
        victim = the_worker(servers[1])
        kill(victim)
        assert client.post("/fit", json=LINE).status_code == 200

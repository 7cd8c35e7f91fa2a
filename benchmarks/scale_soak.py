"""`python -m benchmarks.scale_soak [--minutes 10] [--seed 0]`: replicas, nodes and Redis are killed
at random, while jobs are submitted. In the end each accepted job must have one end, with the params
of an undisturbed fit."""

from __future__ import annotations

import argparse
import random
import signal
import time
from collections import Counter
from typing import Any

import httpx

from tests.resilience.cells import Cell, Process, cell
from tests.resilience.servers import until

FIT: dict[str, Any] = {
    "model": "y = a*exp(-k*x) + c*x",
    "data": {"x": [0.1 * i for i in range(1, 300)], "y": [3 * 0.9**i for i in range(1, 300)]},
    "params": {"a": 1.0, "k": 0.5, "c": 0.0},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "epochs": 20_000,
    "record_every": 1000,
    "background": True,
}
PAUSE_S = 0.2
KILLS_S = (4.0, 10.0)
"""Seconds from one kill to the next."""
LIMITS = {"max_queued_jobs": 5000, "max_jobs": 100_000, "max_store_bytes": 2**32}


def main() -> None:
    """Prints what happened, and exits with 1 where a job was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with cell() as made:
        found = soak(made, 60 * asked.minutes, random.Random(asked.seed))
    print(dict(found))
    if found["lost"] or found["other params"] or not found["succeeded"]:
        raise SystemExit(1)


def soak(made: Cell, seconds: float, chance: random.Random) -> Counter[str]:
    """Counts of jobs by their end, and of kills."""
    replicas = [made.replica(**LIMITS) for _ in range(2)]
    nodes = [made.node(**LIMITS) for _ in range(2)]
    found: Counter[str] = Counter()
    accepted: list[str] = []
    end = time.monotonic() + seconds
    next_kill = time.monotonic() + KILLS_S[0]
    while time.monotonic() < end:
        if (at := _submit(chance.choice(replicas))) is None:
            found["refused"] += 1
        else:
            accepted.append(at)
        if time.monotonic() > next_kill:
            found[f"{_kill(made, replicas, nodes, chance)} killed"] += 1
            next_kill = time.monotonic() + chance.uniform(*KILLS_S)
        time.sleep(PAUSE_S)
    with httpx.Client(base_url=replicas[0].url, timeout=60) as client:
        params = None
        for at in accepted:
            job = until(lambda at=at: _ended(client, at))  # type: ignore[misc]
            found[job["status"]] += 1
            if job["status"] == "succeeded":
                params = params or job["result"]["params"]
                found["other params"] += job["result"]["params"] != params
            elif job["status"] == "lost":
                print(f"{at} is lost")
            else:
                found[job["error"]["type"]] += 1
    found["accepted"] = len(accepted)
    return found


def _submit(replica: Process) -> str | None:
    try:
        answer = httpx.post(f"{replica.url}/fit", json=FIT, timeout=5)
    except httpx.TransportError:
        return None
    return answer.headers["location"] if answer.status_code == 202 else None


def _ended(client: httpx.Client, at: str) -> dict[str, Any] | None:
    answer = client.get(at)
    if answer.status_code == 404:
        return {"status": "lost"}
    job: dict[str, Any] = answer.json()
    return job if job.get("finished_at") else None


def _kill(made: Cell, replicas: list[Process], nodes: list[Process], chance: random.Random) -> str:
    kind = chance.choice(("replica", "node", "node", "redis"))
    if kind == "redis":
        made.redis.kill()
        time.sleep(chance.uniform(0.1, 2.0))
        made.redis.start()
        return kind
    processes = replicas if kind == "replica" else nodes
    place = chance.randrange(len(processes))
    processes[place].group(signal.SIGKILL)
    processes[place].wait()
    processes[place] = made.replica(**LIMITS) if kind == "replica" else made.node(**LIMITS)
    return kind


if __name__ == "__main__":
    main()

"""`python -m benchmarks.cells`: how busy one Redis is with so many workers, simulated.

The costs are those of docs/operations/scaling-out.md. Redis runs one command after another, so
it is one server with a queue; appends of running fits, and the scripts of a job's life, arrive at
random."""

from __future__ import annotations

import random
from dataclasses import dataclass
from heapq import heappop, heappush

APPEND_S = 1.7e-4
"""Redis's seconds for an append of a slice,"""
SCRIPT_S = 2.0e-4
"""and for each script of a job's life: create, claim, finish and their like."""
SCRIPTS = 6
"""Of these a job needs."""
UNHEARD, HEARD = 2.0, 10.0
"""Appends a second of a fit that nobody watches, and of one that somebody does."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a simulation finds."""

    busy: float
    """Part of the time that Redis works."""
    wait_s: float
    """The 99th percentile of the seconds that a command waits."""


def simulate(workers: int, fit_s: float, watched: float, seconds: float, seed: int = 0) -> Found:
    """One Redis with `workers` that are always busy with fits of `fit_s`, of which a part is
    `watched`."""
    chance = random.Random(seed)
    rates = {
        APPEND_S: workers * (watched * HEARD + (1 - watched) * UNHEARD),
        SCRIPT_S: workers * SCRIPTS / fit_s,
    }
    arrivals: list[tuple[float, float]] = []
    for cost, rate in rates.items():
        heappush(arrivals, (chance.expovariate(rate), cost))
    free_at, worked, waits = 0.0, 0.0, []
    while arrivals[0][0] < seconds:
        at, cost = heappop(arrivals)
        heappush(arrivals, (at + chance.expovariate(rates[cost]), cost))
        waits.append(max(0.0, free_at - at))
        free_at = max(free_at, at) + cost
        worked += cost
    waits.sort()
    return Found(worked / seconds, waits[int(0.99 * len(waits))])


def main() -> None:
    """Prints a table."""
    print("| workers | seconds a fit | watched | Redis busy | a command waits (99 %) |")
    print("|---|---|---|---|---|")
    for workers in (10, 50, 200, 500, 1000, 2000):
        for fit_s, watched in ((1.0, 0.0), (10.0, 0.0), (10.0, 0.2)):
            found = simulate(workers, fit_s, watched, 20.0)
            busy, wait = f"{found.busy:.0%}", f"{1000 * found.wait_s:.3g} ms"
            print(f"| {workers} | {fit_s:g} | {watched:.0%} | {busy} | {wait} |")


if __name__ == "__main__":
    main()

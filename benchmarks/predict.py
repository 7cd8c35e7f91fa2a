"""Small predictions by many callers, beside a FastAPI endpoint that does nothing."""

from __future__ import annotations

import time

from benchmarks.client import rate
from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.thermometer import PREDICT, both_servers

CALLERS = 16
SECONDS = 1.0
ROUNDS = 7

ABOUT = f"""
`POST /predict` on 11 points, {CALLERS} callers at once, each on a connection that stays open. The
empty endpoint is a FastAPI route with the same body and answer models that answers the same each
time, under the same uvicorn settings (`benchmarks/empty_app.py`). The callers share one process; if
that were busy for more than half of the time, the benchmark would fail.
"""


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    async with both_servers() as (descent, empty):
        ours, theirs = await in_turns(ROUNDS, lambda: _rate(descent), lambda: _rate(empty))
    return [Comparison("predict 11 points", "empty endpoint", "requests/s", ours, theirs)]


async def _rate(port: int) -> float:
    began, worked = time.perf_counter(), time.process_time()
    found = await rate(port, PREDICT, callers=CALLERS, seconds=SECONDS)
    busy = (time.process_time() - worked) / (time.perf_counter() - began)
    if busy > 0.5:
        raise RuntimeError(f"the client was busy for {busy:.0%} of the time: it is the bottleneck")
    return found


BENCHMARK = Benchmark(ABOUT, run)

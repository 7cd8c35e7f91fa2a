"""Small predictions by many callers, beside a FastAPI endpoint that does nothing."""

from __future__ import annotations

from benchmarks.client import rate
from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.thermometer import PREDICT, both_servers

CALLERS = 16
SECONDS = 1.0
ROUNDS = 7

ABOUT = f"""
`POST /predict` on 11 points, {CALLERS} callers at once, each on a connection that stays open. The
empty endpoint is a FastAPI route with the same body and answer models that answers the same each
time, under the same uvicorn settings (`benchmarks/empty_app.py`).
"""


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    async with both_servers() as (descent, empty):
        ours, theirs = await in_turns(
            ROUNDS,
            lambda: rate(descent, PREDICT, callers=CALLERS, seconds=SECONDS),
            lambda: rate(empty, PREDICT, callers=CALLERS, seconds=SECONDS),
        )
    return [Comparison("predict 11 points", "empty endpoint", "requests/s", ours, theirs)]


BENCHMARK = Benchmark(ABOUT, run)

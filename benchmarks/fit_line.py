"""The smallest fit, as one caller feels it, beside a FastAPI endpoint that does nothing."""

from __future__ import annotations

from benchmarks.client import latency
from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.thermometer import FIT, both_servers

TIMES = 100
ROUNDS = 7

ABOUT = f"""
`POST /fit` of a line on 11 points, waited for by one caller: the median of {TIMES} requests, sent
one after the other. The empty endpoint is that of `predict`, with the body and answer models of
`/fit`.
"""


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    async with both_servers() as (descent, empty):
        ours, theirs = await in_turns(
            ROUNDS, lambda: _milliseconds(descent), lambda: _milliseconds(empty)
        )
    return [Comparison("fit a line, 11 points", "empty endpoint", "ms", ours, theirs)]


async def _milliseconds(port: int) -> float:
    seconds, _ = await latency(port, FIT, TIMES)
    return 1e3 * seconds


BENCHMARK = Benchmark(ABOUT, run)

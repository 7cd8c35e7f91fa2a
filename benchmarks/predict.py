"""Small predictions by many callers, beside a FastAPI endpoint that does nothing and LitServe."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.client import rate
from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.servers import running
from benchmarks.thermometer import BARE, PREDICT, both_servers

CALLERS = 16
SECONDS = 1.0
ROUNDS = 7

ABOUT = f"""
`POST /predict` on 11 points, {CALLERS} callers at once, each on a connection that stays open. The
empty endpoint is a FastAPI route with the same body and answer models that answers the same each
time, under the same uvicorn settings (`benchmarks/empty_app.py`). LitServe has its defaults on a
CPU and the same arithmetic (`benchmarks/litserve_app.py`). "No framework" is an application of
uvicorn's own interface that reads the body and answers the same bytes each time: the most that
there is to reach, and more than is seen here, since for it the callers are too slow. They share
one process; if that were busy for more than half of the time, the benchmark would fail.
"""


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    async with both_servers() as (descent, empty):
        with running("-m", "benchmarks.litserve_app") as peer:
            asked = ((descent, PREDICT), (empty, PREDICT), (empty, BARE), (peer, PREDICT))
            ours, *others = await in_turns(ROUNDS, *(partial(_rate, *each) for each in asked))
    named = dict(zip(("empty endpoint", "no framework", "LitServe"), others, strict=True))
    what, unit = "predict 11 points", "requests/s"
    return [
        *(Comparison(what, name, unit, ours, theirs) for name, theirs in named.items()),
        Comparison("no framework", "LitServe", unit, named["no framework"], named["LitServe"]),
    ]


async def _rate(port: int, asked: bytes) -> float:
    began, worked = time.perf_counter(), time.process_time()
    found = await rate(port, asked, callers=CALLERS, seconds=SECONDS)
    busy = (time.process_time() - worked) / (time.perf_counter() - began)
    if busy > 0.5 and asked is not BARE:
        raise RuntimeError(f"the client was busy for {busy:.0%} of the time: it is the bottleneck")
    return found


BENCHMARK = Benchmark(ABOUT, run)

"""From nothing to ready, and from SIGTERM to nothing, beside torch's import alone."""

from __future__ import annotations

import time

from benchmarks.client import latency
from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.servers import DESCENT, started

ROUNDS = 7
TORCH = ("-c", "import torch; print('torch', flush=True)")

ABOUT = """
From the start of `descent serve` until it has said its address and `/readyz` has answered 200, with
a worker on each core waiting for work; beside a Python that imports torch and nothing else, until
that is done. Both read their files from the page cache. Then from SIGTERM until all is gone, with
nothing running.
"""


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    ends: tuple[list[float], list[float]] = [], []

    async def descent() -> float:
        began = time.perf_counter()
        with started(*DESCENT) as server:
            await latency(server.port, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            ready = time.perf_counter()
        ends[0].append(time.perf_counter() - ready)
        return ready - began

    async def torch() -> float:
        began = time.perf_counter()
        with started(*TORCH):
            ready = time.perf_counter()
        ends[1].append(time.perf_counter() - began)
        return ready - began

    ours, theirs = await in_turns(ROUNDS, descent, torch)
    stops, lives = (taken[1:] for taken in ends)
    return [
        Comparison("start to ready", "import torch, until it is done", "s", ours, theirs),
        Comparison("start to ready", "import torch, and the end", "s", ours, lives),
        Comparison("SIGTERM to the end", "import torch, until it is done", "s", stops, theirs),
    ]


BENCHMARK = Benchmark(ABOUT, run)

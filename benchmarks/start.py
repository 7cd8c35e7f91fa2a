"""From nothing to ready, and from SIGTERM to nothing, beside a Python that imports torch alone."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.client import latency
from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.servers import DESCENT, started

ROUNDS = 9
READYZ = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
TORCH = ("-c", "import torch; print('imported', flush=True)")

ABOUT = """
From the start of `descent serve` until it has said its address and `/readyz` has answered 200, with
a worker on each core waiting for work; then from SIGTERM until it has ended, with nothing running.
Beside it `python -c "import torch"`: until the import is done, its end after that, and both
together. All read their files from the page cache.
"""


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    ends, torch_ends = [], []

    async def descent() -> float:
        began = time.perf_counter()
        with started(*DESCENT) as server:
            await latency(server.port, READYZ)
            ready = time.perf_counter()
        ends.append(time.perf_counter() - ready)
        return ready - began

    async def torch() -> float:
        began = time.perf_counter()
        with subprocess.Popen([sys.executable, *TORCH], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            imported = time.perf_counter()
        torch_ends.append(time.perf_counter() - imported)
        return imported - began

    starts, imports = await in_turns(ROUNDS, descent, torch)
    del ends[0], torch_ends[0]  # of the round that does not count
    wholes = [done + end for done, end in zip(imports, torch_ends, strict=True)]
    return [
        Comparison("start to ready", "import torch, until it is done", "s", starts, imports),
        Comparison("start to ready", "import torch, the whole command", "s", starts, wholes),
        Comparison("SIGTERM to the end", "import torch, the end of it", "s", ends, torch_ends),
    ]


BENCHMARK = Benchmark(ABOUT, run)

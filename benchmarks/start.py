"""From nothing to ready, and from SIGTERM to nothing, beside a Python that imports torch alone."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.client import READYZ, calling
from benchmarks.harness import Benchmark, Comparison, Results, Rounds, in_turns
from benchmarks.servers import DESCENT, started

TORCH = ("-c", "import torch; print('imported', flush=True)")

ABOUT = """
From the start of `descent serve` until it has said its address and `/readyz` has answered 200, with
a worker on each core waiting for work; then from SIGTERM until it has ended, with nothing running.
Beside it `python -c "import torch"`: until the import is done, its end after that, and both
together. All read their files from the page cache.
"""


def run(sizes: Rounds) -> Results:
    ends: list[float] = []
    torch_ends: list[float] = []

    def descent() -> float:
        began = time.perf_counter()
        with started(*DESCENT) as server:
            callers.ask(server.port, READYZ)
            ready = time.perf_counter()
        ends.append(time.perf_counter() - ready)
        return ready - began

    def torch() -> float:
        began = time.perf_counter()
        with subprocess.Popen([sys.executable, *TORCH], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            imported = time.perf_counter()
        torch_ends.append(time.perf_counter() - imported)
        return imported - began

    with calling() as callers:
        starts, imports = in_turns(sizes.rounds, descent, torch)
    ends, torch_ends = ends[-sizes.rounds :], torch_ends[-sizes.rounds :]
    wholes = [done + end for done, end in zip(imports, torch_ends, strict=True)]
    return Results(
        [
            Comparison("start to ready", "import torch, until it is done", "s", starts, imports),
            Comparison("start to ready", "import torch, the whole command", "s", starts, wholes),
            Comparison("SIGTERM to the end", "import torch, the end of it", "s", ends, torch_ends),
        ]
    )


BENCHMARK = Benchmark(ABOUT, run, Rounds(9), Rounds(1))

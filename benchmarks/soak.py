"""Memory over 100,000 small jobs: `python -m benchmarks.soak [jobs]` prints it as a table.

The service is a real one; its resident memory, and that of its workers, is read from the kernel
after every hundredth part. A store of 1,000 jobs fills in the first part of the run; after that
what comes in goes out, and the memory should stand still.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from benchmarks import faults
from benchmarks.client import calling, post
from benchmarks.harness import machine
from benchmarks.servers import DESCENT, children, started

JOBS, CALLERS, SAMPLES = 100_000, 8, 100
MINUTES = 10.0
KEPT = 1_000
"""Jobs that the store keeps, so that it is full for nearly all of the run."""
SHAPES = 16
"""Fits of as many sizes, so that no allocator has it too easy."""
_BAR = 50


class Sample(NamedTuple):
    """Resident memory in MiB, after so many jobs."""

    jobs: int
    service: float
    workers: float


def main() -> None:
    """Runs the soak that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("jobs", nargs="?", type=int, default=JOBS)
    parser.add_argument("--faults", action="store_true", help="at saturation, with faults")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="with --faults, for so long")
    asked = parser.parse_args()
    if asked.faults:
        with_faults(asked.minutes)
        return
    jobs = asked.jobs
    began = time.perf_counter()
    with started(*DESCENT, DESCENT_MAX_JOBS=KEPT) as server:
        samples = _soak(server.pid, server.port, jobs)
    took = time.perf_counter() - began
    print(f"{table(samples)}\n\n{verdict(samples)}\n")
    print(f"{jobs:,} jobs in {took:,.0f} s, {CALLERS} callers, {KEPT:,} jobs kept. {machine()}.")


def with_faults(minutes: float) -> None:
    """Prints what became of a service at saturation while workers are killed and callers leave."""
    with started(*DESCENT, **faults.STORE) as server:
        tally = asyncio.run(faults.run(server, minutes))
    print(f"{faults.table(tally)}\n\n{minutes:g} minutes, {faults.CALLERS} callers. {machine()}.")
    raise SystemExit(not faults.is_well(tally, minutes))


def table(samples: Sequence[Sample], rows: int = 20) -> str:
    """Some of the samples, with a bar each, as Markdown's preformatted text."""
    shown = samples[:: max(1, len(samples) // rows)]
    most = max(sample.service for sample in samples)
    lines = [
        f"{one.jobs:>9,}  {one.service:>9.1f}  {one.workers:>9.1f}  "
        f"{'█' * round(_BAR * one.service / most)}"
        for one in shown
    ]
    return "\n".join([f"{'jobs':>9}  {'service':>9}  {'workers':>9}  MiB resident", *lines])


def verdict(samples: Sequence[Sample]) -> str:
    """The slope over the last three quarters, by least squares."""
    late = samples[len(samples) // 4 :]
    jobs = [sample.jobs for sample in late]
    memory = [sample.service for sample in late]
    at, mean = sum(jobs) / len(jobs), sum(memory) / len(memory)
    slope = sum((x - at) * (y - mean) for x, y in zip(jobs, memory, strict=True)) / max(
        sum((x - at) ** 2 for x in jobs), 1
    )
    return (
        f"Over the last three quarters the service holds {min(memory):.1f} to {max(memory):.1f} "
        f"MiB, and grows by {1e5 * slope:+.2f} MiB in 100,000 jobs."
    )


def _soak(pid: int, port: int, jobs: int) -> list[Sample]:
    requests = [_request(number) for number in range(SHAPES)]
    samples: list[Sample] = []
    part = max(CALLERS, jobs // SAMPLES)
    with calling() as callers:
        for done in range(part, jobs + part, part):
            callers.load(port, requests, CALLERS, most=part)
            samples.append(_sample(pid, done))
            print(f"{samples[-1].jobs:,} {samples[-1].service:.1f}", file=sys.stderr, flush=True)
    return samples


def _request(number: int) -> bytes:
    """A line through a few points, or a decay fitted by Levenberg–Marquardt."""
    rows = range(3 + 4 * number)
    data = {"x": [*rows], "y": [2.0 * row + (row % 3) for row in rows]}
    if number % 4:
        return post("/fit", json.dumps({"data": data}).encode())
    data = {"x": [*range(12)], "y": [5 * 0.7**row + 0.1 * (row % 2) for row in range(12)]}
    params = {"a": 3.0, "b": 0.1 + 0.01 * number}
    return post(
        "/fit",
        json.dumps({"model": "y = a * exp(-b * x)", "data": data, "params": params}).encode(),
    )


def _sample(pid: int, jobs: int) -> Sample:
    return Sample(jobs, _resident(pid), sum(map(_resident, _workers(pid))))


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _workers(pid: int) -> Iterator[int]:
    """The children of the fork server, which is a child of the service."""
    return chain.from_iterable(map(children, children(pid)))


if __name__ == "__main__":
    main()

"""Small fits by 1, 16 and 128 callers: how many, how long each waits, and whether /livez does."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.client import Connection, connections
from benchmarks.harness import Benchmark, Comparison, run_async
from benchmarks.thermometer import FIT, both_servers

CALLERS = (1, 16, 128)
SECONDS = 2.0
MOST = 20_000
"""Requests of one caller in one round, however fast they are."""
PROBE_S = 0.01
ROUNDS = 5

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

ABOUT = f"""
`POST /fit` of a line on 11 points, by 1, 16 and 128 callers at once, each sending the next request
when it has its answer, for {SECONDS:g} s a round. The empty endpoint is that of `predict`. The
worker processes, the service and the callers share the cores. /livez is asked every
{1e3 * PROBE_S:g} ms meanwhile, beside what it takes when nobody else asks for anything.
"""


class Load(NamedTuple):
    """What one measurement found; times in milliseconds."""

    rate: float
    p50: float
    p99: float
    livez_p99: float


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    found: dict[tuple[str, int], list[Load]] = defaultdict(list)
    async with both_servers() as (descent, empty):
        for number in range(ROUNDS + 1):
            for callers in CALLERS:
                found["ours", callers].append(await measure(descent, callers, probe=LIVEZ))
                found["theirs", callers].append(await measure(empty, callers))
            found["idle", 0].append(await measure(descent, 0, probe=LIVEZ))
            if not number:
                found.clear()  # the first round warms up
    rows = (_rows(n, found["ours", n], found["theirs", n], found["idle", 0]) for n in CALLERS)
    return [row for group in rows for row in group]


def _rows(
    callers: int, ours: Sequence[Load], theirs: Sequence[Load], idle: Sequence[Load]
) -> list[Comparison]:
    who = "1 caller" if callers == 1 else f"{callers} callers"
    empty = "empty endpoint"
    return [
        Comparison(
            f"fits, {who}", empty, "requests/s", [x.rate for x in ours], [x.rate for x in theirs]
        ),
        Comparison(
            f"a fit, {who}, p50", empty, "ms", [x.p50 for x in ours], [x.p50 for x in theirs]
        ),
        Comparison(
            f"a fit, {who}, p99", empty, "ms", [x.p99 for x in ours], [x.p99 for x in theirs]
        ),
        Comparison(
            f"/livez, {who}, p99",
            "/livez, idle, p99",
            "ms",
            [x.livez_p99 for x in ours],
            [x.livez_p99 for x in idle],
        ),
    ]


async def measure(port: int, callers: int, probe: bytes | None = None) -> Load:
    """So many callers at once for a while, and one that sends `probe` now and then."""
    async with connections(port, callers) as opened, connections(port, 1) as (other,):
        began = time.perf_counter()
        until = began + SECONDS
        probing = asyncio.create_task(_call(other, until, probe, pause=PROBE_S))
        waits = await asyncio.gather(*(_call(one, until, FIT) for one in opened))
        took = time.perf_counter() - began
        alive = sorted(await probing)
    fits = sorted(wait for each in waits for wait in each)
    return Load(len(fits) / took, _at(fits, 0.5), _at(fits, 0.99), _at(alive, 0.99))


async def _call(
    connection: Connection, until: float, request: bytes | None, pause: float | None = None
) -> list[float]:
    """Milliseconds that each answer took; no request, no answers."""
    waits: list[float] = []
    while request and time.perf_counter() < until and len(waits) < MOST:
        began = time.perf_counter()
        await connection.send(request)
        waits.append(1e3 * (time.perf_counter() - began))
        if pause is not None:
            await asyncio.sleep(pause)
    return waits


def _at(ordered: Sequence[float], share: float) -> float:
    """A quantile of what is in order; NaN of nothing."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


BENCHMARK = Benchmark(ABOUT, run)

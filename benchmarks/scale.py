"""Many machines on one: an API replica, worker nodes and Redis, beside memory and local workers.

`python -m benchmarks.scale node URL CELL` is a node whose jobs sleep."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

import httpx

from benchmarks.harness import Benchmark, Comparison, Results, in_turns
from benchmarks.servers import Started, started
from service.jobs.job import new_job
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import SetClock
from tests.redis_server import RedisServer, needs

LINE = {"data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}
JOB_S = 0.05
LEASE_S = 3.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    requests: int
    jobs: int


FULL = Sizes(rounds=3, requests=300, jobs=100)
QUICK = Sizes(rounds=1, requests=5, jobs=4)

ABOUT = f"""
Redis on the same machine, kept in an append-only file. The latency is that of a line through three
points, one request after another: median of {FULL.requests}; beside it the same service with
memory. Throughput: {FULL.jobs} jobs that sleep {JOB_S * 1000:g} ms, on two nodes of one worker
each; beside it one node. Takeover: from `kill -9` of a node to the next append of its job by
another, with a lease of {LEASE_S:g} s; beside it the lease.
"""


def run(sizes: Sizes) -> Results:
    """The table."""
    needs("redis-server")
    server = RedisServer()
    server.start()
    try:
        latencies = _latencies(sizes, server.url)
        rates = in_turns(
            sizes.rounds,
            lambda: asyncio.run(_rate(server.url, 2, sizes.jobs)),
            lambda: asyncio.run(_rate(server.url, 1, sizes.jobs)),
        )
        takeovers = [asyncio.run(_takeover(server.url)) for _ in range(sizes.rounds)]
    finally:
        server.close()
    lease = [LEASE_S] * sizes.rounds
    return Results(
        [
            Comparison("an inline fit, Redis", "memory", "ms", *latencies),
            Comparison("sleeping jobs, 2 nodes", "1 node", "fits/s", *rates),
            Comparison("a killed node's job goes on", "its lease", "s", takeovers, lease),
        ]
    )


def _latencies(sizes: Sizes, url: str) -> list[list[float]]:
    serve = ("-m", "service", "serve", "--port", "0")
    with started(*serve, DESCENT_REDIS_URL=url) as shared, started(*serve) as alone:
        return in_turns(
            sizes.rounds,
            lambda: _latency(shared.port, sizes.requests),
            lambda: _latency(alone.port, sizes.requests),
        )


def _latency(port: int, requests: int) -> float:
    """Milliseconds of a fit."""
    taken = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(requests):
            began = time.perf_counter()
            client.post("/fit", json=LINE).raise_for_status()
            taken.append(time.perf_counter() - began)
    return 1000 * median(taken)


@contextmanager
def _nodes(url: str, cell: str, count: int) -> Iterator[list[Started]]:
    with ExitStack() as stack:
        node = ("-m", "benchmarks.scale", "node", url, cell)
        yield [stack.enter_context(started(*node)) for _ in range(count)]


class _Replica:
    """Submits sleeping jobs."""

    def __init__(self, url: str, cell: str) -> None:
        from service.jobs.redis.executor import RedisExecutor
        from service.jobs.redis.store import RedisStore

        self.settings = _settings(url, cell)
        self.store = RedisStore(self.settings)
        self.executor = RedisExecutor(self.settings, self.store)

    async def submit(self, epochs: int) -> str:
        asked = fakes.request(epochs, epoch_s=JOB_S / epochs if epochs == 1 else 0.01)
        outline = fakes.check(asked, self.settings)
        job = new_job(asked, outline, owner="", queue_key="", now=SetClock().now())
        await self.executor.submit(job)
        return job.id

    async def end(self, job_id: str) -> None:
        job = await self.store.get(job_id)
        while not job.finished:
            job = await self.store.changed(job_id, job.version)

    async def close(self) -> None:
        await self.executor.stop()
        await self.store.close()


async def _rate(url: str, nodes: int, jobs: int) -> float:
    """Jobs a second."""
    cell = secrets.token_hex(8)
    with _nodes(url, cell, nodes):
        replica = _Replica(url, cell)
        await replica.executor.start()
        await replica.end(await replica.submit(1))
        began = time.perf_counter()
        ids = [await replica.submit(1) for _ in range(jobs)]
        for job_id in ids:
            await replica.end(job_id)
        taken = time.perf_counter() - began
        await replica.close()
    return jobs / taken


async def _takeover(url: str) -> float:
    """Seconds from the death of a node to the next append of its job."""
    import os

    cell = secrets.token_hex(8)
    replica = _Replica(url, cell)
    await replica.executor.start()
    with _nodes(url, cell, 1) as (first,):
        job_id = await replica.submit(10**6)
        job = await replica.store.get(job_id)
        while job.progress.epoch < 20:
            job = await replica.store.changed(job_id, job.version)
        with _nodes(url, cell, 1):
            began = time.perf_counter()
            os.kill(first.pid, signal.SIGKILL)
            while job.attempts < 2 or job.status != "running":
                job = await replica.store.changed(job_id, job.version)
            claimed = job.version
            job = await replica.store.changed(job_id, claimed)
            taken = time.perf_counter() - began
            await replica.executor.cancel(job_id)
            await replica.end(job_id)
    await replica.close()
    return taken


def _settings(url: str, cell: str) -> Settings:
    return Settings(
        redis_url=url, redis_cell=cell, workers=1, lease_s=LEASE_S, max_queued_jobs=10_000
    )


async def _node(url: str, cell: str) -> None:
    from service.jobs.redis.node import Node

    node = Node(_settings(url, cell), entry=fakes.ENTRY)
    await node.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps({"node": node.name}), flush=True)
    await stop.wait()
    await node.stop()


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

if __name__ == "__main__":
    asyncio.run(_node(*sys.argv[2:]))

"""The smallest fit, as one caller feels it, beside a FastAPI endpoint that does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.client import calling
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns
from benchmarks.thermometer import FIT, both_servers


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    times: int


FULL = Sizes(rounds=7, times=100)
QUICK = Sizes(rounds=1, times=3)

ABOUT = f"""
`POST /fit` of a line on 11 points, waited for by one caller: the median of {FULL.times} requests,
sent one after the other. The empty endpoint is that of `predict`, with the body and answer models
of `/fit`.
"""


def run(sizes: Sizes) -> Results:
    with calling() as callers, both_servers(callers) as (descent, empty):

        def milliseconds(port: int) -> Measure:
            return lambda: 1e3 * callers.latency(port, FIT, sizes.times).seconds

        taken = in_turns(sizes.rounds, milliseconds(descent), milliseconds(empty))
    return Results([Comparison("fit a line, 11 points", "empty endpoint", "ms", *taken)])


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

"""Small predictions by many callers, beside a FastAPI endpoint that does nothing and LitServe."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.client import BUSY, calling
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, missing
from benchmarks.servers import running
from benchmarks.thermometer import BARE, PREDICT, both_servers

CALLERS = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    seconds: float


FULL = Sizes(rounds=7, seconds=1.0)
QUICK = Sizes(rounds=1, seconds=0.1)

ABOUT = f"""
`POST /predict` on 11 points, {CALLERS} callers at once, each on a connection that stays open. The
empty endpoint is a FastAPI route with the same body and answer models that answers the same each
time, under the same uvicorn settings (`benchmarks/empty_app.py`). LitServe has its defaults on a
CPU and the same arithmetic (`benchmarks/litserve_app.py`). "No framework" is an application of
uvicorn's own interface that reads the body and answers the same bytes each time: the most that
there is to reach. The callers have a process of their own; if it were busy for more than
{BUSY:.0%} of the time, the benchmark would fail, except for "no framework", which may be faster
than they are.
"""


def run(sizes: Sizes) -> Results:
    with ExitStack() as stack:
        callers = stack.enter_context(calling())
        descent, empty = stack.enter_context(both_servers(callers))

        def rate(port: int, request: bytes) -> Measure:
            def measure() -> float:
                load = callers.load(port, [request], CALLERS, seconds=sizes.seconds)
                return load.rate if request is BARE else load.checked().rate

            return measure

        litserve = None
        if "litserve" not in missing():
            litserve = rate(stack.enter_context(running("-m", "benchmarks.litserve_app")), PREDICT)
        ours, nothing, bare, theirs = in_turns(
            sizes.rounds, rate(descent, PREDICT), rate(empty, PREDICT), rate(empty, BARE), litserve
        )
    what = "predict 11 points"
    return Results(
        [
            Comparison(what, "empty endpoint", "requests/s", ours, nothing),
            Comparison(what, "no framework", "requests/s", ours, bare),
            Comparison(what, "LitServe", "requests/s", ours, theirs),
            Comparison("no framework", "LitServe", "requests/s", bare, theirs),
        ]
    )


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

"""Many callers at once: how many fits they get, how long each waits, and whether /livez does."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.beside_scipy import SCIPY, given
from benchmarks.client import PROBE_S, Callers, Load, calling, post
from benchmarks.families import DataSet, data_set
from benchmarks.harness import Benchmark, Comparison, Results, in_turns, missing, peer
from benchmarks.thermometer import FIT, both_servers


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    seconds: float
    """Of each turn."""
    callers: int
    crowd: int
    sets: int


FULL = Sizes(rounds=5, seconds=2.0, callers=16, crowd=128, sets=64)
QUICK = Sizes(rounds=1, seconds=0.1, callers=4, crowd=8, sets=4)

ABOUT = f"""
Callers in a process of their own, each sending the next request when it has its answer, for
{FULL.seconds:g} s a turn. They, the service and its workers share the cores.

- `POST /fit` of the Gaussian of `curves` with initial values, {FULL.sets} data sets in turn, by
  {FULL.callers} callers at once, beside a loop of `curve_fit` in-process, which has one core.
- `POST /fit` of a line on 11 points, by 1, {FULL.callers} and {FULL.crowd} callers at once, beside
  the empty endpoint of `predict`. /livez is asked every {1e3 * PROBE_S:g} ms meanwhile, beside what
  it takes when nobody else asks for anything.
"""


def run(sizes: Sizes) -> Results:
    with calling() as callers, both_servers(callers) as (descent, empty):
        return Results(
            [_gaussians(callers, descent, sizes), *_lines(callers, descent, empty, sizes)]
        )


# --- curves ---------------------------------------------------------------------------------------


def _gaussians(callers: Callers, port: int, sizes: Sizes) -> Comparison:
    sets = [data_set("Gaussian", seed) for seed in range(sizes.sets)]
    requests = [post("/fit", json.dumps(data.asked(data.family.start)).encode()) for data in sets]

    def ours() -> float:
        load = callers.load(port, requests, sizes.callers, seconds=sizes.seconds)
        _check(sets, load.bodies)
        return load.checked().rate

    def scipy() -> float:
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + sizes.seconds:
            data = sets[count % len(sets)]
            data.by_scipy(given(data))
            count += 1
        return count / (time.perf_counter() - began)

    taken = in_turns(sizes.rounds, ours, peer("scipy", scipy))
    return Comparison(f"Gaussians, {sizes.callers} callers", f"{SCIPY}, a loop", "fits/s", *taken)


def _check(sets: Sequence[DataSet], bodies: Sequence[bytes]) -> None:
    for data, body in zip(sets, bodies, strict=True):
        if body and "scipy" not in missing():
            data.check(data.params(body), data.by_scipy(given(data)))


# --- lines ----------------------------------------------------------------------------------------


def _lines(callers: Callers, descent: int, empty: int, sizes: Sizes) -> list[Comparison]:
    crowds = (1, sizes.callers, sizes.crowd)
    found: dict[tuple[str, int], list[Load]] = defaultdict(list)
    for number in range(sizes.rounds + (sizes.rounds > 1)):
        if number == 1:
            found.clear()  # the first round warms up
        for count in crowds:
            taken = partial(callers.load, callers=count, seconds=sizes.seconds)
            found["ours", count].append(taken(descent, [FIT], probe=True))
            found["theirs", count].append(taken(empty, [FIT]))
        alone = callers.load(descent, [FIT], 0, seconds=sizes.seconds, probe=True)
        found["alone", 0].append(alone)
    return [
        row
        for count in crowds
        for row in _rows(count, found["ours", count], found["theirs", count], found["alone", 0])
    ]


def _rows(
    count: int, ours: Sequence[Load], theirs: Sequence[Load], alone: Sequence[Load]
) -> list[Comparison]:
    who, empty = "1 caller" if count == 1 else f"{count} callers", "empty endpoint"

    def waits(loads: Sequence[Load], share: float) -> list[float]:
        return [1e3 * quantile(load.waits, share) for load in loads]

    def probed(loads: Sequence[Load]) -> list[float]:
        return [1e3 * quantile(load.probed, 0.99) for load in loads]

    rates = [load.rate for load in ours], [load.rate for load in theirs]
    return [
        Comparison(f"lines, {who}", empty, "fits/s", *rates),
        Comparison(f"a line, {who}, p50", empty, "ms", waits(ours, 0.5), waits(theirs, 0.5)),
        Comparison(f"a line, {who}, p99", empty, "ms", waits(ours, 0.99), waits(theirs, 0.99)),
        Comparison(
            f"/livez, {who}, p99", "/livez, nobody else, p99", "ms", probed(ours), probed(alone)
        ),
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them is."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

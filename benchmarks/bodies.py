"""A million rows in one request, as JSON and as Arrow, beside a script that reads and fits them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from benchmarks.arrow import stream
from benchmarks.client import ARROW, Callers, calling, post
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, seconds
from benchmarks.servers import serving


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    rows: int


FULL = Sizes(rounds=5, rows=1_000_000)
QUICK = Sizes(rounds=1, rows=10_000)

ABOUT = f"""
`POST /fit` of a line through {FULL.rows:,} rows, sent as JSON and as an Arrow stream, all included;
beside `json.loads`, `numpy.array` and `numpy.linalg.lstsq` in-process.
"""


def run(sizes: Sizes) -> Results:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, sizes.rows)
    y = 2 * x + 1 + rng.standard_normal(sizes.rows)
    text = json.dumps({"data": {"x": x.tolist(), "y": y.tolist()}}).encode()
    arrow = stream({"x": x, "y": y})
    with serving() as port, calling() as callers:
        by_json, by_arrow, plain = in_turns(
            sizes.rounds,
            _asked(callers, port, post("/fit", text)),
            _asked(callers, port, post("/fit", arrow, ARROW)),
            lambda: 1e3 * seconds(lambda: _plain(text)),
        )
    other, rows = "json.loads, numpy, lstsq", f"{sizes.rows:,} rows"
    return Results(
        [
            Comparison(f"{rows} of JSON, {len(text) / 1e6:.0f} MB", other, "ms", by_json, plain),
            Comparison(f"{rows} as Arrow, {len(arrow) / 1e6:.0f} MB", other, "ms", by_arrow, plain),
        ]
    )


def _asked(callers: Callers, port: int, request: bytes) -> Measure:
    def measure() -> float:
        answer = callers.ask(port, request)
        _check(json.loads(answer.body)["params"]["w"])
        return 1e3 * answer.seconds

    return measure


def _plain(text: bytes) -> None:
    data = json.loads(text)["data"]
    x, y = np.array(data["x"]), np.array(data["y"])
    w = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)[0][0]
    _check(float(w))


def _check(w: float) -> None:
    if abs(w - 2.0) > 0.02:
        raise RuntimeError(f"the slope is {w}, not 2")


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

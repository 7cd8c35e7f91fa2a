"""Strips that share one param in one request, beside the dense fit of a part of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.arrow import stream
from benchmarks.client import ARROW, calling, post
from benchmarks.families import AGREED
from benchmarks.groups import Floats
from benchmarks.harness import Benchmark, Comparison, Results, in_turns, peer
from benchmarks.servers import serving

ROWS = 8
SHARED = 1.3
"""The time constant of all strips."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    strips: int
    dense: int
    """The strips of the dense fit, whose cost grows with their square or cube: its rate is that of
    a part."""


FULL = Sizes(rounds=5, strips=1000, dense=50)
QUICK = Sizes(rounds=1, strips=20, dense=5)

ABOUT = f"""
{FULL.strips:,} strips of {ROWS} rows: decays, each with its amplitude and background, all with one
time constant, and noise of 0.02. Descent is asked by one `POST /fit` with `group_by` and `shared`,
default options and no start, the rows as an Arrow stream, all included, its search for starts
too. SciPy's `curve_fit` fits {FULL.dense} of the strips in the benchmark's own process as one dense
problem of {2 * FULL.dense + 1} params, from near the true ones and with its Jacobian; its rate is
taken to be the same for more strips, though the cost of a dense fit grows faster than their
number. Of these {FULL.dense} strips both must come to the same params and standard errors, to a
hundredth of the latter. A fit is one strip's.
"""


def made(strips: int) -> tuple[Floats, Floats]:
    """x (rows,) and y (strips, rows)."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.1, 5.0, ROWS)
    own = rng.uniform(1.0, 3.0, (2, strips, 1))
    clean = own[0] + own[1] * np.exp(-x / SHARED)
    return x, clean + 0.02 * rng.standard_normal(clean.shape)


def dense(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The params and standard errors of the dense problem: two of each strip, then the shared."""
    from scipy.optimize import curve_fit

    count = len(y)

    def curve(_: Floats, *params: float) -> Floats:
        own = np.array(params[:-1]).reshape(2, count, 1)
        return np.asarray(own[0] + own[1] * np.exp(-x / params[-1])).ravel()

    def slopes(_: Floats, *params: float) -> Floats:
        own = np.array(params[:-1]).reshape(2, count, 1)
        fall = np.exp(-x / params[-1])
        found = np.zeros((count, ROWS, 2 * count + 1))
        at = np.arange(count)
        found[at, :, at], found[at, :, count + at] = 1.0, fall
        found[:, :, -1] = own[1] * fall * x / params[-1] ** 2
        return found.reshape(count * ROWS, -1)

    start = [2.0] * (2 * count) + [SHARED]
    params, covariance = curve_fit(curve, np.tile(x, count), y.ravel(), p0=start, jac=slopes)
    return np.asarray(params), np.sqrt(np.diag(covariance))


def body(x: Floats, y: Floats) -> bytes:
    """The request as an Arrow stream."""
    asked = {
        "model": "y = a + b*exp(-x/th)",
        "group_by": {"column": "strip", "shared": ["th"]},
    }
    strips = np.repeat(np.arange(len(y), dtype=np.float64), ROWS)
    return stream({"strip": strips, "x": np.tile(x, len(y)), "y": y.ravel()}, asked)


def params_of(answer: Any) -> tuple[Floats, Floats]:
    """In the order of the dense problem, with their standard errors."""
    groups, shared = answer["groups"], answer["shared"]
    return tuple(  # type: ignore[return-value]
        np.array([*groups[kind]["a"], *groups[kind]["b"], shared[kind]["th"]])
        for kind in ("params", "stderr")
    )


def run(sizes: Sizes) -> Results:
    x, y = made(sizes.strips)
    part = y[: sizes.dense]
    asked, few = post("/fit", body(x, y), ARROW), post("/fit", body(x, part), ARROW)
    found: dict[str, tuple[Floats, Floats]] = {}
    with serving() as port, calling() as callers:
        found["descent"] = params_of(json.loads(callers.ask(port, few).body))

        def descent() -> float:
            answer = callers.ask(port, asked)
            shared = json.loads(answer.body)["shared"]
            if not abs(shared["params"]["th"] - SHARED) <= 6 * shared["stderr"]["th"]:
                raise RuntimeError(f"th is {shared['params']['th']}, not {SHARED}")
            return sizes.strips / answer.seconds

        def scipy() -> float:
            began = time.perf_counter()
            found["scipy"] = dense(x, part)
            return sizes.dense / (time.perf_counter() - began)

        ours, theirs = in_turns(sizes.rounds, descent, peer("scipy", scipy))
    if "scipy" in found:
        (mine, errors), (other, their_errors) = found["descent"], found["scipy"]
        if (np.abs(mine - other) > AGREED * errors).any():
            raise RuntimeError("SciPy came to other params")
        if (np.abs(errors - their_errors) > AGREED * errors).any():
            raise RuntimeError("SciPy came to other standard errors")
    what = f"{sizes.strips:,} strips with one shared param"
    peers = f"SciPy curve_fit of {sizes.dense} strips, dense"
    return Results([Comparison(what, peers, "fits/s", ours, theirs)])


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

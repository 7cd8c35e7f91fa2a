"""Many spectra of counts in one request, beside a loop of Minuit over a part of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.arrow import stream
from benchmarks.client import ARROW, calling, post
from benchmarks.groups import Floats, curve, slopes
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, peer
from benchmarks.servers import serving

BINS = 50
TRUTHS = [(20.0, 200.0), (4.0, 6.0), (0.5, 1.2), (2.0, 20.0)]
"""Where the params of each spectrum are drawn from: height, middle and width of a peak, and the
background."""
START = {"a": 60.0, "mu": 5.0, "sigma": 1.0, "c": 8.0}

APART = 0.05
"""Of a standard error: Minuit ends where its estimated distance to the minimum is √(2·10⁻⁴) of
one."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    spectra: int
    by_minuit: int
    """The spectra of Minuit's turn: its rate is that of a part."""


FULL = Sizes(rounds=5, spectra=10_000, by_minuit=100)
QUICK = Sizes(rounds=1, spectra=30, by_minuit=5)

ABOUT = f"""
{FULL.spectra:,} spectra of {BINS} bins with Poisson counts: a Gaussian peak of 20 to 200 counts on
a flat background of 2 to 20, 4 params. Descent is asked by one `POST /fit` with `group_by`,
`"likelihood": "poisson"` and the start, the rows as an Arrow stream, all included. iminuit's
`migrad` and `hesse` minimise `iminuit.cost.poisson_chi2`, which is the same deviance, in the
benchmark's own process from the same start, for {FULL.by_minuit} of the spectra; once by finite
differences, and once with the gradient given. All must come to the same params, to a twentieth of
their standard errors, which is what Minuit's tolerance allows, but for one spectrum in a hundred.
"""


def made(spectra: int) -> tuple[Floats, Floats]:
    """x (rows,) and the counts (spectra, rows)."""
    rng, x = np.random.default_rng(0), np.linspace(0, 10, BINS)
    truth = [rng.uniform(*bounds, (spectra, 1)) for bounds in TRUTHS]
    return x, rng.poisson(curve(x, *truth)).astype(float)


def by_minuit(x: Floats, y: Floats, *, given: bool) -> Floats:
    """The params of each spectrum, (spectra, 4)."""
    from iminuit import Minuit

    found = []
    for counts in y:
        deviance, gradient = _of(counts, x)
        minuit = Minuit(deviance, list(START.values()), grad=gradient if given else None)
        minuit.errordef = Minuit.LEAST_SQUARES
        minuit.limits[0] = minuit.limits[2] = minuit.limits[3] = (1e-3, None)
        minuit.migrad()
        minuit.hesse()
        found.append(list(minuit.values))
    return np.array(found)


def _of(counts: Floats, x: Floats) -> tuple[Callable[[Floats], float], Callable[[Floats], Floats]]:
    """The deviance of a spectrum and its gradient."""
    from iminuit.cost import poisson_chi2

    def deviance(theta: Floats) -> float:
        return float(poisson_chi2(counts, curve(x, *theta)))

    def gradient(theta: Floats) -> Floats:
        return np.asarray(2 * (1 - counts / curve(x, *theta)) @ slopes(x, *theta))

    return deviance, gradient


def body(x: Floats, y: Floats) -> bytes:
    """The request as an Arrow stream."""
    asked = {
        "model": "y = a * exp(-0.5 * ((x - mu) / sigma)**2) + c",
        "group_by": "spectrum",
        "likelihood": "poisson",
        "params": START,
    }
    spectra = np.repeat(np.arange(len(y), dtype=np.float64), BINS)
    return stream({"spectrum": spectra, "x": np.tile(x, len(y)), "y": y.ravel()}, asked)


def run(sizes: Sizes) -> Results:
    x, y = made(sizes.spectra)
    some, asked = y[: sizes.by_minuit], post("/fit", body(x, y), ARROW)
    found: dict[str, Floats] = {}
    with serving() as port, calling() as callers:

        def descent() -> float:
            answer = callers.ask(port, asked)
            groups: Any = json.loads(answer.body)["groups"]
            for kind in ("params", "stderr"):
                found[kind] = np.array([groups[kind][name] for name in START]).T
            return sizes.spectra / answer.seconds

        def minuit(*, given: bool) -> Measure:
            def measure() -> float:
                began = time.perf_counter()
                found[f"minuit {given}"] = by_minuit(x, some, given=given)
                return len(some) / (time.perf_counter() - began)

            return measure

        ours, plain, given = in_turns(
            sizes.rounds,
            descent,
            peer("iminuit", minuit(given=False)),
            peer("iminuit", minuit(given=True)),
        )
    for name in found.keys() - {"params", "stderr"}:
        apart = np.abs(np.abs(found[name]) - np.abs(found["params"][: len(some)]))
        off = (apart > APART * found["stderr"][: len(some)]).any(axis=1)
        if np.count_nonzero(off) > max(1, len(some) // 100):
            raise RuntimeError(f"{name} came to other params for {off.sum()} spectra")
    what = f"{sizes.spectra:,} Poisson spectra of {BINS} bins"
    return Results(
        [
            Comparison(what, f"iminuit, {sizes.by_minuit} of them", "fits/s", ours, plain),
            Comparison(what, "iminuit with its gradient given", "fits/s", ours, given),
        ]
    )


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

"""Unknowns from a standard curve: how often their intervals hold the truth, and how long many take
beside a loop over SciPy's brentq."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.arrow import stream
from benchmarks.client import ARROW, Callers, calling, post
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, peer
from benchmarks.servers import serving

LEVEL = 95.0
UNKNOWNS = "/invert?format=arrow"
REPLICATES = 3
"""Readings of each unknown."""
KINDS = ("inversion", "wald")
SAME = 1e-6
"""The most by which two ways to an estimate or to an end may differ, relative to it."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    sets: int
    """Simulated plates, in each of which one unknown is read back."""
    readings: int
    by_scipy: int
    """The readings of SciPy's turn: it takes twenty times as long."""


FULL = Sizes(rounds=5, sets=5_000, readings=10_000, by_scipy=100)
QUICK = Sizes(rounds=1, sets=40, readings=200, by_scipy=5)

ABOUT = f"""
Each of {FULL.sets:,} simulated plates has its own standards, and one unknown with {REPLICATES}
readings. All plates are fitted by one `POST /fit` with `group_by`, and all unknowns read back by
one `POST /invert`. The first rows say how many of 100 intervals of {LEVEL:g} % hold the true
concentration; the smallest and the largest ratio are of a fifth of the plates each. The last row is
one `POST /invert` of {FULL.readings:,} readings, with inversion intervals, answered as Arrow,
beside a loop in the benchmark's own process that finds the estimate and both ends of the interval
by SciPy's `brentq`, of {FULL.by_scipy} of the readings. Both must come to the same numbers.
"""


@dataclass(frozen=True)
class Curve:
    """A truth and how it is observed."""

    name: str
    model: str
    truth: Mapping[str, float]
    x: Floats
    """Of the standards."""
    noise: float
    unknown: tuple[float, float]
    """The range of the unknowns' true values."""
    f: Callable[..., Floats]
    """The model again, for numpy."""

    def plates(self, sets: int) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
        """The standards, the readings and the true values of the unknowns of all plates."""
        rng = np.random.default_rng([1, sets])
        plate, values = np.arange(sets, dtype=np.float64), self.truth.values()
        x = np.tile(self.x, sets)
        y = self.f(x, *values) + self.noise * rng.standard_normal(len(x))
        true = rng.uniform(*self.unknown, sets)
        read = np.repeat(self.f(true, *values), REPLICATES)
        read += self.noise * rng.standard_normal(len(read))
        return (
            {"plate": np.repeat(plate, len(self.x)), "x": x, "y": y},
            {"plate": np.repeat(plate, REPLICATES), "y": read},
            true,
        )


LINE = Curve(
    "line, 12 standards",
    "y = a + b*x",
    {"a": 0.1, "b": 0.2},
    x=np.repeat([1.0, 2, 4, 6, 8, 10], 2),
    noise=0.08,
    unknown=(2.0, 9.0),
    f=lambda x, a, b: a + b * x,
)
LOGISTIC = Curve(
    "logistic of 4 params, 16 standards",
    "y = c + (d - c)/(1 + (x/e)**b)",
    {"c": 0.05, "d": 2.4, "e": 30.0, "b": -1.5},
    x=np.repeat([1.0, 4, 8, 16, 32, 64, 128, 256], 2),
    noise=0.04,
    unknown=(8.0, 100.0),
    f=lambda x, c, d, e, b: c + (d - c) / (1 + (x / e) ** b),
)


def run(sizes: Sizes) -> Results:
    with serving() as port, calling() as callers:
        comparisons = []
        for curve in (LINE, LOGISTIC):
            for kind, held in shares(callers, port, curve, sizes).items():
                what = f"{curve.name}: {kind} intervals"
                level = [LEVEL] * len(held)
                comparisons.append(Comparison(what, "their level", "%", held, level))
        comparisons.append(speed(callers, port, sizes))
    return Results(comparisons)


def shares(callers: Callers, port: int, curve: Curve, sizes: Sizes) -> Mapping[str, list[float]]:
    """The share of the plates, in %, whose interval holds the truth: by kind, of each round. An end
    that does not exist is infinite."""
    standards, read, true = curve.plates(sizes.sets)
    asked = {
        "model": curve.model,
        "params": curve.truth,
        "group_by": {"column": "plate", "covariance": True},
    }
    job = _answer(callers, port, "/fit", standards, asked)["job_id"]
    found = {}
    for kind in KINDS:
        interval = {"kind": kind, "level": LEVEL / 100}
        asked = {"job_id": job, "replicates_by": "plate", "interval": interval}
        answer = callers.ask(port, post(UNKNOWNS, stream(read, asked), ARROW))
        columns = _columns(answer.body)
        if np.isnan(columns["estimate"]).any():
            raise RuntimeError(f"{curve.name}: an unknown has no estimate")
        held = ~((true < columns["lower"]) | (true > columns["upper"]))
        found[kind] = [100 * float(part.mean()) for part in np.split(held, sizes.rounds)]
    return found


def speed(callers: Callers, port: int, sizes: Sizes) -> Comparison:
    """Many readings of one logistic curve."""
    standards, _, _ = LOGISTIC.plates(1)
    data = {name: standards[name] for name in ("x", "y")}
    fit = _answer(callers, port, "/fit", data, {"model": LOGISTIC.model, "params": LOGISTIC.truth})
    curve = fit["predict"]
    low, high = LOGISTIC.f(np.array(LOGISTIC.unknown), *LOGISTIC.truth.values())
    readings = np.linspace(low, high, sizes.readings)
    request = post(UNKNOWNS, json.dumps({**curve, "data": {"y": readings.tolist()}}).encode())
    some = readings[:: sizes.readings // sizes.by_scipy]
    found: dict[str, Floats] = {}

    def descent() -> float:
        answer = callers.ask(port, request)
        columns = _columns(answer.body)
        ends = [columns[name] for name in ("lower", "estimate", "upper")]
        found["descent"] = np.array(ends).T[:: sizes.readings // sizes.by_scipy]
        return sizes.readings / answer.seconds

    def scipy() -> float:
        began = time.perf_counter()
        found["scipy"] = by_scipy(curve, some)
        return len(some) / (time.perf_counter() - began)

    theirs: Measure | None = peer("scipy", scipy)
    taken = in_turns(sizes.rounds, descent, theirs)
    if "scipy" in found:
        apart = np.abs(found["scipy"] / found["descent"] - 1)
        if not (apart <= SAME).all():
            raise RuntimeError(f"SciPy's unknowns differ by up to {apart.max():.1e}")
    what = f"{sizes.readings:,} readings of a logistic curve"
    return Comparison(what, "SciPy brentq, a loop", "readings/s", *taken)


def by_scipy(curve: Mapping[str, Any], readings: Floats) -> Floats:
    """The lower end, the estimate and the upper end of each reading, (readings, 3)."""
    from scipy.optimize import brentq
    from scipy.stats import t as student

    params = curve["params"]
    theta = np.array([params[name] for name in LOGISTIC.truth])
    rows = [curve["covariance"][name] for name in LOGISTIC.truth]
    covariance = np.array([[row[name] for name in LOGISTIC.truth] for row in rows])
    scale = student.ppf(0.975, curve["degrees_of_freedom"]) ** 2
    variance = curve["residual_std"] ** 2

    def apart(x: float, y: float) -> float:
        return float(LOGISTIC.f(np.array(x), *theta)) - y

    def excess(x: float, y: float) -> float:
        g = slopes(x, *theta)
        return float(apart(x, y) ** 2 - scale * (variance + g @ covariance @ g))

    found = []
    for y in readings.tolist():
        x = brentq(partial(apart, y=y), 0.1, 1e4, xtol=1e-12)
        ends = [brentq(partial(excess, y=y), *b, xtol=1e-12) for b in ((1e-3, x), (x, 2 * x + 200))]
        found.append([ends[0], x, ends[1]])
    return np.array(found)


def slopes(x: float, c: float, d: float, e: float, b: float) -> Floats:
    """∂f/∂θ of the logistic curve."""
    u = (x / e) ** b
    part = (d - c) * u / (1 + u) ** 2
    return np.array([u / (1 + u), 1 / (1 + u), part * b / e, -part * np.log(x / e)])


def _answer(
    callers: Callers, port: int, path: str, data: Mapping[str, Floats], asked: Mapping[str, Any]
) -> Any:
    answer = callers.ask(port, post(path, stream(data, asked), ARROW))
    found = json.loads(answer.body)
    if isinstance(found["status"], int):  # of a problem
        raise RuntimeError(found["detail"])
    return found


def _columns(body: bytes) -> dict[str, Floats]:
    """The columns of numbers of the unknowns, NaN where there is none."""
    table = pa.ipc.open_stream(body).read_all()
    names = ("estimate", "lower", "upper")
    return {name: table[name].to_numpy().astype(np.float64) for name in names}


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

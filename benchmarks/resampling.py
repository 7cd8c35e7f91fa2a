"""The bootstrap: how often its intervals hold the truth, and its replicates beside a loop of SciPy.

The coverage is of groups with a bootstrap each: every simulated data set is a group. The replicates
are timed in this process, by the engine, without HTTP.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.coverage import DECAY, LEVEL, LINE, Experiment, Floats
from benchmarks.harness import Benchmark, Comparison, Results, missing
from benchmarks.report import markdown
from service.fitting import to_plan
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.history import Rows
from service.schemas.answers import Timings
from service.schemas.fit import FitRequest

ROWS = 42
DOSES = np.repeat(np.geomspace(0.1, 30.0, ROWS // 6), 6)
START = {"b": 2.0, "c": 0.5, "d": 7.0, "e": 3.0}
FORMULA = "y = c + (d - c)/(1 + exp(b*(log(x) - log(e))))"
BY: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("bootstrap of residuals, percentile", {"method": "bootstrap"}),
    ("bootstrap of residuals, bca", {"method": "bootstrap", "interval": "bca"}),
    ("profile", {"method": "profile"}),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    sets: int
    """Data sets of each coverage."""
    replicates: int


FULL = Sizes(rounds=5, sets=500, replicates=1999)
QUICK = Sizes(rounds=1, sets=4, replicates=40)

ABOUT = f"""
{FULL.replicates:,} residual replicates of a log-logistic of {ROWS} rows, 4 params, in the
benchmark's own process: the whole bootstrap of one fit, from its plan to the answer, beside a loop
of SciPy's `curve_fit` over as many resampled data sets, each from the params of the fit and with
SciPy's default derivatives. Then how many of 100 intervals of {LEVEL:g} % hold the truth, in
{FULL.sets} simulated data sets each: [accuracy.md](accuracy.md) says which.
"""


def logistic(x: Floats, b: float, c: float, d: float, e: float) -> Floats:
    found: Floats = c + (d - c) / (1 + np.exp(b * (np.log(x) - math.log(e))))
    return found


DOSE = Experiment(
    "log-logistic, 42 points",
    FORMULA,
    {"b": 2.5, "c": 0.5, "d": 7.8, "e": 3.0},
    START,
    noise=0.5,
    x=DOSES,
    seed=3,
    curve=logistic,
)


def answer_of(request: dict[str, Any]) -> Any:
    """The answer of a request, whose run goes to its end."""
    plan = to_plan(FitRequest.model_validate(request))
    run = FIT_BACKEND.start(plan, None)
    while not run.done:
        run.step(max(1, run.left))
    timings = Timings(queued_s=0.0, fit_s=0.0)
    return FIT_BACKEND.explain(plan, run.result(None), Rows.empty(0, 0), job_id="", timings=timings)


def shares(experiment: Experiment, asked: Mapping[str, Any], sets: int) -> dict[str, float]:
    """In %, how many of the intervals hold the truth, by param."""
    targets = [experiment.observed(number) for number in range(sets)]
    number = np.repeat(np.arange(float(sets)), len(experiment.x))
    data = {"g": number, "x": np.tile(experiment.x, sets), "y": np.concatenate(targets)}
    interval = {"level": LEVEL / 100, **asked}
    found = answer_of({
        "model": experiment.formula, "data": data, "group_by": "g", "params": experiment.first,
        "confidence_interval": interval, "challenge": False,
    }).groups.confidence_interval  # fmt: skip
    held = {}
    for name, truth in experiment.truth.items():
        lower, upper = np.array(found.lower[name]), np.array(found.upper[name])
        # Where the data set no limit on a side, the interval has none.
        held[name] = 100 * float((~(lower > truth) & ~(upper < truth)).mean())
    return held


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def replicates(sizes: Sizes) -> Comparison:
    """In ms. Both standard errors must agree to their Monte-Carlo error."""
    y = DOSE.observed(0)
    interval = {"method": "bootstrap", "replicates": sizes.replicates}
    request = {"model": FORMULA, "data": {"x": DOSES, "y": y}, "params": START}
    request["confidence_interval"] = interval
    has_scipy = "scipy" not in missing()
    ours: list[float] = []
    theirs: list[float] = []
    answer_of(request)
    for _ in range(sizes.rounds):
        ours.append(timed(lambda: answer_of(request)))
        if has_scipy:
            theirs.append(timed(lambda: by_scipy(y, sizes.replicates)))
    if has_scipy:
        more = answer_of(request).statistics.confidence_interval.bootstrap
        other = by_scipy(y, sizes.replicates).std(axis=0, ddof=1)
        for value, name in zip(other, START, strict=True):
            if not abs(value / more.stderr[name] - 1) < 6 / math.sqrt(sizes.replicates):
                raise RuntimeError(f"{name}: {more.stderr[name]} is not SciPy's {value}")
    what = f"{sizes.replicates:,} replicates of {ROWS} rows"
    return Comparison(what, "a loop of SciPy's curve_fit", "ms", ours, theirs)


def by_scipy(y: Floats, count: int) -> Floats:
    """The params of that number of resampled data sets, by `curve_fit`."""
    from scipy.optimize import curve_fit

    theta = curve_fit(logistic, DOSES, y, p0=list(START.values()))[0]
    fitted = logistic(DOSES, *theta)
    step = 1e-6 * np.abs(theta)
    jacobian = np.column_stack([
        (logistic(DOSES, *(theta + step * unit)) - fitted) / step[i]
        for i, unit in enumerate(np.eye(len(theta)))
    ])  # fmt: skip
    leverage = (np.linalg.qr(jacobian)[0] ** 2).sum(axis=1)
    pool = (y - fitted) / np.sqrt(1 - leverage)
    pool -= pool.mean()
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        drawn = fitted + rng.choice(pool, len(pool))
        found.append(curve_fit(logistic, DOSES, drawn, p0=theta)[0])
    return np.array(found)


def run(sizes: Sizes) -> Results:
    rows = [["problem", "param", "truth", "intervals", "data sets", "held the truth"]]
    comparisons = [replicates(sizes)]
    for experiment in (LINE, DECAY, DOSE):
        for words, asked in BY:
            own = dict(asked)
            if own["method"] == "bootstrap":
                own["replicates"] = max(20, sizes.replicates // 2)
            for name, held in shares(experiment, own, sizes.sets).items():
                truth = f"{experiment.truth[name]:g}"
                rows.append(
                    [experiment.name, name, truth, words, f"{sizes.sets:,}", f"{held:.1f}%"]
                )
                what = f"{experiment.name}: {name}, by {words}"
                comparisons.append(Comparison(what, "their level", "%", [held], [LEVEL]))
    return Results(comparisons, markdown(rows, numbers_from=1))


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

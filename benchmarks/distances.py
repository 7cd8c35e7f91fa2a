"""Errors in x: how often the intervals of a fit by distances hold the truth, and the time of a long
one beside odrpack.

In this process, by the engine, without HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Benchmark, Comparison, Results, in_turns, peer, seconds
from benchmarks.report import markdown
from service.engine import Result, run_of
from service.engine.inference.distributions import t_quantile
from service.fitting import to_grouped_fit, to_plan
from service.schemas.answers import Timings
from service.schemas.fit import FitRequest

LEVEL = 95.0
START = {"a": 4.0, "b": 0.3, "c": 0.5}
TOLERANCE = 1.5e-8
"""Relative change of S at which a fit ends: odrpack's own."""
SAME = 1e-5
"""The most by which both may differ in a param."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    sets: int
    """Simulated data sets of each problem."""
    rows: int


FULL = Sizes(rounds=5, sets=2_000, rows=10_000)
QUICK = Sizes(rounds=1, sets=20, rows=500)

ABOUT = f"""
{FULL.sets:,} simulated data sets of each problem, with errors in x and y of known standard
deviations, are fitted as groups of one request with `sigma` and `sigma_x`. The first rows say how
many of 100 intervals of {LEVEL:g} % by standard errors hold the truth; the smallest and the largest
ratio are of a fifth of the data sets each. The last row is one fit of a decay with a background, 3
params, to {FULL.rows:,} rows from a given start, by the engine, without the challenge of its
minimum, to the R factor, beside odrpack's `odr_fit` with its Jacobians. Both end where S changes by
{TOLERANCE:g} of itself, and must come to the same params.
"""


@dataclass(frozen=True)
class Experiment:
    """A truth and how it is observed."""

    name: str
    formula: str
    truth: Mapping[str, float]
    x: Floats
    sigma_x: float
    sigma: float
    curve: Callable[..., Floats]
    """The formula again, for numpy."""

    def request(self, sets: int) -> dict[str, Any]:
        """All data sets, each a group."""
        rng = np.random.default_rng([3, sets])
        x = np.tile(self.x, sets)
        y = self.curve(x, *self.truth.values()) + self.sigma * rng.standard_normal(len(x))
        x = x + self.sigma_x * rng.standard_normal(len(x))
        group = np.repeat(np.arange(sets, dtype=np.float64), len(self.x))
        return {
            "model": self.formula,
            "data": {"set": group, "x": x, "y": y},
            "group_by": "set",
            "params": self.truth,
            "sigma": self.sigma,
            "sigma_x": {"x": self.sigma_x},
        }


LINE = Experiment(
    "line, 20 points", "y = w*x + b", {"w": 2.0, "b": 1.0},
    x=np.linspace(0, 10, 20), sigma_x=0.5, sigma=0.8, curve=lambda x, w, b: w * x + b,
)  # fmt: skip
DECAY = Experiment(
    "decay, 30 points", "y = a*exp(-k*x)", {"a": 5.0, "k": 0.6},
    x=np.linspace(0, 6, 30), sigma_x=0.1, sigma=0.1, curve=lambda x, a, k: a * np.exp(-k * x),
)  # fmt: skip
SATURATION = Experiment(
    "saturation, 24 points", "y = v*x/(k + x)", {"v": 10.0, "k": 2.0},
    x=np.repeat(np.linspace(0.5, 12, 12), 2), sigma_x=0.15, sigma=0.2,
    curve=lambda x, v, k: v * x / (k + x),
)  # fmt: skip


def run(sizes: Sizes) -> Results:
    rows = [["problem", "param", "truth", "data sets", "held the truth"]]
    comparisons = []
    for experiment in (LINE, DECAY, SATURATION):
        for name, held in shares(experiment, sizes).items():
            truth, mean = f"{experiment.truth[name]:g}", f"{np.mean(held):.1f}%"
            rows.append([experiment.name, name, truth, f"{sizes.sets:,}", mean])
            what = f"{experiment.name}, errors in x: {name}"
            comparisons.append(Comparison(what, "their level", "%", held, [LEVEL] * len(held)))
    return Results([*comparisons, beside_odrpack(sizes)], markdown(rows, numbers_from=1))


def shares(experiment: Experiment, sizes: Sizes) -> Mapping[str, list[float]]:
    """The share of the data sets, in %, whose interval holds the truth: by param, of each round."""
    plan = to_plan(FitRequest.model_validate(experiment.request(sizes.sets)))
    running = run_of(plan.task)
    while not running.done:
        running.step(running.epochs)
    result: Any = running.result(None)
    found = to_grouped_fit(plan, result, job_id="", timings=Timings(queued_s=0.0, fit_s=0.0))
    if not found.converged:
        raise RuntimeError(f"a fit ended {found.stop_reason}")
    t = t_quantile(0.5 + LEVEL / 200, len(experiment.x) - len(experiment.truth))
    held = {}
    for name, truth in experiment.truth.items():
        apart = np.abs(np.array(found.groups.params[name]) - truth)
        within = apart <= t * np.array(found.groups.stderr[name])
        held[name] = [100 * float(part.mean()) for part in np.array_split(within, sizes.rounds)]
    return held


def beside_odrpack(sizes: Sizes) -> Comparison:
    """One long fit."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 10, sizes.rows)
    y = 5 * np.exp(-0.4 * x) + 1 + rng.normal(0, 0.05, sizes.rows)
    x = x + rng.normal(0, 0.1, sizes.rows)
    asked = {
        "model": "y = a*exp(-b*x) + c",
        "data": {"x": x, "y": y},
        "params": START,
        "sigma": 0.05,
        "sigma_x": {"x": 0.1},
        "challenge": False,
        "tolerance": {"loss": TOLERANCE},
    }
    plan = to_plan(FitRequest.model_validate(asked))
    ends: dict[str, Floats] = {}

    def ours() -> None:
        running = run_of(plan.task)
        while not running.done:
            running.step(running.epochs)
        found = running.result(None)
        assert isinstance(found, Result)
        assert found.factor is not None  # R, which the standard errors are of
        ends["Descent"] = found.params.numpy()

    def theirs() -> None:
        from odrpack import odr_fit

        def f(x: Floats, p: Floats) -> Floats:
            found: Floats = p[0] * np.exp(-p[1] * x) + p[2]
            return found

        def by_params(x: Floats, p: Floats) -> Floats:
            e: Floats = np.exp(-p[1] * x)
            slopes: Floats = np.stack([e, -p[0] * x * e, np.ones_like(x)])
            return slopes

        def by_x(x: Floats, p: Floats) -> Floats:
            slope: Floats = -p[0] * p[1] * np.exp(-p[1] * x)
            return slope

        weights = np.full(sizes.rows, 0.1**-2), np.full(sizes.rows, 0.05**-2)
        found = odr_fit(
            f, x, y, np.array(list(START.values())), weight_x=weights[0], weight_y=weights[1],
            jac_beta=by_params, jac_x=by_x,
        )  # fmt: skip
        ends["odrpack"] = found.beta

    taken = in_turns(
        3 * sizes.rounds, lambda: seconds(ours), peer("odrpack", lambda: seconds(theirs))
    )
    if "odrpack" in ends and not np.allclose(ends["Descent"], ends["odrpack"], rtol=SAME):
        raise RuntimeError(f"they come to different params: {ends}")
    name = f"a decay with errors in x, {sizes.rows:,} rows"
    return Comparison(name, "odrpack, its Jacobians given", "s", *taken)


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

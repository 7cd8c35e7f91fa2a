"""Interval coverage by simulation: how often a 95 % interval holds the truth.

In this process, by the engine, without HTTP: seeded data sets of a line and of a decay, each fitted
and asked for its intervals. The table goes to docs/explanation/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from benchmarks.harness import Benchmark, Comparison, Results
from benchmarks.report import markdown
from service.engine import begin, outcome
from service.fitting import to_fit, to_plan
from service.schemas.answers import History, Timings
from service.schemas.fit import FitRequest
from service.schemas.statistics import ConfidenceInterval

LEVEL = 95.0

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Method = Literal["t", "profile"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Data sets of each experiment: many for intervals by t, fewer by the profile, which takes
    dozens of short fits."""

    t: int
    profile: int
    rounds: int
    """The parts into which they are divided, to see how far the share varies."""


FULL = Sizes(t=2000, profile=300, rounds=5)
QUICK = Sizes(t=4, profile=2, rounds=1)

ABOUT = f"""
How many of 100 intervals of {LEVEL:g} % hold the truth, in simulated experiments:
[accuracy.md](accuracy.md) says which. The smallest and the largest ratio are of a fifth of the data
sets each.
"""


@dataclass(frozen=True)
class Experiment:
    """A truth and how it is observed."""

    name: str
    formula: str
    truth: Mapping[str, float]
    first: Mapping[str, float]
    noise: float
    x: Floats
    seed: int
    curve: Callable[..., Floats]
    """The formula again, for numpy."""

    def observed(self, number: int) -> Floats:
        """The target of one data set."""
        rng = np.random.default_rng([self.seed, number])
        curve = self.curve(self.x, *self.truth.values())
        return curve + self.noise * rng.standard_normal(len(self.x))

    def intervals(self, number: int, method: Method) -> ConfidenceInterval:
        """Of the fit of one data set, as the answer has them."""
        asked = {
            "model": self.formula,
            "data": {"x": self.x, "y": self.observed(number)},
            "params": self.first,
            "confidence_interval": {"level": LEVEL / 100, "method": method},
        }
        plan = to_plan(FitRequest.model_validate(asked))
        run = begin(plan.task)
        while not run.done:
            run.step(run.epochs)
        answer = to_fit(plan, outcome(run), job_id="", history=NO_HISTORY, timings=NO_TIMINGS)
        interval = answer.statistics.confidence_interval
        if not answer.converged or interval is None:
            raise RuntimeError(f"a fit ended {answer.stop_reason}")
        return interval


NO_HISTORY = History(epoch=[], loss=[], params={}, gradient={}, total=0, thinned=False)
NO_TIMINGS = Timings(queued_s=0.0, fit_s=0.0)

LINE = Experiment(
    "line, 20 points",
    "y = w*x + b",
    {"w": 2.0, "b": 1.0},
    {"w": 1.0, "b": 1.0},
    noise=0.5,
    x=np.linspace(0, 1, 20),
    seed=1,
    curve=lambda x, w, b: w * x + b,
)
DECAY = Experiment(
    "decay, 30 points",
    "y = a*exp(-k*x)",
    {"a": 5.0, "k": 1.3},
    {"a": 1.0, "k": 1.0},
    noise=0.3,
    x=np.linspace(0, 3, 30),
    seed=2,
    curve=lambda x, a, k: a * np.exp(-k * x),
)


def run(sizes: Sizes) -> Results:
    torch.set_num_threads(1)
    rows = [["problem", "param", "truth", "intervals", "data sets", "held the truth"]]
    comparisons = []
    methods: Mapping[Method, int] = {"t": sizes.t, "profile": sizes.profile}
    for experiment in (LINE, DECAY):
        for method, sets in methods.items():
            for name, held in shares(experiment, method, sets, sizes.rounds).items():
                truth, mean = f"{experiment.truth[name]:g}", f"{np.mean(held):.1f}%"
                rows.append([experiment.name, name, truth, method, f"{sets:,}", mean])
                what = f"{experiment.name}: {name}, by {method}"
                comparisons.append(Comparison(what, "their level", "%", held, [LEVEL] * len(held)))
    return Results(comparisons, markdown(rows, numbers_from=1))


def shares(
    experiment: Experiment, method: Method, sets: int, rounds: int
) -> Mapping[str, list[float]]:
    """The share of the data sets, in %, whose interval holds the truth: by param, of each round."""
    held = {name: np.zeros(sets) for name in experiment.truth}
    for number in range(sets):
        interval = experiment.intervals(number, method)
        for name, truth in experiment.truth.items():
            held[name][number] = interval.lower[name] <= truth <= interval.upper[name]
    return {
        name: [100 * float(part.mean()) for part in np.split(each, rounds)]
        for name, each in held.items()
    }


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

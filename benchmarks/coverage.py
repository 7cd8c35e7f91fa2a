"""Interval coverage by simulation: how often a 95 % interval holds the truth.

In this process, by the engine, without HTTP: seeded data sets of a line and of a decay, each fitted
and asked for its intervals. The table goes to docs/accuracy.md.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import curve_fit
from scipy.stats import t as student
from torch import Tensor

from benchmarks.harness import Benchmark, Comparison, in_turns, run_async
from benchmarks.strd import markdown, measured, write_section
from service.engine import Options, Problem, Task, start
from service.engine.formula import read_formula
from service.engine.losses import LOSSES, Loss
from service.engine.optimizers.exact import Exact
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.problem import Tolerance
from service.engine.inference.profile import profile_interval
from service.engine.inference.statistics import summarise

SETS = 2000
PROFILED = 300
LEVEL = 0.95
ROUNDS = 5
TIMED = 100
"""Sets a round."""

ABOUT = f"""
A fit and its {LEVEL:.0%} intervals, as the engine does them without HTTP, beside `curve_fit` and
SciPy's t quantile: {TIMED} sets a round. How often the intervals hold the truth is in
[accuracy.md](accuracy.md).
"""


@dataclass(frozen=True)
class Experiment:
    """A truth and how it is observed."""

    name: str
    formula: str
    truth: Mapping[str, float]
    first: Mapping[str, float]
    noise: float
    x: np.ndarray
    seed: int
    numpy: Callable[..., np.ndarray]
    """The formula again, for SciPy."""

    def observed(self, number: int) -> np.ndarray:
        """The target of one data set."""
        rng = np.random.default_rng([self.seed, number])
        curve = self.numpy(self.x, *self.truth.values())
        return curve + self.noise * rng.standard_normal(len(self.x))

    def problem(self, number: int) -> Problem:
        """The data set as the engine takes it."""
        formula = read_formula(self.formula, frozenset({"x", "y"}))
        first = torch.tensor([self.first[name] for name in formula.params], dtype=torch.float64)
        unbounded = torch.full_like(first, torch.inf)
        return Problem(
            formula,
            {"x": torch.from_numpy(self.x)},
            torch.from_numpy(self.observed(number)),
            first,
            -unbounded,
            unbounded,
            (True,) * len(first),
            Loss(LOSSES["mse"], 1.0),
        )


LINE = Experiment(
    "line, 20 points",
    "w*x + b",
    {"w": 2.0, "b": 1.0},
    {"w": 1.0, "b": 1.0},
    noise=0.5,
    x=np.linspace(0, 1, 20),
    seed=1,
    numpy=lambda x, w, b: w * x + b,
)
DECAY = Experiment(
    "decay, 30 points",
    "a*exp(-k*x)",
    {"a": 5.0, "k": 1.3},
    {"a": 1.0, "k": 1.0},
    noise=0.3,
    x=np.linspace(0, 3, 30),
    seed=2,
    numpy=lambda x, a, k: a * np.exp(-k * x),
)


def fitted(problem: Problem) -> Tensor:
    """The params, by what `auto` would choose, with the service's defaults."""
    options = Options("exact", Exact(), 1, 1)
    if not problem.is_linear:
        tolerance = Tolerance(params=1e-10)
        options = Options("levenberg_marquardt", LevenbergMarquardt(), 1000, 1, tolerance)
    run = start(Task(problem, options))
    run.step(options.epochs)
    result = run.result()
    if not result.converged:
        raise RuntimeError(f"a fit ended {result.stop_reason}")
    return result.params


def intervals(problem: Problem, method: str) -> tuple[Tensor, Tensor]:
    """Lower and upper ends, as the answer has them."""
    theta = fitted(problem)
    statistics = summarise(problem, theta)
    if method == "profile":
        return profile_interval(problem, theta, statistics, LEVEL)
    assert statistics.stderr is not None
    half = statistics.t(LEVEL) * statistics.stderr
    return theta - half, theta + half


def share(experiment: Experiment, method: str, sets: int) -> dict[str, float]:
    """The share of the sets, by param, whose interval holds the truth."""
    names = experiment.problem(0).params
    truth = torch.tensor([experiment.truth[name] for name in names], dtype=torch.float64)
    held = torch.zeros(len(names), dtype=torch.float64)
    for number in range(sets):
        lower, upper = intervals(experiment.problem(number), method)
        held += ((lower <= truth) & (truth <= upper)).double()
    return dict(zip(names, (held / sets).tolist(), strict=True))


def run() -> list[Comparison]:
    torch.set_num_threads(1)
    rows = [["problem", "param", "truth", "intervals", "data sets", "held the truth"]]
    for experiment in (LINE, DECAY):
        for method, sets in (("t", SETS), ("profile", PROFILED)):
            for name, held in share(experiment, method, sets).items():
                truth = f"{experiment.truth[name]:g}"
                rows.append([experiment.name, name, truth, method, f"{sets:,}", f"{held:.1%}"])
    write_section("coverage", f"{markdown(rows)}\n\n{measured('seeds 1 and 2')}")
    return run_async(_timed())


async def _timed() -> list[Comparison]:
    results = []
    for experiment in (LINE, DECAY):
        ours, theirs = await in_turns(
            ROUNDS, _measure(experiment, _by_descent), _measure(experiment, _by_scipy)
        )
        what = f"{experiment.name}, with t intervals"
        results.append(Comparison(what, "SciPy's curve_fit", "ms", ours, theirs))
    return results


def _by_descent(experiment: Experiment, number: int) -> None:
    intervals(experiment.problem(number), "t")


def _by_scipy(experiment: Experiment, number: int) -> None:
    x, p0 = experiment.x, list(experiment.first.values())
    values, covariance = curve_fit(experiment.numpy, x, experiment.observed(number), p0=p0)
    student.ppf(0.5 + LEVEL / 2, len(x) - len(values)) * np.sqrt(np.diag(covariance))


def _measure(
    experiment: Experiment, work: Callable[[Experiment, int], None]
) -> Callable[[], Awaitable[float]]:
    """Milliseconds a set."""

    async def measure() -> float:
        began = time.perf_counter()
        for number in range(TIMED):
            work(experiment, number)
        return 1e3 * (time.perf_counter() - began) / TIMED

    return measure


BENCHMARK = Benchmark(ABOUT, run)

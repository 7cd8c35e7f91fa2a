"""The engine's part of an ordinary fit, without HTTP and without the plan, beside SciPy."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.beside_scipy import BesideScipy, Fits, Sizes, given
from benchmarks.families import DataSet
from benchmarks.harness import Benchmark, Results
from service.engine import Result, begin, outcome
from service.engine.diagnostics import FinishedFit, examine
from service.engine.inference.statistics import summarise
from service.fitting import Plan, to_plan
from service.schemas.fit import FitRequest

FULL = Sizes(rounds=5, sets=40)
QUICK = Sizes(rounds=1, sets=1)

ABOUT = f"""
The curves of `curves` in the benchmark's own process, with initial values: the engine from a
finished plan to the params, their statistics and the diagnostics, in one thread. Beside it
`curve_fit` as it comes, from the same start, by turns on each data set (A B A B); {FULL.sets} data
sets of each family a round, whose median counts. All must come to SciPy's params, to a hundredth of
their standard errors.
"""


def run(sizes: Sizes) -> Results:
    torch.set_num_threads(1)
    return Results(BesideScipy("engine", "µs", sizes, _fit, given).in_turns())


def explained(plan: Plan) -> Result:
    """The fit of a plan, with its statistics and diagnostics: what an answer is made of."""
    run = begin(plan.task)
    while not run.done:
        run.step(run.epochs)
    result = outcome(run)
    statistics = summarise(plan.task.problem, result.params)
    examine(FinishedFit(plan.task, result, result.params, statistics, plan.guessed))
    return result


def _fit(sets: Sequence[DataSet]) -> Fits:
    found = []
    for data in sets:
        plan = to_plan(FitRequest.model_validate(data.asked(data.family.start)))
        began = time.perf_counter()
        result = explained(plan)
        taken = time.perf_counter() - began
        params = dict(zip(plan.task.problem.params, result.params.tolist(), strict=True))
        found.append((taken, np.array([params[name] for name in data.family.start])))
    return found


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

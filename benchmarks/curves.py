"""The commonest job: one nonlinear curve of fifty rows by POST /fit, beside SciPy in-process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks.beside_scipy import BesideScipy, Fits, Sizes, given, good
from benchmarks.client import Callers, calling, post
from benchmarks.families import NOISE, ROWS, DataSet
from benchmarks.harness import Benchmark, Results
from benchmarks.servers import serving

FULL = Sizes(rounds=5, sets=40)
QUICK = Sizes(rounds=1, sets=1)

ABOUT = f"""
`POST /fit` of one curve of {ROWS} rows with noise of {NOISE:.0%} of its range, written as a
formula, default options, all included: one caller in a process of its own, on a connection that
stays open. Beside it `curve_fit` as it comes, in the benchmark's own process, on the same data set.
They take turns on each data set (A B A B); {FULL.sets} data sets of each family a round, whose
median counts, others in each round. *Given*: with initial values, and SciPy from the same. *Not
given*: without any, and SciPy from the truth. *Back to back*: each does all of a round without a
pause, so that its caches are warm. All must come to SciPy's params, to a hundredth of their
standard errors.
"""


def run(sizes: Sizes) -> Results:
    with serving() as port, calling() as callers:
        ask = partial(_ask, callers, port)
        with_start = BesideScipy("start given", "ms", sizes, partial(ask, _start), given)
        without = BesideScipy("not given", "ms", sizes, partial(ask, _no_start), good)
        return Results(
            [
                *with_start.in_turns(),
                *without.in_turns(),
                *with_start.back_to_back(),
                *without.back_to_back(),
            ]
        )


def _start(data: DataSet) -> Mapping[str, float]:
    return data.family.start


def _no_start(data: DataSet) -> Mapping[str, float]:
    return {}


def _ask(
    callers: Callers,
    port: int,
    start: Callable[[DataSet], Mapping[str, float]],
    sets: Sequence[DataSet],
) -> Fits:
    requests = [post("/fit", json.dumps(data.asked(start(data))).encode()) for data in sets]
    answers = callers.each(port, requests)
    return [
        (answer.seconds, data.params(answer.body))
        for data, answer in zip(sets, answers, strict=True)
    ]


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

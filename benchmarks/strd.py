"""Certified digits: Descent over HTTP beside SciPy's and lmfit's defaults, on NIST's StRD.

A run is a problem from one of its two starts. Its score is the least number of correct digits over
the params, and over their standard errors. The table goes to docs/explanation/accuracy.md.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.client import Callers, calling, post
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, missing
from benchmarks.report import markdown
from benchmarks.servers import serving
from service.certification.agreement import digits_of
from service.certification.strd import FORMULAS, Problem, load

FUNCTIONS = {
    **{"exp": np.exp, "log": np.log, "atan": np.arctan},
    **{"sin": np.sin, "cos": np.cos, "pi": np.pi},
}
"""What the problems' formulas call, for SciPy and lmfit."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    problems: int


FULL = Sizes(rounds=5, problems=len(FORMULAS))
QUICK = Sizes(rounds=1, problems=3)

ABOUT = f"""
All {2 * FULL.problems} runs of the StRD problems of `service/certification`, one after the other:
Descent by `POST /fit` with `levenberg_marquardt`, the others in the benchmark's own process with
their defaults, which fail on some of the runs. How many digits each comes to is in
[accuracy.md](accuracy.md).
"""

Fitted = tuple[Mapping[str, float], Mapping[str, float], int | None]
"""Params, standard errors, and epochs where there are any."""


class Failure(Exception):
    """The fitter says itself that it has no answer."""


@dataclass(frozen=True, slots=True)
class Score:
    """Correct digits of one run, the least over the params; None where the fitter failed."""

    params: float | None
    stderr: float | None
    epochs: int | None = None


Timed = tuple[float, Score]
"""The seconds of a run and its score."""


@dataclass(frozen=True, slots=True)
class Run:
    """A problem from one of its starts."""

    problem: Problem
    number: int
    """Of the start: 1 or 2."""

    @property
    def start(self) -> Mapping[str, float]:
        return self.problem.starts[self.number - 1]

    def timed(self, fit: Callable[[], Fitted]) -> Timed:
        """What a fit takes, and how well it does."""
        began = time.perf_counter()
        try:
            fitted = fit()
        except Failure:
            return time.perf_counter() - began, Score(None, None)
        return time.perf_counter() - began, self.score(fitted)

    def score(self, fitted: Fitted) -> Score:
        """How many digits are right."""
        params, stderr, epochs = fitted
        certified = self.problem
        return Score(_least(params, certified.params), _least(stderr, certified.stderr), epochs)


def runs(problems: int) -> list[Run]:
    """Every problem from start 1 and from start 2."""
    return [Run(load(name), number) for name in [*FORMULAS][:problems] for number in (1, 2)]


def _least(found: Mapping[str, float], certified: Mapping[str, float]) -> float:
    """At most 11, which are certified."""
    return min(11.0, *(digits_of(found[name], value) for name, value in certified.items()))


# --- the fitters ----------------------------------------------------------------------------------


def descent(callers: Callers, port: int, run: Run) -> Callable[[], Timed]:
    """By POST /fit."""
    body = {
        "model": run.problem.formula,
        "data": run.problem.data,
        "params": run.start,
        "optimizer": "levenberg_marquardt",
    }
    request = post("/fit", json.dumps(body).encode())

    def fit() -> Timed:
        answer = callers.ask(port, request)
        fitted = json.loads(answer.body)
        stderr = fitted["statistics"]["stderr"]
        if not fitted["converged"] or stderr is None:
            return answer.seconds, Score(None, None)
        return answer.seconds, run.score((fitted["params"], stderr, fitted["epochs"]))

    return fit


def scipy(run: Run) -> Callable[[], Timed]:
    """`curve_fit` with nothing but data and a start: MINPACK, forward differences."""
    from scipy.optimize import curve_fit

    function, columns, target = explained(run.problem)
    x, p0 = next(iter(columns.values())), list(run.start.values())

    def curve(_: Any, *params: float) -> Any:
        return function(*columns.values(), *params)

    def fit() -> Fitted:
        try:
            values, covariance = curve_fit(curve, x, target, p0=p0)
        except RuntimeError as error:
            raise Failure from error
        if not np.isfinite(covariance).all():
            raise Failure
        stderr = np.sqrt(np.diag(covariance))
        names = run.start
        return dict(zip(names, values, strict=True)), dict(zip(names, stderr, strict=True)), None

    return lambda: run.timed(fit)


def lmfit(run: Run) -> Callable[[], Timed]:
    """`Model.fit` with nothing but data and a start: MINPACK, forward differences."""
    from lmfit import Model

    function, columns, target = explained(run.problem)
    model = Model(function, independent_vars=list(columns))

    def fit() -> Fitted:
        try:
            result = model.fit(target, **columns, **run.start)
        except ValueError as error:  # it refuses a NaN on its way
            raise Failure from error
        params = result.params.values()
        if not result.success or any(param.stderr is None for param in params):
            raise Failure
        values = {param.name: param.value for param in params}
        return values, {param.name: param.stderr for param in params}, None

    return lambda: run.timed(fit)


def explained(
    problem: Problem,
) -> tuple[Callable[..., Any], dict[str, np.ndarray], np.ndarray]:
    """The formula as a Python function of its columns and params, the columns, and the target."""
    left, _, right = problem.formula.rpartition("=")
    left = left.strip() or "y"
    data = {name: np.array(column) for name, column in problem.data.items()}
    target = eval(left, FUNCTIONS | data)  # our own text
    columns = {name: data[name] for name in data if re.search(rf"\b{name}\b", right)}
    arguments = ", ".join([*columns, *problem.params])
    return eval(f"lambda {arguments}: {right}", dict(FUNCTIONS)), columns, target


# --- the benchmark --------------------------------------------------------------------------------

FITTERS = ("Descent", "SciPy", "lmfit")


def run(sizes: Sizes) -> Results:
    asked = runs(sizes.problems)
    scores: dict[str, list[Score]] = {}

    def measure(name: str, make: Callable[[Run], Callable[[], Timed]]) -> Measure:
        fits = [make(each) for each in asked]

        def seconds() -> float:
            timed = [fit() for fit in fits]
            scores[name] = [score for _, score in timed]
            return sum(taken for taken, _ in timed)

        return seconds

    peers = {"SciPy": scipy, "lmfit": lmfit}
    with serving() as port, calling() as callers, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that overflow, from the peers
        ours, *others = in_turns(
            sizes.rounds,
            measure("Descent", partial(descent, callers, port)),
            *(
                measure(name, make) if name.lower() not in missing() else None
                for name, make in peers.items()
            ),
        )
    what = f"{len(asked)} StRD runs"
    comparisons = [
        Comparison(what, name, "s", ours, theirs)
        for name, theirs in zip(peers, others, strict=True)
    ]
    return Results(comparisons, "" if missing() else _table(asked, scores))


def _table(asked: Sequence[Run], scores: Mapping[str, Sequence[Score]]) -> str:
    """A row a run, with the means below."""
    head = ["problem", "start", *(f"{name}: {of}" for name in FITTERS for of in ("params", "se"))]
    rows = [[*head, "epochs"]]
    for i, each in enumerate(asked):
        ours = scores["Descent"][i]
        cells = [_cell(value) for name in FITTERS for value in _pair(scores[name][i])]
        rows.append([each.problem.name, str(each.number), *cells, _cell(ours.epochs)])
    means = [
        _mean([_pair(one)[which] for one in scores[name]]) for name in FITTERS for which in (0, 1)
    ]
    epochs = [one.epochs for one in scores["Descent"]]
    rows.append(["**mean**", "", *(f"**{value:.2f}**" for value in means), f"{_mean(epochs):.0f}"])
    done = {name: sum(one.params is not None for one in scores[name]) for name in FITTERS}
    right = {name: sum((one.params or 0.0) >= 6 for one in scores[name]) for name in FITTERS}
    summary = "; ".join(
        f"{name} says it has an answer in {done[name]} of {len(epochs)} runs, "
        f"and has 6 digits or more in {right[name]}"
        for name in FITTERS
    )
    return f"{markdown(rows, numbers_from=1)}\n\n{summary}."


def _pair(one: Score) -> tuple[float | None, float | None]:
    return one.params, one.stderr


def _cell(value: float | None) -> str:
    if value is None:
        return "failed"
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def _mean(values: Sequence[float | None]) -> float:
    """A failure counts as no digits."""
    return mean(value or 0.0 for value in values)


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

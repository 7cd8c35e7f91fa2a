"""Certified digits: Descent over HTTP beside SciPy's and lmfit's defaults, on NIST's StRD.

A run is a problem from one of its two starts. Its score is the least number of correct digits over
the params, and over their standard errors. The table goes to docs/accuracy.md.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import httpx
import lmfit
import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from benchmarks.harness import Benchmark, Comparison, in_turns, machine, run_async
from benchmarks.servers import DESCENT, running
from tests.nist import FORMULAS, Certified, digits, load

PAGE = Path(__file__).parents[1] / "docs" / "accuracy.md"
ROUNDS = 3
FUNCTIONS = {"exp": np.exp, "log": np.log, "atan": np.arctan, "pi": np.pi}
"""What the problems' formulas call, for SciPy and lmfit."""

ABOUT = """
All 22 runs of the StRD problems in `tests/data/nist`, one after the other: Descent by `POST /fit`
with `levenberg_marquardt`, the others in the benchmark's own process with their defaults, which
fail on some of the runs. How many digits each comes to is in [accuracy.md](accuracy.md).
"""

Fitted = tuple[Mapping[str, float], Mapping[str, float], int | None]
"""Params, standard errors, and epochs where there are any."""
Fitter = Callable[[Certified, Mapping[str, float]], Fitted]


class Failure(Exception):
    """The fitter says itself that it has no answer."""


@dataclass(frozen=True, slots=True)
class Score:
    """Correct digits of one run, the least over the params; None where the fitter failed."""

    params: float | None
    stderr: float | None
    epochs: int | None = None


def runs() -> Iterator[tuple[Certified, int]]:
    """Every problem from start 1 and from start 2."""
    for name in FORMULAS:
        yield from ((load(name), start) for start in (1, 2))


def score(fit: Fitter, problem: Certified, start: int) -> Score:
    """How well it does from one start."""
    try:
        params, stderr, epochs = fit(problem, problem.starts[start - 1])
    except Failure:
        return Score(None, None)
    return Score(_least(params, problem.params), _least(stderr, problem.stderr), epochs)


def _least(found: Mapping[str, float], certified: Mapping[str, float]) -> float:
    return max(0.0, min(digits(found[name], value) for name, value in certified.items()))


def descent(client: httpx.Client) -> Fitter:
    """By POST /fit."""

    def fit(problem: Certified, start: Mapping[str, float]) -> Fitted:
        body = {
            "model": problem.formula,
            "data": problem.data,
            "params": start,
            "optimizer": "levenberg_marquardt",
        }
        answer = client.post("/fit", content=json.dumps(body), headers=_JSON).raise_for_status()
        fitted = answer.json()
        if not fitted["converged"] or fitted["statistics"]["stderr"] is None:
            raise Failure
        return fitted["params"], fitted["statistics"]["stderr"], fitted["epochs"]

    return fit


def scipy(problem: Certified, start: Mapping[str, float]) -> Fitted:
    """`curve_fit` with nothing but data and a start: MINPACK, forward differences."""
    function, columns, target = _explained(problem)
    try:
        values, covariance = curve_fit(
            lambda _, *params: function(*columns.values(), *params),
            next(iter(columns.values())),
            target,
            p0=list(start.values()),
        )
    except RuntimeError as error:
        raise Failure from error
    if not np.isfinite(covariance).all():
        raise Failure
    stderr = np.sqrt(np.diag(covariance))
    return dict(zip(start, values, strict=True)), dict(zip(start, stderr, strict=True)), None


def with_lmfit(problem: Certified, start: Mapping[str, float]) -> Fitted:
    """`Model.fit` with nothing but data and a start: MINPACK, forward differences."""
    function, columns, target = _explained(problem)
    model = lmfit.Model(function, independent_vars=list(columns))
    try:
        result = model.fit(target, **columns, **start)
    except ValueError as error:  # it refuses a NaN on its way
        raise Failure from error
    if not result.success or any(param.stderr is None for param in result.params.values()):
        raise Failure
    return (
        {name: param.value for name, param in result.params.items()},
        {name: param.stderr for name, param in result.params.items()},
        None,
    )


def _explained(
    problem: Certified,
) -> tuple[Callable[..., Any], dict[str, np.ndarray], np.ndarray]:
    """The formula as a Python function of its columns and params, the columns, and the target."""
    left, _, right = problem.formula.rpartition("=")
    left = left.strip() or "y"
    data = {name: np.array(column) for name, column in problem.data.items()}
    target = eval(left, FUNCTIONS | data)  # our own text, tests/nist.py
    columns = {name: data[name] for name in data if re.search(rf"\b{name}\b", right)}
    arguments = ", ".join([*columns, *problem.params])
    return eval(f"lambda {arguments}: {right}", dict(FUNCTIONS)), columns, target


FITTERS = ("Descent", "SciPy", "lmfit")
_JSON = {"Content-Type": "application/json"}


def run() -> list[Comparison]:
    with running(*DESCENT) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        fitters = dict(zip(FITTERS, (descent(client), scipy, with_lmfit), strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("ignore", OptimizeWarning)
            write_section("strd", _table(fitters))
            return run_async(_timed(fitters))


async def _timed(fitters: Mapping[str, Fitter]) -> list[Comparison]:
    def measure(fit: Fitter) -> Callable[[], Any]:
        async def seconds() -> float:
            began = time.perf_counter()
            for problem, start in runs():
                score(fit, problem, start)
            return time.perf_counter() - began

        return seconds

    ours, *others = await in_turns(ROUNDS, *(measure(fit) for fit in fitters.values()))
    return [
        Comparison("22 StRD runs", name, "s", ours, theirs)
        for name, theirs in zip(FITTERS[1:], others, strict=True)
    ]


def _table(fitters: Mapping[str, Fitter]) -> str:
    """A row a run, with the means below."""
    scores = {
        name: [score(fit, problem, start) for problem, start in runs()]
        for name, fit in fitters.items()
    }
    head = ["problem", "start", *(f"{name}: {of}" for name in FITTERS for of in ("params", "se"))]
    rows = [[*head, "epochs"]]
    for i, (problem, start) in enumerate(runs()):
        ours = scores["Descent"][i]
        cells = [_cell(value) for name in FITTERS for value in _pair(scores[name][i])]
        rows.append([problem.name, str(start), *cells, _cell(ours.epochs)])
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
    versions = f"SciPy {_version('scipy')}, lmfit {lmfit.__version__}"
    return f"{markdown(rows)}\n\n{summary}.\n\n{measured(versions)}"


def _pair(one: Score) -> tuple[float | None, float | None]:
    return one.params, one.stderr


def _cell(value: float | None) -> str:
    if value is None:
        return "failed"
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def _mean(values: Sequence[float | None]) -> float:
    """A failure counts as no digits."""
    return mean(value or 0.0 for value in values)


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


# --- the page -------------------------------------------------------------------------------------


def measured(more: str) -> str:
    """Where and when."""
    return f"Measured on {machine()}; {more}; {date.today():%Y-%m-%d}."


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head, and the first column is text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join(
        "-" * (width + 1) + ("-" if i == 0 else ":") for i, width in enumerate(widths)
    )
    return "\n".join([lines[0], rule + "|", *lines[1:]])


def write_section(name: str, text: str) -> None:
    """Puts the text between the page's markers of that name."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    page = PAGE.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise RuntimeError(f"{PAGE} lacks the markers of '{name}'")
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


BENCHMARK = Benchmark(ABOUT, run)

"""The whole catalogue compared on one table, beside lmfit fitting the same families."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.client import calling, post
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, peer
from benchmarks.servers import serving

ROWS = 100
MOVED = 1.05
"""How far from the answer lmfit starts: each param is multiplied by this."""
WORSE = 1e-3
"""The relative excess of a trustworthy fit's RSS over lmfit's that is a failure."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    models: int | None
    """The families that lmfit refines, if not all."""
    searched: int
    """The families that lmfit searches: it takes seconds for each, so its rate is that of a
    part."""


FULL = Sizes(rounds=5, models=None, searched=8)
QUICK = Sizes(rounds=1, models=3, searched=1)

ABOUT = f"""
`POST /compare` with data alone: all families of the catalogue on {ROWS} rows of a dose-response
curve with noise of 2 % of its height, ranked by AICc, all HTTP included. Descent finds its own
initial values and challenges each end from other starts. lmfit's `ExpressionModel` fits the same
formulas in the benchmark's own process with its default method, from Descent's params times
{MOVED}: the start is given to it, and it need only refine. With every param at 1, the start of a
user who knows nothing of the curve, only those fits are counted that come to Descent's RSS. Without
a start, lmfit searches: by `differential_evolution` with its defaults, each param between a tenth
and ten times Descent's, the first {FULL.searched} families of the answer. A trustworthy fit of
Descent's may not have a larger RSS than lmfit's by more than a thousandth.
"""


def made() -> tuple[Floats, Floats]:
    """x and y."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.5, 40, ROWS)
    y = 0.4 + 7.4 / (1 + (x / 9.0) ** 2.5)
    return x, y + 0.02 * 7.4 * rng.standard_normal(ROWS)


Start = Literal["near", "ones", "search"]


def by_lmfit(model: dict[str, Any], x: Floats, y: Floats, start: Start) -> float:
    """The RSS of one family; infinite where lmfit gives up."""
    from lmfit.models import ExpressionModel

    text = model["model"]["formula"].partition("=")[2].strip()
    for name in model["params"]:  # lmfit's expressions have constants of their own, such as e
        text = re.sub(rf"\b{name}\b", f"{name}_", text)
    fitted = ExpressionModel(text, independent_vars=["x"])
    first = {
        f"{name}_": 1.0 if start == "ones" else value * MOVED
        for name, value in model["params"].items()
    }
    params, method = fitted.make_params(**first), "leastsq"
    if start == "search":
        method = "differential_evolution"
        for name, value in model["params"].items():
            low, high = sorted((0.1 * value, 10 * value))
            params[f"{name}_"].set(min=low, max=high)
    try:
        found = fitted.fit(y, params, x=x, method=method, nan_policy="raise")
    except ValueError:
        return math.inf
    return float(np.square(found.eval(x=x) - y).sum())


def run(sizes: Sizes) -> Results:
    x, y = made()
    body = json.dumps({"data": {"x": x.tolist(), "y": y.tolist()}}).encode()
    asked, answers = post("/compare", body), list[Any]()

    with serving() as port, calling() as callers:

        def descent() -> float:
            answer = callers.ask(port, asked)
            answers.append(json.loads(answer.body)["models"])
            return len(answers[-1]) / answer.seconds

        def lmfit(count: int | None, start: Start) -> Measure:
            def measure() -> float:
                models = answers[-1][:count]
                began = time.perf_counter()
                with np.errstate(all="ignore"):
                    found = [by_lmfit(model, x, y, start) for model in models]
                taken = time.perf_counter() - began
                _check(models, found)
                ends = zip(models, found, strict=True)
                reached = [rss <= model["rss"] * (1 + WORSE) for model, rss in ends]
                return (sum(reached) if start == "ones" else len(models)) / taken

            return measure

        ours, refined, ones, searched = in_turns(
            sizes.rounds,
            descent,
            peer("lmfit", lmfit(sizes.models, "near")),
            peer("lmfit", lmfit(sizes.models, "ones")),
            peer("lmfit", lmfit(sizes.searched, "search")),
        )
    what = f"the catalogue, {len(answers[-1])} families on {ROWS} rows"
    return Results(
        [
            Comparison(what, "lmfit, starts given", "fits/s", ours, refined),
            Comparison(what, "lmfit, starts at 1", "fits/s", ours, ones),
            Comparison(what, "lmfit, searching", "fits/s", ours, searched),
        ]
    )


def _check(models: list[dict[str, Any]], found: list[float]) -> None:
    """Raises RuntimeError where a trustworthy fit is worse than lmfit's."""
    for model, rss in zip(models, found, strict=True):
        if model["trustworthy"] and model["rss"] > rss * (1 + WORSE):
            raise RuntimeError(f"{model['label']}: the RSS is {model['rss']}, lmfit's {rss}")


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

"""How often a verdict is right: simulated fits, from given starts and from none.

Each is compared with the lowest loss that is known: that of fits from the truth, from places around
it, and of all others on the same data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.harness import Benchmark, Comparison, Results
from service.engine import begin
from service.engine.result import Result
from service.fitting import to_fit, to_plan
from service.schemas.answers import Fit, History, Timings
from service.schemas.fit import FitRequest

Floats = npt.NDArray[np.float64]
Params = dict[str, float]

WORSE = 1.01
"""A loss above so many times the lowest is that of a worse minimum."""
AROUND = 6
"""Starts around the truth, beside it."""


class Drawn(NamedTuple):
    """A param: its range for x from 0 to 10, and how it goes with the unit of x."""

    low: float
    high: float
    power: int = 0


class Family(NamedTuple):
    """A formula, its params, and the same in numpy."""

    formula: str
    params: Mapping[str, Drawn]
    f: Callable[..., Floats]
    level: tuple[str, ...] = ()
    """The params that go with the level of y."""
    either: tuple[str, ...] = ()
    """Params of either sign."""


def _peak(x: Floats, m: float, s: float) -> Floats:
    return np.exp(-(((x - m) / s) ** 2) / 2)


HEIGHT, RATE = Drawn(2, 9), Drawn(0.6, 2.5, -1)
FAMILIES: Mapping[str, Family] = {
    "decay": Family(
        "y = a*exp(-b*x) + c",
        {"a": Drawn(1, 8), "b": Drawn(0.2, 1.5, -1), "c": Drawn(-1, 2)},
        lambda x, a, b, c: a * np.exp(-b * x) + c,
        ("c",),
    ),
    "two decays": Family(
        "y = a1*exp(-k1*x) + a2*exp(-k2*x)",
        {"a1": Drawn(2, 6), "k1": RATE, "a2": Drawn(1, 4), "k2": Drawn(0.08, 0.3, -1)},
        lambda x, a1, k1, a2, k2: a1 * np.exp(-k1 * x) + a2 * np.exp(-k2 * x),
    ),
    "growth": Family(
        "y = a*exp(k*x)",
        {"a": Drawn(0.2, 2), "k": Drawn(0.1, 0.4, -1)},
        lambda x, a, k: a * np.exp(k * x),
    ),
    "peak": Family(
        "y = h*exp(-((x-m)/s)**2/2) + c",
        {"h": HEIGHT, "m": Drawn(2, 8, 1), "s": Drawn(0.4, 1.6, 1), "c": Drawn(-0.5, 1)},
        lambda x, h, m, s, c: h * _peak(x, m, s) + c,
        ("c",),
        ("s",),
    ),
    "two peaks": Family(
        "y = h1*exp(-((x-m1)/s1)**2/2) + h2*exp(-((x-m2)/s2)**2/2)",
        {
            **{"h1": HEIGHT, "m1": Drawn(1.5, 4, 1), "s1": Drawn(0.4, 1, 1)},
            **{"h2": HEIGHT, "m2": Drawn(6, 8.5, 1), "s2": Drawn(0.4, 1, 1)},
        },
        lambda x, h1, m1, s1, h2, m2, s2: h1 * _peak(x, m1, s1) + h2 * _peak(x, m2, s2),
        (),
        ("s1", "s2"),
    ),
    "Lorentzian": Family(
        "y = a/(1 + ((x-m)/w)**2) + c",
        {"a": HEIGHT, "m": Drawn(2, 8, 1), "w": Drawn(0.3, 1.5, 1), "c": Drawn(-0.5, 1)},
        lambda x, a, m, w, c: a / (1 + ((x - m) / w) ** 2) + c,
        ("c",),
        ("w",),
    ),
    "Michaelis-Menten": Family(
        "y = V*x/(K+x)",
        {"V": Drawn(1, 20), "K": Drawn(0.5, 5, 1)},
        lambda x, V, K: V * x / (K + x),
    ),
    "Hill": Family(
        "y = V*x**n/(K**n + x**n)",
        {"V": Drawn(1, 20), "K": Drawn(2, 6, 1), "n": Drawn(1, 4)},
        lambda x, V, K, n: V * x**n / (K**n + x**n),
    ),
    "logistic": Family(
        "y = L/(1+exp(-k*(x-m)))",
        {"L": Drawn(2, 20), "k": RATE, "m": Drawn(3, 7, 1)},
        lambda x, L, k, m: L / (1 + np.exp(-k * (x - m))),
    ),
    "logistic4": Family(
        "y = d + (a-d)/(1+exp(k*(x-m)))",
        {"d": Drawn(0, 2), "a": Drawn(4, 10), "k": RATE, "m": Drawn(3, 7, 1)},
        lambda x, d, a, k, m: d + (a - d) / (1 + np.exp(k * (x - m))),
        ("a", "d"),
    ),
    "Gompertz": Family(
        "y = A*exp(-b*exp(-k*x))",
        {"A": Drawn(2, 20), "b": Drawn(2, 8), "k": Drawn(0.3, 1, -1)},
        lambda x, A, b, k: A * np.exp(-b * np.exp(-k * x)),
    ),
    "Weibull": Family(
        "y = A*(1-exp(-(x/l)**k))",
        {"A": Drawn(2, 20), "l": Drawn(2, 6, 1), "k": Drawn(0.8, 3)},
        lambda x, A, l, k: A * (1 - np.exp(-((x / l) ** k))),  # noqa: E741
    ),
    "power": Family(
        "y = a*x**b + c",
        {"a": Drawn(0.5, 3), "b": Drawn(0.4, 2), "c": Drawn(-1, 2)},
        lambda x, a, b, c: a * x**b + c,
        ("c",),
    ),
    "sine": Family(
        "y = c + a*sin(2*pi*f*x + p)",
        {"c": Drawn(-2, 2), "a": Drawn(1, 5), "f": Drawn(0.12, 0.9, -1), "p": Drawn(-3, 3)},
        lambda x, c, a, f, p: c + a * np.sin(2 * np.pi * f * x + p),
        ("c",),
    ),
    "damped": Family(
        "y = a*exp(-k*x)*cos(w*x + p)",
        {"a": HEIGHT, "k": Drawn(0.1, 0.5, -1), "w": Drawn(1, 4, -1), "p": Drawn(-3, 3)},
        lambda x, a, k, w, p: a * np.exp(-k * x) * np.cos(w * x + p),
    ),
    "Richards": Family(
        "y = A/(1 + exp(-k*(x-m)))**(1/v)",
        {"A": Drawn(2, 20), "k": Drawn(0.6, 2, -1), "m": Drawn(3, 7, 1), "v": Drawn(0.4, 2)},
        lambda x, A, k, m, v: A / (1 + np.exp(-k * (x - m))) ** (1 / v),
    ),
}
PERIODIC = ("sine", "damped")
"""Families with params that are as good in other forms: their intervals are not counted."""
SITUATIONS: Mapping[str, str] = {
    "clean": "noise of 0.1 % of the standard deviation of y",
    "few": "3 to 7 rows more than params",
    "noise": "noise of 8 to 25 %",
    "short": "x spans a fifth to nine twentieths of its range",
    "wrong": "data of another family",
    "outliers": "one row in twenty 2 to 6 standard deviations off",
    "huge x": "x in 10⁴ to 10¹²",
    "tiny x": "x in 10⁻¹² to 10⁻⁴",
    "offset": "y on a level of 10³ to 10⁶, where the family has one",
}
"""All but the first have noise of 1 to 6 %, where nothing else is said."""

ABOUT = """
2,016 simulated problems: 16 families in 9 situations, each fitted from a given start (half near the
truth, half poor: each param times exp(1.2·N(0,1)), one in seven of the wrong sign) and from none.
The lowest loss known is that of fits from the truth, from six places around it, and of the two. A
fit is *worse* above 1.01 times that, and *right* if it is not and the intervals of all params are
narrower than their true values. Percent, beside what is asked for.
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many problems."""

    problems: int


class Problem(NamedTuple):
    """Simulated data."""

    family: str
    situation: str
    x: Floats
    y: Floats
    truth: Params


def simulated(number: int) -> Problem:
    """The problem of that number; the same each time."""
    rng = np.random.default_rng([1, number])
    family = [*FAMILIES][number % len(FAMILIES)]
    situation = [*SITUATIONS][number // len(FAMILIES) % len(SITUATIONS)]
    of = FAMILIES[family]
    unit = {"huge x": 10 ** rng.uniform(4, 12), "tiny x": 10 ** rng.uniform(-12, -4)}
    rows = len(of.params) + int(rng.integers(3, 8)) if situation == "few" else rng.integers(20, 90)
    low, high = 0.1, 10.0
    if situation == "short":
        width = rng.uniform(2, 4.5)
        low = rng.uniform(0.1, 9.9 - width)
        high = low + width
    uneven = rng.random() < 0.5
    x = np.sort(rng.uniform(low, high, rows)) if uneven else np.linspace(low, high, rows)
    truth = {name: rng.uniform(each.low, each.high) for name, each in of.params.items()}
    source, drawn = of, truth
    if situation == "wrong":
        source = FAMILIES[str(rng.choice([name for name in FAMILIES if name != family]))]
        drawn = {name: rng.uniform(each.low, each.high) for name, each in source.params.items()}
    y = source.f(x, **drawn)
    spread = float(y.std()) or 1.0
    noise = {"clean": 1e-3, "noise": rng.uniform(0.08, 0.25)}.get(
        situation, rng.uniform(0.01, 0.06)
    )
    y = y + noise * spread * rng.normal(size=rows)
    if situation == "outliers":
        at = rng.choice(rows, max(1, rows // 20), replace=False)
        y[at] += spread * rng.choice([-1, 1], len(at)) * rng.uniform(2, 6, len(at))
    scale = unit.get(situation, 1.0)
    truth = {name: value * scale ** of.params[name].power for name, value in truth.items()}
    if situation == "offset" and of.level:
        level = 10 ** rng.uniform(3, 6) * rng.choice([-1, 1])
        y = y + level
        truth |= {name: truth[name] + level for name in of.level}
    return Problem(family, situation, x * scale, y, truth)


def given(problem: Problem, number: int) -> Params:
    """A start: near the truth, or poor."""
    rng = np.random.default_rng([2, number])
    poor = rng.random() < 0.5
    found = {}
    for name, value in problem.truth.items():
        sign = -1.0 if poor and rng.random() < 1 / 7 else 1.0
        found[name] = sign * value * math.exp((1.2 if poor else 0.3) * rng.normal())
    return found


def fitted(problem: Problem, params: Params | None, **options: Any) -> Fit:
    """The answer to a request."""
    body = {
        "model": FAMILIES[problem.family].formula,
        "data": {"x": problem.x.tolist(), "y": problem.y.tolist()},
        "params": params or {},
        **options,
    }
    plan = to_plan(FitRequest.model_validate(body))
    run = begin(plan.with_guesses().task)
    while not run.done:
        run.step(1000)
    result = run.result()
    assert isinstance(result, Result)
    history = History.nothing(plan.task.problem.params)
    timings = Timings(queued_s=0, fit_s=0)
    return to_fit(plan, result, job_id="", history=history, timings=timings)


class Seen(NamedTuple):
    """One fit, judged."""

    how: str
    situation: str
    verdict: str
    is_worse: bool
    is_determined: bool
    covered: list[bool]


def judged(number: int) -> Iterator[Seen]:
    """The fits of one problem."""
    problem = simulated(number)
    rng = np.random.default_rng([3, number])
    around = [
        {name: value * math.exp(0.3 * rng.normal()) for name, value in problem.truth.items()}
        for _ in range(AROUND)
    ]
    known = [fitted(problem, p, challenge=False).loss for p in (problem.truth, *around)]
    found = {"given": fitted(problem, given(problem, number)), "none": fitted(problem, None)}
    losses = [loss for loss in (*known, *(fit.loss for fit in found.values())) if loss < math.inf]
    rounding = 1e-17 * float(np.square(problem.y).mean())
    for how, fit in found.items():
        worse = not fit.loss <= WORSE * min(losses) + rounding
        yield Seen(
            how, problem.situation, fit.verdict, worse,
            not worse and _is_determined(problem, fit), _covered(problem, fit),
        )  # fmt: skip


def _is_simulated(problem: Problem) -> bool:
    return problem.situation not in ("wrong", "outliers")


def _is_determined(problem: Problem, fit: Fit) -> bool:
    interval = fit.statistics.confidence_interval
    if interval is None or not _is_simulated(problem):
        return False
    wide = [interval.upper[name] - interval.lower[name] for name in problem.truth]
    values = map(abs, problem.truth.values())
    return all(width < value for width, value in zip(wide, values, strict=True))


def _covered(problem: Problem, fit: Fit) -> list[bool]:
    """Of a trustworthy fit, whether the truth of each param is in its interval."""
    interval = fit.statistics.confidence_interval
    counted = _is_simulated(problem) and problem.family not in PERIODIC
    if not counted or fit.verdict != "trustworthy" or interval is None:
        return []
    found, order = [], {name: name for name in problem.truth}
    if problem.family == "two decays" and fit.params["k1"] < fit.params["k2"]:
        order = {"a1": "a2", "k1": "k2", "a2": "a1", "k2": "k1"}
    for truth, value in problem.truth.items():
        name = order[truth]
        low, high = interval.lower[name], interval.upper[name]
        if name in FAMILIES[problem.family].either and fit.params[name] < 0:
            low, high = -high, -low
        found.append(low <= value <= high)
    return found


def run(sizes: Sizes) -> Results:
    torch.set_num_threads(1)
    seen = [each for number in range(sizes.problems) for each in judged(number)]
    comparisons = []
    for how, limit in (("given", 0.2), ("none", 0.1)):
        own = [each for each in seen if each.how == how]
        start_is = "start given" if how == "given" else "no start"
        right = [each for each in own if each.is_determined]
        for what, part, of, most in (
            ("trusted at a worse minimum", _count(own, "trustworthy", worse=True), own, limit),
            ("right, and untrustworthy", _count(right, "untrustworthy"), right, 0.5),
            ("right, and doubtful", _count(right, "doubtful"), right, 5.0),
        ):
            share = 100 * part / max(1, len(of))
            comparisons.append(Comparison(f"{start_is}: {what}", "asked", "%", [share], [most]))
    none = [each for each in seen if each.how == "none"]
    best = 100 * sum(not each.is_worse for each in none) / max(1, len(none))
    comparisons.append(Comparison("no start: lowest loss reached", "asked", "%", [best], [99.5]))
    return Results(comparisons, accuracy=_table(seen))


def _count(seen: Sequence[Seen], verdict: str, *, worse: bool = False) -> int:
    return sum(each.verdict == verdict and each.is_worse == worse for each in seen)


def _table(seen: Sequence[Seen]) -> str:
    """By situation: what the verdicts were worth."""
    lines = [
        "| situation | start | fits | worse | trusted though worse | right | doubted though right "
        "| 95 % intervals of trusted fits cover |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for situation, said in SITUATIONS.items():
        for how in ("given", "none"):
            own = [each for each in seen if (each.situation, each.how) == (situation, how)]
            if not own:
                continue
            right = [each for each in own if each.is_determined]
            verdicts = Counter(each.verdict for each in right)
            covered = [hit for each in own for hit in each.covered]
            cover = f"{100 * sum(covered) / len(covered):.1f} %" if covered else "-"
            doubted = len(right) - verdicts["trustworthy"]
            lines.append(
                f"| {situation}: {said} | {how} | {len(own)} | {sum(e.is_worse for e in own)} | "
                f"{_count(own, 'trustworthy', worse=True)} | {len(right)} | {doubted} | {cover} |"
            )
    return "\n".join(lines)


BENCHMARK = Benchmark(ABOUT, run, Sizes(2016), Sizes(16))

"""Many curves in one request, beside a loop over them in-process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.arrow import stream
from benchmarks.client import ARROW, calling, post
from benchmarks.families import AGREED
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, peer
from benchmarks.servers import serving

ROWS = 50
TRUTHS = [(3.0, 6.0), (3.0, 7.0), (0.8, 1.6), (0.2, 1.0)]
"""Where the params of each curve are drawn from."""
START = {"a": 4.0, "mu": 5.0, "sigma": 1.0, "c": 0.1}

ELSEWHERE = 2e-3
"""The share of the curves for which two methods may fall from one start to different minima."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    groups: int
    by_lmfit: int
    """The groups of lmfit's turn: it takes a hundred times as long, so its rate is that of a
    part."""


FULL = Sizes(rounds=5, groups=10_000, by_lmfit=200)
QUICK = Sizes(rounds=1, groups=20, by_lmfit=5)

ABOUT = f"""
{FULL.groups:,} curves of {ROWS} rows, Gaussians on a background with noise of 2 % of their height,
4 params. No two are alike: heights from 3 to 6, centres from 3 to 7, widths from 0.8 to 1.6,
backgrounds from 0.2 to 1; all start from the same values, the centre from 5. Descent is asked by
one `POST /fit` with `group_by` and default options, the rows as an Arrow stream, all included; the
others run in the benchmark's own process with the same start and their own default tolerances: a
loop of SciPy's `curve_fit` with its Jacobian, and one of lmfit's `minimize` ({FULL.by_lmfit} of the
curves). All must come to the same params, to a hundredth of their standard errors, but for two
curves in a thousand: from a start so far away two methods may fall to different minima.
"""

Floats = npt.NDArray[np.float64]


def made(groups: int) -> tuple[Floats, Floats]:
    """x (rows,) and y (groups, rows)."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 10, ROWS)
    truth = [rng.uniform(*bounds, (groups, 1)) for bounds in TRUTHS]
    noise = 0.02 * truth[0] * rng.standard_normal((groups, ROWS))
    return x, curve(x, *truth) + noise


def curve(x: Floats, a: Any, mu: Any, sigma: Any, c: Any) -> Floats:
    return np.asarray(a * np.exp(-0.5 * ((x - mu) / sigma) ** 2) + c)


def slopes(x: Floats, a: float, mu: float, sigma: float, c: float) -> Floats:
    u = (x - mu) / sigma
    e = np.exp(-0.5 * u * u)
    return np.stack([e, a * e * u / sigma, a * e * u * u / sigma, np.ones_like(x)], axis=1)


def by_scipy(x: Floats, y: Floats) -> Floats:
    """The params of each curve, (groups, 4)."""
    from scipy.optimize import curve_fit

    start = list(START.values())
    return np.array([curve_fit(curve, x, each, p0=start, jac=slopes)[0] for each in y])


def by_lmfit(x: Floats, y: Floats) -> Floats:
    """The same."""
    import lmfit

    def residual(params: Any, target: Floats) -> Floats:
        return curve(x, **params.valuesdict()) - target

    found = []
    for each in y:
        fitted = lmfit.minimize(residual, lmfit.create_params(**START), args=(each,))
        found.append([fitted.params[name].value for name in START])
    return np.array(found)


def body(x: Floats, y: Floats) -> bytes:
    """The request as an Arrow stream."""
    groups = len(y)
    asked = {
        "model": "y = a * exp(-0.5 * ((x - mu) / sigma)**2) + c",
        "group_by": "curve",
        "params": START,
    }
    curves = np.repeat(np.arange(groups, dtype=np.float64), ROWS)
    return stream({"curve": curves, "x": np.tile(x, groups), "y": y.ravel()}, asked)


def run(sizes: Sizes) -> Results:
    x, y = made(sizes.groups)
    asked = post("/fit", body(x, y), ARROW)
    found: dict[str, Floats] = {}
    errors: dict[str, Floats] = {}
    with serving() as port, calling() as callers:

        def descent() -> float:
            answer = callers.ask(port, asked)
            groups = json.loads(answer.body)["groups"]
            found["descent"] = np.array([groups["params"][name] for name in START]).T
            stderr = groups["stderr"]
            errors["descent"] = np.array([stderr[name] for name in START]).T
            return sizes.groups / answer.seconds

        ours, scipy, lmfit = in_turns(
            sizes.rounds,
            descent,
            peer("scipy", _rate("scipy", by_scipy, found, x, y)),
            peer("lmfit", _rate("lmfit", by_lmfit, found, x, y[: sizes.by_lmfit])),
        )
    for name in found.keys() - {"descent"}:
        some = slice(len(found[name]))
        _check(name, found[name], found["descent"][some], errors["descent"][some])
    what = f"{sizes.groups:,} Gaussians of {ROWS} rows"
    return Results(
        [
            Comparison(what, "SciPy curve_fit, its Jacobian given", "fits/s", ours, scipy),
            Comparison(what, "lmfit minimize", "fits/s", ours, lmfit),
        ]
    )


def _check(name: str, theirs: Floats, ours: Floats, errors: Floats) -> None:
    """The sign of a width means nothing."""
    apart = (np.abs(np.abs(theirs) - np.abs(ours)) / errors).max(axis=1)
    others = np.count_nonzero(~(apart <= AGREED))
    if others > ELSEWHERE * len(theirs):
        raise RuntimeError(f"{name} came to other params for {others} of {len(theirs)} curves")


def _rate(
    name: str,
    fit: Callable[[Floats, Floats], Floats],
    found: dict[str, Floats],
    x: Floats,
    y: Floats,
) -> Measure:
    def measure() -> float:
        began = time.perf_counter()
        found[name] = fit(x, y)
        return len(y) / (time.perf_counter() - began)

    return measure


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

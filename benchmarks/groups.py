"""Many small curves in one request, beside a loop over them in-process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.client import latency, request
from benchmarks.harness import Benchmark, Comparison, Measure, in_turns, run_async
from benchmarks.servers import DESCENT, running

GROUPS = 10_000
ROWS = 50
PARAMS = {"a": 2.0, "mu": 0.0, "sigma": 1.0, "c": 0.0}
ROUNDS = 5
BY_LMFIT = 200
"""The groups of lmfit's turn: it takes a hundred times as long, so its time is that of a part."""

ABOUT = f"""
{GROUPS:,} curves of {ROWS} points, a Gaussian on a background with noise of 2 % of its height, 4
params, each fitted by Levenberg-Marquardt with tolerances of 1e-8 and all its statistics. Descent
is asked by one `POST /fit` with `group_by`, the rows as an Arrow stream, all included; the others
run in the benchmark's own process with the same start: a loop of SciPy's `curve_fit` with its
Jacobian, and one of lmfit's `minimize` ({BY_LMFIT} of the curves). All must come to the same
params.
"""

Floats = npt.NDArray[np.float64]


def made() -> tuple[Floats, Floats]:
    """x (rows,) and y (groups, rows)."""
    rng = np.random.default_rng(0)
    x = np.linspace(-3, 3, ROWS)
    a, mu = 2 + rng.random(GROUPS), 0.5 * rng.random(GROUPS)
    sigma = 0.8 + 0.3 * rng.random(GROUPS)
    y = a[:, None] * np.exp(-0.5 * ((x - mu[:, None]) / sigma[:, None]) ** 2) + 0.1
    return x, y + 0.02 * 2.5 * rng.standard_normal((GROUPS, ROWS))


def curve(x: Floats, a: float, mu: float, sigma: float, c: float) -> Floats:
    return np.asarray(a * np.exp(-0.5 * ((x - mu) / sigma) ** 2) + c)


def slopes(x: Floats, a: float, mu: float, sigma: float, c: float) -> Floats:
    u = (x - mu) / sigma
    e = np.exp(-0.5 * u * u)
    return np.stack([e, a * e * u / sigma, a * e * u * u / sigma, np.ones_like(x)], axis=1)


def by_scipy(x: Floats, y: Floats) -> Floats:
    """The params of each curve, (groups, 4)."""
    from scipy.optimize import curve_fit

    start = list(PARAMS.values())
    found = [curve_fit(curve, x, each, p0=start, jac=slopes, ftol=1e-8, xtol=1e-8)[0] for each in y]
    return np.array(found)


def by_lmfit(x: Floats, y: Floats) -> Floats:
    """The same for the first few."""
    import lmfit

    def residual(params: Any, target: Floats) -> Floats:
        return curve(x, **params.valuesdict()) - target

    found = []
    for each in y[:BY_LMFIT]:
        params = lmfit.create_params(**PARAMS)
        fitted = lmfit.minimize(residual, params, args=(each,), ftol=1e-8, xtol=1e-8)
        found.append([fitted.params[name].value for name in PARAMS])
    return np.array(found)


def body(x: Floats, y: Floats) -> bytes:
    """The request as an Arrow stream."""
    import pyarrow as pa

    asked = {
        "model": "y = a * exp(-0.5 * ((x - mu) / sigma)**2) + c",
        "group_by": "curve",
        "params": PARAMS,
        "optimizer": "levenberg_marquardt",
        "tolerance": {"params": 1e-8, "loss": 1e-8},
    }
    table = pa.table(
        {
            "curve": np.repeat(np.arange(GROUPS, dtype=np.float64), ROWS),
            "x": np.tile(x, GROUPS),
            "y": y.ravel(),
        }
    ).replace_schema_metadata({"descent": json.dumps(asked)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=len(table))
    return bytes(sink.getvalue())


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    x, y = made()
    asked = request("/fit", body(x, y), "application/vnd.apache.arrow.stream")
    found: dict[str, Floats] = {}
    with running(*DESCENT) as port:

        async def descent() -> float:
            seconds, answer = await latency(port, asked)
            params = json.loads(answer)["groups"]["params"]
            found["descent"] = np.array([params[name] for name in PARAMS]).T
            return GROUPS / seconds

        ours, scipy, lmfit = await in_turns(
            ROUNDS,
            descent,
            _rate("scipy", by_scipy, found, x, y),
            _rate("lmfit", by_lmfit, found, x, y),
        )
    for name in ("scipy", "lmfit"):
        apart = np.abs(found["descent"][: len(found[name])] - found[name]).max()
        if apart > 1e-5:
            raise RuntimeError(f"{name} came to other params: {apart:.2g} apart")
    what = f"{GROUPS:,} Gaussians of {ROWS} rows"
    return [
        Comparison(what, "SciPy curve_fit, its Jacobian given", "fits/s", ours, scipy),
        Comparison(what, "lmfit minimize", "fits/s", ours, lmfit),
    ]


def _rate(
    name: str,
    fit: Callable[[Floats, Floats], Floats],
    found: dict[str, Floats],
    x: Floats,
    y: Floats,
) -> Measure:
    async def measure() -> float:
        began = time.perf_counter()
        found[name] = fit(x, y)
        return len(found[name]) / (time.perf_counter() - began)

    return measure


BENCHMARK = Benchmark(ABOUT, run)

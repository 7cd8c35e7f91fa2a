"""One curve through ten million rows: its time and its memory, beside SciPy.

`python -m benchmarks.long engine 1000000` is one fit, alone in its process, that prints both.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.groups import curve, slopes
from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, peer
from service.jobs.system import cores

FORMULA = "y = a * exp(-0.5 * ((x - mu) / sigma)**2) + c"
TRUTH = {"a": 2.5, "mu": 0.3, "sigma": 0.9, "c": 0.1}
START = {"a": 2.0, "mu": 0.0, "sigma": 1.0, "c": 0.0}
TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    rows: int


FULL = Sizes(rounds=3, rows=10_000_000)
QUICK = Sizes(rounds=1, rows=10_000)

ABOUT = f"""
A Gaussian on a background through {FULL.rows:,} rows, 4 params, Levenberg-Marquardt with tolerances
of {TOLERANCE:g}, in the engine with its statistics and diagnostics, as many threads as there are
cores; beside SciPy's `curve_fit` with its Jacobian and the same tolerances. Each in a process of
its own. The memory is the peak of the process (`VmHWM`) beyond what it held with the data ready.
"""

Floats = npt.NDArray[np.float64]


def run(sizes: Sizes) -> Results:
    peaks: dict[str, list[float]] = {"engine": [], "scipy": []}

    def alone(name: str) -> Measure:
        command = [sys.executable, "-m", "benchmarks.long", name, str(sizes.rows)]

        def measure() -> float:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds, mib = map(float, done.stdout.split())
            peaks[name].append(mib)
            return seconds

        return measure

    taken = in_turns(sizes.rounds, alone("engine"), peer("scipy", alone("scipy")))
    ours, theirs = (peaks[name][-sizes.rounds :] for name in ("engine", "scipy"))
    other, rows = "SciPy curve_fit, its Jacobian given", f"{sizes.rows:,} rows"
    return Results(
        [
            Comparison(f"a Gaussian on {rows}", other, "s", *taken),
            Comparison(f"its memory beyond the data, {rows}", other, "MiB", ours, theirs),
        ]
    )


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)

# --- one fit, alone in its process ----------------------------------------------------------------


def main(name: str, rows: int) -> None:
    """Prints its seconds and its peak MiB beyond the data."""
    fit = {"engine": _by_engine, "scipy": _by_scipy}[name]
    rng = np.random.default_rng(0)
    x = np.linspace(-3, 3, rows)
    y = rng.standard_normal(rows)
    y *= 0.05
    for part in range(0, rows, 10**6):
        some = slice(part, part + 10**6)
        y[some] += curve(x[some], **TRUTH)
    do = fit(x, y)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    began = time.perf_counter()
    params = do()
    seconds = time.perf_counter() - began
    peak = _status("VmHWM") - before
    if np.abs(params - list(TRUTH.values())).max() > 1 / np.sqrt(rows):
        raise RuntimeError(f"{name} came to {params}")
    print(seconds, peak / 1024)


def _status(field: str) -> float:
    """Of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field)))


def _by_engine(x: Floats, y: Floats) -> Callable[[], Floats]:
    from benchmarks.engine import explained
    from service.fitting import to_plan, use_threads
    from service.jobs.system import keep
    from service.schemas.fit import FitRequest

    use_threads(cores())
    keep()
    asked = {
        "model": FORMULA,
        "data": {"x": x, "y": y},
        "params": START,
        "optimizer": "levenberg_marquardt",
        "tolerance": {"params": TOLERANCE, "loss": TOLERANCE},
    }
    warm = {**asked, "data": {"x": x[:: len(x) // 100], "y": y[:: len(x) // 100]}}
    explained(to_plan(FitRequest.model_validate(warm)))  # what is compiled or loaded at first use
    plan = to_plan(FitRequest.model_validate(asked))
    return lambda: np.array(explained(plan).params.tolist())


def _by_scipy(x: Floats, y: Floats) -> Callable[[], Floats]:
    from scipy.optimize import curve_fit

    start = list(START.values())
    limits = {"ftol": TOLERANCE, "xtol": TOLERANCE}
    return lambda: np.asarray(curve_fit(curve, x, y, p0=start, jac=slopes, **limits)[0])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
